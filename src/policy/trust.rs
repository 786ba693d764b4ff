use std::{fmt, sync::Arc};

use rustls_pki_types::{CertificateDer, TrustAnchor};

use super::{
    Answer, ChainRequirements, Rejection, RejectionKind, Revocation,
    chain::{self, ChainVerdict, Root},
    rule_result::RuleResult,
    verdict_cache::VerdictCache,
};
use crate::{
    certificate::{Certificate, Presented, Timestamp},
    generation::Generation,
    keys::pem::{self, PemError},
};

/// Roots in which clients' chains may end.
///
/// Chains are verified as RFC 5280 requires, by `rustls-webpki` and here: signatures, names, validity periods, basic and
/// name constraints, and extended key usage for TLS client authentication on every certificate that limits it.
/// Intermediates come from the client's handshake. Cheap to clone.
///
/// Two checks are stricter than webpki's, and the same as OpenSSL's and .NET's:
/// 1. *Key usage*, where a certificate has the extension: a CA's must include keyCertSign, the root's too
///    ([`RejectionKind::KeyUsage`]), and the client's must include digitalSignature or keyAgreement.
/// 2. *Validity of the root*: a chain that ends in a root outside its validity period is rejected
///    ([`RejectionKind::ExpiredCa`]), unless [`allow_expired_ca`](Self::allow_expired_ca) is called. Of several roots
///    with the same name and key, one valid root is enough.
///
/// A root is a CA certificate, or a self-signed client certificate that is not a CA (`CA:FALSE`), which admits itself
/// only. Other leaf certificates are an error: list the CA that issued them, or pin them with
/// [`PolicyBuilder::thumbprint`](super::PolicyBuilder::thumbprint). A CA certificate (`CA:TRUE`, the default of
/// `openssl req -x509`) is never accepted as a client certificate, even if it is listed: pin it by its thumbprint. A
/// client certificate must be version 3, that is have extensions (`openssl x509 -req -extfile`).
/// [`Policy::explain`](super::Policy::explain) prints why a chain fails.
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
    anchors: Vec<TrustAnchor<'static>>,
    /// One entry per anchor, in the same order.
    roots: Vec<Root>,
    generation: Generation,
}

/// Seconds before a failed chain is verified again: one of its certificates may have become valid.
const RETRY_AFTER: i64 = 60;

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
            let read = Root::read(der).map_err(|problem| TrustError::Certificate { index, line, problem })?;
            match &read.1 {
                root if root.is_leaf() => Err(TrustError::Leaf { index, line, subject: root.subject() }),
                _ => Ok(read),
            }
        });
        let (anchors, roots): (Vec<_>, Vec<_>) = read.collect::<Result<Vec<_>, _>>()?.into_iter().unzip();
        if anchors.is_empty() {
            return Err(TrustError::Empty);
        }
        Ok(Self(Arc::new(Inner { anchors, roots, generation: Generation::next() })))
    }

    /// Accepts chains to these roots outside the roots' own validity periods. Default: off.
    ///
    /// The validity periods of intermediates and of the client certificate are still checked. Roots that
    /// [`union`](Self::union) adds later keep their own setting.
    #[must_use]
    pub fn allow_expired_ca(self) -> Self {
        let mut roots = self.0.roots.clone();
        for root in &mut roots {
            root.allow_expired = true;
        }
        Self(Arc::new(Inner { anchors: self.0.anchors.clone(), roots, generation: Generation::next() }))
    }

    /// Accepts only chains that satisfy these requirements.
    #[must_use]
    pub fn with_requirements(self, requirements: ChainRequirements) -> Self {
        let _ = requirements;
        Self(Arc::new(Inner {
            anchors: self.0.anchors.clone(),
            roots: self.0.roots.clone(),
            generation: Generation::next(),
        }))
    }

    /// Checks the certificates of chains against revocation lists.
    #[must_use]
    pub fn with_revocation(self, revocation: Revocation) -> Self {
        let _ = revocation;
        Self(Arc::new(Inner {
            anchors: self.0.anchors.clone(),
            roots: self.0.roots.clone(),
            generation: Generation::next(),
        }))
    }

    /// Returns the roots of both sets.
    #[must_use]
    pub fn union(self, other: &Self) -> Self {
        let anchors = [self.0.anchors.as_slice(), &other.0.anchors].concat();
        Self(Arc::new(Inner {
            anchors,
            roots: [self.0.roots.as_slice(), &other.0.roots].concat(),
            generation: Generation::next(),
        }))
    }

    /// The number of roots.
    #[expect(clippy::len_without_is_empty, reason = "never empty")]
    pub fn len(&self) -> usize {
        self.0.anchors.len()
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
    ///    [`KeyUsage`](RejectionKind::KeyUsage) or [`ExpiredCa`](RejectionKind::ExpiredCa) if its chain is not trusted;
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
        let kind = match self.verdict(certificate, now) {
            Some((ChainVerdict::Trusted, _)) => return Ok(()),
            None => RejectionKind::Undecidable,
            Some(_) if now < certificate.validity().not_before => RejectionKind::NotYetValid,
            Some(_) if now > certificate.validity().not_after => RejectionKind::Expired,
            Some((verdict, _)) => verdict.kind(),
        };
        Err(Rejection::new(kind))
    }

    /// The verdict on a chain in a handshake; None if `now` is before 1970.
    #[cfg(feature = "acceptor")]
    pub(crate) fn chain_verdict(&self, certificate: &Certificate, now: Timestamp) -> Option<ChainVerdict> {
        self.verdict(certificate, now).map(|(verdict, _)| verdict)
    }

    pub(super) fn judge_chain(&self, certificate: &Certificate, now: Timestamp) -> RuleResult<'_> {
        match self.verdict(certificate, now) {
            Some((verdict, until)) => {
                RuleResult::cacheable(verdict == ChainVerdict::Trusted, verdict.kind()).valid_until(until)
            }
            None => RuleResult::uncached(Answer::CannotTell, RejectionKind::Undecidable),
        }
    }

    /// The cached or a new verdict, and the last second in which it is valid.
    fn verdict(&self, certificate: &Certificate, now: Timestamp) -> Option<(ChainVerdict, Timestamp)> {
        if let Some(code) = VerdictCache::of_chain(certificate).get(self.0.generation, now) {
            // The cache checks the verdict's own end on each lookup.
            return Some((ChainVerdict::from_code(code), now));
        }
        chain::unix_time(now)?;
        let chain: Vec<_> = certificate.chain().map(CertificateDer::from).collect();
        let (verdict, until) = match chain::verify(certificate, &self.0.anchors, &self.0.roots, &chain, now) {
            Ok(until) => (ChainVerdict::Trusted, until),
            Err(verdict) => (verdict, now.plus(RETRY_AFTER)),
        };
        VerdictCache::of_chain(certificate).put(self.0.generation, verdict.code(), now, until);
        Some((verdict, until))
    }

    /// Returns true if exactly this certificate is listed as a root.
    #[cfg(feature = "apim")]
    pub(crate) fn lists(&self, certificate: &Certificate) -> bool {
        self.0.roots.iter().any(|root| root.der() == certificate.der())
    }

    pub(super) fn roots(&self) -> &[Root] {
        &self.0.roots
    }

    /// Reason why the chain is not trusted; None if it is.
    pub(super) fn failure(&self, certificate: &Certificate, now: Timestamp) -> Option<&'static str> {
        self.verdict(certificate, now)?.0.describe()
    }

    /// As [`failure`](Self::failure), from a cached verdict only: verifies no chain.
    #[cfg(feature = "apim")]
    pub(crate) fn known_failure(&self, certificate: &Certificate, now: Timestamp) -> Option<&'static str> {
        ChainVerdict::from_code(VerdictCache::of_chain(certificate).get(self.0.generation, now)?).describe()
    }
}

impl fmt::Debug for TrustAnchors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TrustAnchors").field("roots", &self.0.roots.len()).finish()
    }
}

/// Error of [`TrustAnchors::from_pem`] and [`TrustAnchors::from_der`].
///
/// ```
/// use tower_mtls::policy::{TrustAnchors, TrustError};
///
/// assert_eq!(TrustAnchors::from_der([]).unwrap_err(), TrustError::Empty);
/// assert!(matches!(TrustAnchors::from_pem("no certificate"), Err(TrustError::Pem(_))));
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum TrustError {
    /// The text is not PEM, has no certificate, or has a block that is not a certificate.
    Pem(PemError),
    /// A certificate cannot be read as a root.
    #[non_exhaustive]
    Certificate {
        /// Position, from 0.
        index: usize,
        /// Line in the PEM text, from 1.
        line: Option<usize>,
        /// Reason, as text.
        problem: String,
    },
    /// A certificate is neither a CA certificate nor self-signed, so no chain can end in it.
    #[non_exhaustive]
    Leaf {
        /// Position, from 0.
        index: usize,
        /// Line in the PEM text, from 1.
        line: Option<usize>,
        /// Subject of the certificate.
        subject: String,
    },
    /// The list is empty.
    Empty,
    /// The crate was built without a crypto provider.
    NoAlgorithms,
}

impl fmt::Display for TrustError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let position = match self {
            Self::Certificate { index, line, .. } | Self::Leaf { index, line, .. } => (*index, *line),
            Self::Pem(error) => return error.fmt(f),
            Self::Empty => {
                return f.write_str("no root certificate: every client would be rejected; add one");
            }
            Self::NoAlgorithms => {
                return f.write_str(
                    "no crypto provider: chains cannot be verified; enable `aws-lc-rs` or `ring`",
                );
            }
        };
        match position {
            (_, Some(line)) => write!(f, "line {line}: ")?,
            (index, None) => write!(f, "certificate {}: ", index + 1)?,
        }
        match self {
            Self::Leaf { subject, .. } => write!(
                f,
                "{subject:?} is not a CA certificate; list the CA that issued it, or pin it by its thumbprint"
            ),
            Self::Certificate { problem, .. } => {
                write!(f, "this certificate cannot be read as a root: {problem}")
            }
            _ => Ok(()),
        }
    }
}

impl std::error::Error for TrustError {}
