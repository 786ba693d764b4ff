use std::{fmt, sync::Arc};

use rustls_pki_types::{CertificateDer, TrustAnchor};

use super::{
    Answer, RejectionKind,
    answer::Judgement,
    chain::{self, ChainVerdict, Root},
};
use crate::{
    certificate::{Certificate, Timestamp},
    generation::Generation,
    pem::{self, PemError},
};

/// The roots that callers' chains may end in.
///
/// A chain is judged as RFC 5280 says, by `rustls-webpki` and here: signatures, names, dates, basic and name
/// constraints, and extended key usage for TLS client authentication on every certificate that limits it.
/// Intermediates come from the caller's handshake. Cheap to clone.
///
/// Two checks are OpenSSL's and .NET's as well, and stricter than webpki's:
/// 1. *Key usage*, where a certificate has the extension: a CA's must include keyCertSign, the root's too
///    ([`RejectionKind::KeyUsage`]), and the caller's must include digitalSignature or keyAgreement.
/// 2. *The root's dates*: no chain may end in a root that has expired or is not valid yet
///    ([`RejectionKind::ExpiredCa`]), unless [`allow_expired_ca`](Self::allow_expired_ca) says so. Of several
///    roots with the same name and key, one that is valid is enough.
///
/// A certificate that may sign others (CA:TRUE, as `openssl req -x509` makes them) is never accepted as a
/// caller's own, even if it is listed as a root: pin such a certificate by its thumbprint.
#[derive(Clone)]
pub struct TrustAnchors(Arc<Inner>);

struct Inner {
    anchors: Vec<TrustAnchor<'static>>,
    /// The certificates of `anchors`, one for one.
    roots: Vec<Root>,
    generation: Generation,
}

/// A chain that failed is tried again after this many seconds: one of its certificates may have become valid.
const RETRY_AFTER: i64 = 60;

impl TrustAnchors {
    /// Trusts the certificates of a PEM text, as [`pem`](crate::pem) reads it; it must have at least one, and
    /// nothing else than certificates and comments.
    ///
    /// # Errors
    ///
    /// 1. [`TrustError::Pem`]: the text is not PEM, has no certificate, or a block that is not a certificate.
    /// 2. [`TrustError::Certificate`]: one of the certificates cannot be read as a root.
    /// 3. [`TrustError::NoAlgorithms`]: neither `aws-lc-rs` nor `ring` is enabled.
    pub fn from_pem(pem: impl AsRef<[u8]>) -> Result<Self, TrustError> {
        let certificates = pem::authorities(pem.as_ref()).map_err(TrustError::Pem)?;
        Self::new(certificates.iter().map(|(line, der)| (Some(*line), der.as_ref())))
    }

    /// Trusts DER-encoded certificates; there must be at least one.
    ///
    /// # Errors
    ///
    /// As [`from_pem`](Self::from_pem), without the first.
    pub fn from_der<'a>(roots: impl IntoIterator<Item = &'a [u8]>) -> Result<Self, TrustError> {
        Self::new(roots.into_iter().map(|der| (None, der)))
    }

    fn new<'a>(roots: impl Iterator<Item = (Option<usize>, &'a [u8])>) -> Result<Self, TrustError> {
        if webpki::ALL_VERIFICATION_ALGS.is_empty() {
            return Err(TrustError::NoAlgorithms);
        }
        let read = roots.enumerate().map(|(index, (line, der))| {
            Root::read(der).map_err(|problem| TrustError::Certificate { index, line, problem })
        });
        let (anchors, roots): (Vec<_>, Vec<_>) = read.collect::<Result<Vec<_>, _>>()?.into_iter().unzip();
        if anchors.is_empty() {
            return Err(TrustError::Empty);
        }
        Ok(Self(Arc::new(Inner { anchors, roots, generation: Generation::next() })))
    }

    /// Accepts chains to these roots before and after the roots' own validity periods. Default: off.
    ///
    /// The dates of intermediates and of the caller's certificate are judged all the same. Roots that
    /// [`union`](Self::union) adds later keep their own setting.
    #[must_use]
    pub fn allow_expired_ca(self) -> Self {
        let mut roots = self.0.roots.clone();
        for root in &mut roots {
            root.allow_expired = true;
        }
        Self(Arc::new(Inner { anchors: self.0.anchors.clone(), roots, generation: Generation::next() }))
    }

    /// Trusts the roots of both sets.
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

    pub(super) fn judge(&self, certificate: &Certificate, now: Timestamp) -> Judgement<'_> {
        match self.verdict(certificate, now) {
            Some((verdict, until)) => {
                Judgement::lasting(verdict == ChainVerdict::Trusted, verdict.kind()).no_longer_than(until)
            }
            None => Judgement::momentary(Answer::CannotTell, RejectionKind::Undecidable),
        }
    }

    /// A verdict, remembered or reached now, and the last second in which it stands.
    fn verdict(&self, certificate: &Certificate, now: Timestamp) -> Option<(ChainVerdict, Timestamp)> {
        if let Some(code) = certificate.chains().get(self.0.generation, now) {
            // How long the verdict stands is remembered with it: asked again each second, never longer.
            return Some((ChainVerdict::from_code(code), now));
        }
        chain::unix_time(now)?;
        let chain: Vec<_> = certificate.chain().map(CertificateDer::from).collect();
        let (verdict, until) = match chain::verify(certificate, &self.0.anchors, &self.0.roots, &chain, now) {
            Ok(until) => (ChainVerdict::Trusted, until),
            Err(verdict) => (verdict, now.plus(RETRY_AFTER)),
        };
        certificate.chains().put(self.0.generation, verdict.code(), now, until);
        Some((verdict, until))
    }

    /// Whether this very certificate is listed as a root.
    #[cfg(feature = "apim")]
    pub(crate) fn lists(&self, certificate: &Certificate) -> bool {
        self.0.roots.iter().any(|root| root.der() == certificate.der())
    }

    pub(super) fn roots(&self) -> &[Root] {
        &self.0.roots
    }

    /// Why no chain stands, in words; None if one does.
    pub(super) fn failure(&self, certificate: &Certificate, now: Timestamp) -> Option<&'static str> {
        self.verdict(certificate, now)?.0.describe()
    }

    /// As [`failure`](Self::failure), if the chain was judged lately: nothing is verified for it.
    #[cfg(feature = "apim")]
    pub(crate) fn known_failure(&self, certificate: &Certificate, now: Timestamp) -> Option<&'static str> {
        ChainVerdict::from_code(certificate.chains().get(self.0.generation, now)?).describe()
    }
}

impl fmt::Debug for TrustAnchors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TrustAnchors").field("roots", &self.0.roots.len()).finish()
    }
}

/// Why roots could not be taken into a [`TrustAnchors`].
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum TrustError {
    /// The text is not PEM, has no certificate, or a block that is not a certificate.
    Pem(PemError),
    /// A certificate cannot be read as a root.
    #[non_exhaustive]
    Certificate {
        /// Its position, from 0.
        index: usize,
        /// Its line in the PEM text, from 1.
        line: Option<usize>,
        /// What is wrong with it.
        problem: String,
    },
    /// There was no certificate at all.
    Empty,
    /// The crate was built without a crypto provider.
    NoAlgorithms,
}

impl fmt::Display for TrustError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Pem(error) => error.fmt(f),
            Self::Certificate { line: Some(line), problem, .. } => {
                write!(f, "line {line}: this certificate cannot be read as a root: {problem}")
            }
            Self::Certificate { index, problem, .. } => {
                write!(f, "certificate {} cannot be read as a root: {problem}", index + 1)
            }
            Self::Empty => f.write_str("no root certificate was given, so nobody would pass"),
            Self::NoAlgorithms => f.write_str("enable the feature `aws-lc-rs` or `ring` to verify chains"),
        }
    }
}

impl std::error::Error for TrustError {}
