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

/// Where documents find the deployment's certificates: what `context.Deployment.Certificates`, `certificate-id`
/// and `issuer-certificate-id` mean.
///
/// Asked at most once a request, and each request sees one state of it. It must answer out of memory and not
/// block.
pub trait Deployment: fmt::Debug + Send + Sync + 'static {
    /// The certificates as they are now.
    fn certificates(&self) -> Arc<DeploymentCertificates>;
}

/// A certificate of the deployment.
#[derive(Debug, Clone)]
pub struct DeployedCertificate {
    certificate: Certificate,
    has_private_key: bool,
    /// How many ids name it. One that none names any more is not found in any way.
    ids: usize,
    issued_by: OnceLock<Option<Rule>>,
}

impl DeployedCertificate {
    /// The certificate.
    pub fn certificate(&self) -> &Certificate {
        &self.certificate
    }

    /// Whether the deployment holds its key, so that it can be presented to backends.
    pub fn has_private_key(&self) -> bool {
        self.has_private_key
    }

    /// Whether its key signed a certificate.
    pub(crate) fn issued(&self, certificate: &Certificate, now: Timestamp) -> Answer {
        let rule = self.issued_by.get_or_init(|| {
            let roots = TrustAnchors::from_der([self.certificate.der()]).ok()?;
            Some(Rule::issuer_thumbprint_among([self.certificate.sha256_thumbprint()], roots))
        });
        rule.as_ref().map_or(Answer::CannotTell, |rule| rule.answer(certificate, now))
    }
}

/// One state of the deployment's certificates: those with a private key, which are presented to backends, and
/// those without, by which callers are known.
///
/// Found by id and by SHA-1 thumbprint, as in APIM. Two ids may name the same certificate.
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
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, Default)]
pub struct DeploymentCertificates {
    entries: Vec<DeployedCertificate>,
    // Keyed hashes: whoever chooses certificates chooses thumbprints.
    by_thumbprint: HashMap<[u8; 20], usize>,
    by_id: HashMap<Box<str>, usize>,
}

impl DeploymentCertificates {
    /// No certificates.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a certificate under an id.
    #[must_use]
    pub fn with(mut self, id: impl Into<Box<str>>, certificate: Certificate, has_private_key: bool) -> Self {
        self.insert(id, certificate, has_private_key);
        self
    }

    /// Adds a certificate under an id. A later certificate under the same id takes its place there.
    pub fn insert(&mut self, id: impl Into<Box<str>>, certificate: Certificate, has_private_key: bool) {
        let Thumbprint::Sha1(thumbprint) = certificate.sha1_thumbprint() else { return };
        let index = *self.by_thumbprint.entry(thumbprint).or_insert(self.entries.len());
        match self.entries.get_mut(index) {
            Some(entry) => {
                entry.has_private_key |= has_private_key;
                entry.ids += 1;
            }
            None => self.entries.push(DeployedCertificate {
                certificate,
                has_private_key,
                ids: 1,
                issued_by: OnceLock::new(),
            }),
        }
        if let Some(replaced) = self.by_id.insert(id.into(), index)
            && let Some(entry) = self.entries.get_mut(replaced)
        {
            entry.ids -= 1;
            if entry.ids == 0
                && let Thumbprint::Sha1(thumbprint) = entry.certificate.sha1_thumbprint()
            {
                self.by_thumbprint.remove(&thumbprint);
            }
        }
    }

    /// The number of different certificates.
    pub fn len(&self) -> usize {
        self.by_thumbprint.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.by_thumbprint.is_empty()
    }

    /// The certificate under an id.
    pub fn by_id(&self, id: &str) -> Option<&DeployedCertificate> {
        self.entries.get(*self.by_id.get(id)?)
    }

    /// All ids, in their alphabetic order.
    pub fn ids(&self) -> Vec<&str> {
        let mut ids: Vec<_> = self.by_id.keys().map(|id| &**id).collect();
        ids.sort_unstable();
        ids
    }

    /// The certificate with a SHA-1 thumbprint.
    pub fn by_thumbprint(&self, thumbprint: Thumbprint) -> Option<&DeployedCertificate> {
        match thumbprint {
            Thumbprint::Sha1(octets) => self.entries.get(*self.by_thumbprint.get(&octets)?),
            _ => None,
        }
    }

    /// Whether there is a certificate with this SHA-1 thumbprint; the number of certificates does not matter.
    pub fn contains(&self, thumbprint: Thumbprint) -> bool {
        self.by_thumbprint(thumbprint).is_some()
    }

    /// All different certificates, in the order in which they were added.
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

impl<D: Deployment + ?Sized> Deployment for Arc<D> {
    fn certificates(&self) -> Arc<DeploymentCertificates> {
        D::certificates(self)
    }
}
