use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, OnceLock},
};

use crate::{
    certificate::{Certificate, Thumbprint, Timestamp},
    policy::{Answer, Rule, TrustAnchors},
    shared::{Shared, sealed::Sealed},
};

/// Source of the deployment's certificates: for `context.Deployment.Certificates`, `certificate-id` and
/// `issuer-certificate-id`.
///
/// Called at most once per request, so each request sees one state. Must return from memory without blocking.
///
/// ```
/// use std::sync::Arc;
/// use tower_mtls::apim::{Deployment, DeploymentCertificates, Document};
///
/// #[derive(Debug)]
/// struct Fixed(Arc<DeploymentCertificates>);
///
/// impl Deployment for Fixed {
///     fn certificates(&self) -> Arc<DeploymentCertificates> {
///         self.0.clone()
///     }
/// }
///
/// let text = r#"<authentication-certificate certificate-id="orders" />"#;
/// let deployment = Fixed(Arc::new(DeploymentCertificates::new()));
/// let errors = Document::builder().deployment(deployment).only_known_certificates().load(text).unwrap_err();
/// assert!(errors.to_string().contains("orders"));
/// ```
pub trait Deployment: fmt::Debug + Send + Sync + 'static {
    /// Returns the current certificates.
    fn certificates(&self) -> Arc<DeploymentCertificates>;
}

/// A certificate of the deployment. See [`DeploymentCertificates`] for an example.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let made = rcgen::generate_simple_self_signed(vec![])?;
/// use tower_mtls::{Certificate, apim::{DeployedCertificate, DeploymentCertificates}};
///
/// let certificates = DeploymentCertificates::new().with("orders", Certificate::from_der(made.cert.der())?, true);
/// let orders: &DeployedCertificate = certificates.by_id("orders").expect("it was added");
/// assert!(orders.has_private_key());
/// assert_eq!(orders.certificate().der(), &**made.cert.der());
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct DeployedCertificate {
    certificate: Certificate,
    has_private_key: bool,
    /// Number of ids with this certificate. Without an id it is not part of the deployment.
    ids: usize,
    issued_by: OnceLock<Option<Rule>>,
}

impl DeployedCertificate {
    /// The certificate.
    pub fn certificate(&self) -> &Certificate {
        &self.certificate
    }

    /// Returns true if the deployment has the private key, so that the certificate can be presented to backends.
    pub fn has_private_key(&self) -> bool {
        self.has_private_key
    }

    /// Checks that the key of this certificate signed another one.
    pub(crate) fn issued(&self, certificate: &Certificate, now: Timestamp) -> Answer {
        let rule = self.issued_by.get_or_init(|| {
            let roots = TrustAnchors::from_der([self.certificate.der()]).ok()?;
            Some(Rule::issuer_thumbprint_among([self.certificate.sha256_thumbprint()], roots))
        });
        rule.as_ref().map_or(Answer::CannotTell, |rule| rule.answer(certificate, now))
    }
}

/// One state of the deployment's certificates: with a private key to be presented to backends, without one to identify
/// callers.
///
/// Indexed by id and by SHA-1 thumbprint, as in APIM. Two ids can have the same certificate.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let made = rcgen::generate_simple_self_signed(vec![])?;
/// use tower_mtls::{Certificate, apim::DeploymentCertificates};
///
/// let partner = Certificate::from_der(made.cert.der())?;
/// let certificates = DeploymentCertificates::new().with("partner", partner.clone(), false);
/// assert_eq!(certificates.by_id("partner").map(|found| found.certificate()), Some(&partner));
/// assert!(certificates.by_id("stranger").is_none());
/// assert!(certificates.contains(partner.sha1_thumbprint()));
/// assert!(certificates.iter().all(|deployed| !deployed.has_private_key()));
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, Default)]
pub struct DeploymentCertificates {
    entries: Vec<DeployedCertificate>,
    // Keyed hashes, since callers can choose thumbprints.
    by_thumbprint: HashMap<[u8; 20], usize>,
    by_id: HashMap<Box<str>, usize>,
}

impl DeploymentCertificates {
    /// Creates a deployment without certificates.
    ///
    /// ```
    /// use tower_mtls::apim::DeploymentCertificates;
    ///
    /// assert!(DeploymentCertificates::new().is_empty());
    /// ```
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a certificate under an id.
    #[must_use]
    pub fn with(mut self, id: impl Into<Box<str>>, certificate: Certificate, has_private_key: bool) -> Self {
        self.insert(id, certificate, has_private_key);
        self
    }

    /// Adds a certificate under an id. Replaces an earlier certificate with the same id.
    pub fn insert(&mut self, id: impl Into<Box<str>>, certificate: Certificate, has_private_key: bool) {
        let Thumbprint::Sha1(thumbprint) = certificate.sha1_thumbprint() else { return };
        let index = *self.by_thumbprint.entry(thumbprint).or_insert(self.entries.len());
        match self.entries.get_mut(index) {
            Some(entry) => {
                entry.has_private_key |= has_private_key;
                entry.ids += 1;
            }
            None => {
                let issued_by = OnceLock::new();
                self.entries.push(DeployedCertificate { certificate, has_private_key, ids: 1, issued_by });
            }
        }
        let replaced = self.by_id.insert(id.into(), index);
        if let Some(entry) = replaced.and_then(|replaced| self.entries.get_mut(replaced)) {
            entry.ids -= 1;
            if entry.ids == 0 {
                self.by_thumbprint.retain(|_, index| Some(*index) != replaced);
            }
        }
    }

    /// Returns the number of distinct certificates.
    pub fn len(&self) -> usize {
        self.by_thumbprint.len()
    }

    /// Returns true if there are no certificates.
    pub fn is_empty(&self) -> bool {
        self.by_thumbprint.is_empty()
    }

    /// Returns the certificate with an id.
    pub fn by_id(&self, id: &str) -> Option<&DeployedCertificate> {
        self.entries.get(*self.by_id.get(id)?)
    }

    /// Returns all ids in alphabetic order.
    pub fn ids(&self) -> Vec<&str> {
        let mut ids: Vec<_> = self.by_id.keys().map(|id| &**id).collect();
        ids.sort_unstable();
        ids
    }

    /// Returns the certificate with a SHA-1 thumbprint.
    pub fn by_thumbprint(&self, thumbprint: Thumbprint) -> Option<&DeployedCertificate> {
        match thumbprint {
            Thumbprint::Sha1(digest) => self.entries.get(*self.by_thumbprint.get(&digest)?),
            _ => None,
        }
    }

    /// Returns true if there is a certificate with this SHA-1 thumbprint. Constant time in the number of certificates.
    pub fn contains(&self, thumbprint: Thumbprint) -> bool {
        self.by_thumbprint(thumbprint).is_some()
    }

    /// Returns all distinct certificates in insertion order.
    pub fn iter(&self) -> impl Iterator<Item = &DeployedCertificate> {
        self.entries.iter().filter(|entry| entry.ids > 0)
    }
}

impl Sealed for DeploymentCertificates {}

impl Deployment for Shared<DeploymentCertificates> {
    fn certificates(&self) -> Arc<DeploymentCertificates> {
        self.current()
    }
}
