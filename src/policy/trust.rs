mod verdicts;

use std::{
    fmt,
    sync::{Arc, OnceLock},
};

use super::{
    ChainRequirements, Rejection, RejectionKind, Revocation, TrustError, accepted_chains::AcceptedChains,
    chain::ChainVerdict, path::Root, verdict_cache::VerdictCache,
};
use crate::{
    certificate::{Presented, Timestamp},
    generation::Generation,
    keys::pem,
};

/// Roots in which clients' chains may end.
///
/// Chains are verified for TLS client authentication as RFC 5280, section 6, requires: signatures, names (compared as in
/// section 7.1), validity periods, name constraints, policies, path length, key usage, extended key usage, critical
/// extensions and, [with lists](Self::with_revocation), revocation. Intermediates come from the client's handshake; if
/// several paths exist, one that is valid is enough. Cheap to clone.
///
/// 1. *Roots* are checked as other certificates are: a chain that ends in a root outside its validity period is rejected
///    ([`RejectionKind::ExpiredCa`]), unless [`allow_expired_ca`](Self::allow_expired_ca) is called. The constraints of a
///    root's certificate apply to the chain. An intermediate CA can be a root.
/// 2. *Key usage*, where a certificate has the extension: a CA's must include keyCertSign, the client's digitalSignature
///    or keyAgreement ([`RejectionKind::KeyUsage`]).
/// 3. *Extended key usage*, where a certificate has the extension, must include clientAuth or anyExtendedKeyUsage
///    ([`RejectionKind::WrongPurpose`]).
/// 4. *Keys* are RSA of at least 2048 bits, P-256, P-384, P-521 (not with `ring`) and Ed25519; signatures use SHA-256,
///    SHA-384 or SHA-512. See [`with_requirements`](Self::with_requirements).
///
/// A root is a CA certificate, or a self-signed client certificate that is not a CA (`CA:FALSE`), which admits itself
/// only. Other leaf certificates are an error: list the CA that issued them, or pin them with
/// [`PolicyBuilder::thumbprint`](super::PolicyBuilder::thumbprint). A CA certificate (`CA:TRUE`, the default of
/// `openssl req -x509`) is a client certificate as others are: it is accepted if it is listed, or a chain leads from it to
/// a root, and its key usage permits it. [`Policy::explain`](super::Policy::explain) prints why a chain fails.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
/// # let (ca_key, client_key) = (KeyPair::generate()?, KeyPair::generate()?);
/// # let mut params = CertificateParams::default();
/// # params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
/// # let ca_pem = params.self_signed(&ca_key)?.pem();
/// # let mut client = CertificateParams::default();
/// # client.distinguished_name.push(rcgen::DnType::CommonName, "orders");
/// # let client_pem = client.signed_by(&client_key, &Issuer::new(params, ca_key))?.pem();
/// use tower_mtls::{Policy, TrustAnchors};
///
/// let roots = TrustAnchors::from_pem(&ca_pem)?;
/// assert_eq!(roots.len(), 1);
/// assert!(Policy::builder().trust(roots).build().is_ok());
///
/// let error = TrustAnchors::from_pem(ca_pem + &client_pem).unwrap_err().to_string();
/// assert!(error.contains("CN=orders") && error.contains("is not a CA certificate"), "{error}");
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct TrustAnchors(Arc<Inner>);

struct Inner {
    roots: Vec<Root>,
    accepted: AcceptedChains,
    generation: Generation,
    /// The same roots [without revocation checks](TrustAnchors::without_revocation), once they are needed.
    without_revocation: OnceLock<TrustAnchors>,
}

impl TrustAnchors {
    /// Reads roots from a PEM text (see [`pem`](crate::keys::pem)) of one or more certificates, and comments.
    ///
    /// # Errors
    ///
    /// 1. [`TrustError::NoAlgorithms`]: neither `aws-lc-rs` nor `ring` is enabled.
    /// 2. [`TrustError::Pem`]: the text is not PEM, has no certificate, or has a block that is not a certificate.
    /// 3. [`TrustError::Certificate`]: a certificate cannot be read as a root.
    /// 4. [`TrustError::Leaf`]: a certificate is neither a CA certificate nor self-signed.
    ///
    /// ```
    /// # #[cfg(any(feature = "aws-lc-rs", feature = "ring"))]
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let mut params = rcgen::CertificateParams::default();
    /// # params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    /// # let roots = params.self_signed(&rcgen::KeyPair::generate()?)?.pem();
    /// use tower_mtls::{TrustAnchors, policy::TrustError};
    ///
    /// assert_eq!(TrustAnchors::from_pem(roots)?.len(), 1);
    /// assert!(matches!(TrustAnchors::from_pem("").unwrap_err(), TrustError::Pem(_)));
    /// # Ok(())
    /// # }
    /// # #[cfg(not(any(feature = "aws-lc-rs", feature = "ring")))]
    /// # fn main() {}
    /// ```
    pub fn from_pem(pem: impl AsRef<[u8]>) -> Result<Self, TrustError> {
        let certificates = pem::authorities(pem.as_ref()).map_err(TrustError::Pem)?;
        Self::new(certificates.iter().map(|(line, der)| (Some(*line), der.as_ref())))
    }

    /// Reads roots from one or more DER-encoded certificates.
    ///
    /// # Errors
    ///
    /// As [`from_pem`](Self::from_pem), with [`TrustError::Empty`] in place of [`TrustError::Pem`].
    ///
    /// ```
    /// # #[cfg(any(feature = "aws-lc-rs", feature = "ring"))]
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let mut params = rcgen::CertificateParams::default();
    /// # params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    /// # let root = params.self_signed(&rcgen::KeyPair::generate()?)?;
    /// use tower_mtls::{TrustAnchors, policy::TrustError};
    ///
    /// assert_eq!(TrustAnchors::from_der([&root.der()[..]])?.len(), 1);
    /// assert!(matches!(TrustAnchors::from_der([]).unwrap_err(), TrustError::Empty));
    /// # Ok(())
    /// # }
    /// # #[cfg(not(any(feature = "aws-lc-rs", feature = "ring")))]
    /// # fn main() {}
    /// ```
    pub fn from_der<'a>(roots: impl IntoIterator<Item = &'a [u8]>) -> Result<Self, TrustError> {
        Self::new(roots.into_iter().map(|der| (None, der)))
    }

    fn new<'a>(roots: impl Iterator<Item = (Option<usize>, &'a [u8])>) -> Result<Self, TrustError> {
        if webpki::ALL_VERIFICATION_ALGS.is_empty() {
            return Err(TrustError::NoAlgorithms);
        }
        let read = roots.enumerate().map(|(index, (line, der))| {
            let root = Root::read(der).map_err(|problem| TrustError::Certificate { index, line, problem })?;
            if root.is_leaf() {
                return Err(TrustError::Leaf { index, line, subject: root.subject().to_string() });
            }
            Ok(root)
        });
        let roots = read.collect::<Result<Vec<_>, _>>()?;
        if roots.is_empty() { Err(TrustError::Empty) } else { Ok(Self::of(roots)) }
    }

    fn of(roots: Vec<Root>) -> Self {
        let (accepted, generation) = (AcceptedChains::default(), Generation::next());
        Self(Arc::new(Inner { roots, accepted, generation, without_revocation: OnceLock::new() }))
    }

    fn map_roots(self, change: impl FnMut(&mut Root)) -> Self {
        let mut roots = self.0.roots.clone();
        roots.iter_mut().for_each(change);
        Self::of(roots)
    }

    /// Accepts chains to these roots outside the roots' own validity periods. Default: off.
    ///
    /// The validity periods of intermediates and of the client certificate are still checked. Roots that
    /// [`union`](Self::union) adds later keep their own setting.
    #[must_use]
    pub fn allow_expired_ca(self) -> Self {
        self.map_roots(|root| root.allow_expired = true)
    }

    /// Accepts only chains that satisfy these requirements. Default: [`ChainRequirements::new`]. Roots that
    /// [`union`](Self::union) adds later keep their own requirements.
    ///
    /// ```
    /// # #[cfg(any(feature = "aws-lc-rs", feature = "ring"))]
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let key = rcgen::KeyPair::generate()?;
    /// # let mut params = rcgen::CertificateParams::default();
    /// # params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    /// # let ca = params.self_signed(&key)?.pem();
    /// # let issuer = rcgen::Issuer::new(params, key);
    /// # let client = rcgen::CertificateParams::default();
    /// # let client = client.signed_by(&rcgen::KeyPair::generate()?, &issuer)?;
    /// use tower_mtls::{
    ///     TrustAnchors,
    ///     certificate::{Clock, Presented, SystemClock},
    ///     policy::{ChainRequirements, SignatureAlgorithm},
    /// };
    ///
    /// let only = |algorithm| ChainRequirements::new().signature_algorithms([algorithm]);
    /// let roots = TrustAnchors::from_pem(ca)?;
    /// let ecdsa = roots.clone().with_requirements(only(SignatureAlgorithm::EcdsaSha256));
    /// let ed25519 = roots.with_requirements(only(SignatureAlgorithm::Ed25519));
    ///
    /// // Signed with ECDSA.
    /// let presented = Presented::from_der_chain([&client.der()[..]]);
    /// let now = SystemClock.now();
    /// assert!(ecdsa.judge(&presented, now).is_ok());
    /// assert!(ed25519.judge(&presented, now).is_err());
    /// # Ok(())
    /// # }
    /// # #[cfg(not(any(feature = "aws-lc-rs", feature = "ring")))]
    /// # fn main() {}
    /// ```
    #[must_use]
    pub fn with_requirements(self, requirements: ChainRequirements) -> Self {
        let requirements = Arc::new(requirements);
        self.map_roots(|root| root.requirements = Arc::clone(&requirements))
    }

    /// Checks the certificates of chains to these roots, but not the roots, against revocation lists. Default: no lists.
    /// Roots that [`union`](Self::union) adds later keep their own lists.
    ///
    /// The signatures of lists that a root issued are verified here, those of an intermediate's lists with the first valid
    /// chain.
    ///
    /// ```
    /// # #[cfg(any(feature = "aws-lc-rs", feature = "ring"))]
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let key = rcgen::KeyPair::generate()?;
    /// # let mut params = rcgen::CertificateParams::default();
    /// # params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    /// # params.distinguished_name.push(rcgen::DnType::CommonName, "root");
    /// # let ca = params.self_signed(&key)?.pem();
    /// # let issuer = rcgen::Issuer::new(params, key);
    /// # let [this_update, next_update] = [1, 2].map(|month| rcgen::date_time_ymd(2026, month, 1));
    /// # let (crl_number, issuing_distribution_point, revoked_certs) = (7.into(), None, vec![]);
    /// # let key_identifier_method = rcgen::KeyIdMethod::Sha256;
    /// # let crl = rcgen::CertificateRevocationListParams { this_update, next_update, crl_number, revoked_certs,
    /// #     issuing_distribution_point, key_identifier_method }.signed_by(&issuer)?.pem()?;
    /// use tower_mtls::{TrustAnchors, policy::{Revocation, RevocationList, RevocationMode}};
    /// let lists = RevocationList::read(crl.into_bytes())?;
    /// let revocation = Revocation::new(RevocationMode::Strict, lists);
    /// assert_eq!(revocation.unverified(), 1);
    /// let _roots = TrustAnchors::from_pem(&ca)?.with_revocation(revocation.clone());
    /// assert_eq!(revocation.unverified(), 0);
    /// # Ok(())
    /// # }
    /// # #[cfg(not(any(feature = "aws-lc-rs", feature = "ring")))]
    /// # fn main() {}
    /// ```
    #[must_use]
    pub fn with_revocation(self, revocation: Revocation) -> Self {
        self.map_roots(|root| root.set_revocation(revocation.clone()))
    }

    /// Declares that the revocation status of chains to these roots is not checked, and removes
    /// [lists](Self::with_revocation). Default: not declared, which checks nothing either; a policy document that checks
    /// revocation needs lists or this declaration. Roots that [`union`](Self::union) adds later keep their own.
    #[must_use]
    pub fn without_revocation(self) -> Self {
        if self.0.roots.iter().all(Root::is_revocation_off) {
            return self;
        }
        let off = || self.clone().map_roots(Root::set_revocation_off);
        self.0.without_revocation.get_or_init(off).clone()
    }

    /// Returns the roots of both sets.
    #[must_use]
    pub fn union(self, other: &Self) -> Self {
        Self::of([self.0.roots.as_slice(), &other.0.roots].concat())
    }

    /// The number of roots.
    #[expect(clippy::len_without_is_empty, reason = "never empty")]
    pub fn len(&self) -> usize {
        self.0.roots.len()
    }

    /// Judges the chain of a presented certificate at the time `now`, as a policy with
    /// [`trust`](super::PolicyBuilder::trust) alone does.
    ///
    /// The verdict is cached in the certificate: judging it again takes no lock and allocates nothing.
    ///
    /// # Errors
    ///
    /// A [`Rejection`] whose kind is
    /// 1. [`Missing`](RejectionKind::Missing) or [`Unreadable`](RejectionKind::Unreadable) if there is no certificate to
    ///    judge;
    /// 2. [`Expired`](RejectionKind::Expired) or [`NotYetValid`](RejectionKind::NotYetValid) if the certificate is outside
    ///    its validity period;
    /// 3. [`NotTrusted`](RejectionKind::NotTrusted), [`WrongPurpose`](RejectionKind::WrongPurpose),
    ///    [`KeyUsage`](RejectionKind::KeyUsage), [`ExpiredCa`](RejectionKind::ExpiredCa),
    ///    [`Revoked`](RejectionKind::Revoked) or [`RevocationUnknown`](RejectionKind::RevocationUnknown) if its chain is
    ///    not trusted;
    /// 4. [`Undecidable`](RejectionKind::Undecidable) if `now` is before 1970.
    ///
    /// ```
    /// # #[cfg(any(feature = "aws-lc-rs", feature = "ring"))]
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let key = rcgen::KeyPair::generate()?;
    /// # let mut params = rcgen::CertificateParams::default();
    /// # params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    /// # let ca = params.self_signed(&key)?.pem();
    /// # let issuer = rcgen::Issuer::new(params, key);
    /// # let client = rcgen::CertificateParams::default();
    /// # let client = client.signed_by(&rcgen::KeyPair::generate()?, &issuer)?;
    /// # let self_made = rcgen::generate_simple_self_signed(vec![])?.cert;
    /// use tower_mtls::{TrustAnchors, certificate::{Clock, Presented, SystemClock}, policy::RejectionKind};
    ///
    /// let roots = TrustAnchors::from_pem(ca)?;
    /// let presented = |der: &[u8]| Presented::from_der_chain([der]);
    /// let now = SystemClock.now();
    /// assert!(roots.judge(&presented(client.der()), now).is_ok());
    ///
    /// let rejection = roots.judge(&presented(self_made.der()), now).unwrap_err();
    /// assert_eq!(rejection.kind(), RejectionKind::NotTrusted);
    /// # Ok(())
    /// # }
    /// # #[cfg(not(any(feature = "aws-lc-rs", feature = "ring")))]
    /// # fn main() {}
    /// ```
    #[inline]
    pub fn judge(&self, presented: &Presented, now: Timestamp) -> Result<(), Rejection> {
        match presented {
            Presented::Certificate(certificate)
                if VerdictCache::of_chain(certificate).get(self.0.generation, now)
                    == Some(ChainVerdict::Trusted.code()) =>
            {
                Ok(())
            }
            _ => self.judge_uncached(presented, now),
        }
    }

    #[cold]
    fn judge_uncached(&self, presented: &Presented, now: Timestamp) -> Result<(), Rejection> {
        let certificate = match presented {
            Presented::Certificate(certificate) => certificate,
            Presented::Nothing => return Err(Rejection::new(RejectionKind::Missing)),
            Presented::Unreadable(_) => return Err(Rejection::new(RejectionKind::Unreadable)),
        };
        let Some((verdict, _)) = self.verdict(certificate, now) else {
            return Err(Rejection::new(RejectionKind::Undecidable));
        };
        let kind = match verdict {
            ChainVerdict::Trusted => return Ok(()),
            _ if now < certificate.validity().not_before => RejectionKind::NotYetValid,
            _ if now > certificate.validity().not_after => RejectionKind::Expired,
            verdict => verdict.kind(),
        };
        Err(Rejection::of_chain(kind, verdict))
    }
}

impl fmt::Debug for TrustAnchors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TrustAnchors").field("roots", &self.0.roots.len()).finish()
    }
}

#[cfg(test)]
mod tests;
