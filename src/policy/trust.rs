use std::{fmt, sync::Arc, time::Duration};

use rustls_pki_types::{CertificateDer, TrustAnchor, UnixTime};
use webpki::{EndEntityCert, KeyUsage, VerifiedPath};
use x509_parser::{certificate::X509Certificate, prelude::FromDer};

use super::{Answer, RejectionKind, answer::Judgement};
use crate::{
    certificate::{ClientCertificate, Timestamp},
    generation::Generation,
    pem::{self, PemError},
};

/// The roots that callers' chains may end in.
///
/// A chain is judged as RFC 5280 says, by `rustls-webpki`: signatures, names, dates, basic and name
/// constraints, key usage, and extended key usage for TLS client authentication on every certificate that
/// limits it. Intermediates come from the caller's handshake. The dates of a root itself are not judged: it
/// is trusted because it is listed here. Cheap to clone.
///
/// A certificate that may sign others (CA:TRUE, as `openssl req -x509` makes them) is never accepted as a
/// caller's own, even if it is listed as a root: pin such a certificate by its thumbprint.
#[derive(Clone)]
pub struct TrustAnchors(Arc<Inner>);

struct Inner {
    anchors: Vec<TrustAnchor<'static>>,
    /// The roots as they were given, for rules that ask which certificate signed.
    roots: Vec<CertificateDer<'static>>,
    generation: Generation,
}

const TRUSTED: u8 = 1;
const NOT_TRUSTED: u8 = 2;
const WRONG_PURPOSE: u8 = 3;

/// A chain that failed is tried again after this many seconds: one of its certificates may have become valid.
const RETRY_AFTER: i64 = 60;

impl TrustAnchors {
    /// Trusts the certificates of a PEM text; it must hold at least one.
    ///
    /// # Errors
    ///
    /// 1. [`TrustError::Pem`]: the text is not PEM, or holds no certificate.
    /// 2. [`TrustError::Certificate`]: one of the certificates cannot be read as a root.
    /// 3. [`TrustError::NoAlgorithms`]: neither `aws-lc-rs` nor `ring` is enabled.
    pub fn from_pem(pem: impl AsRef<[u8]>) -> Result<Self, TrustError> {
        let certificates = pem::certificates(pem.as_ref()).map_err(TrustError::Pem)?;
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
        let roots: Vec<_> = roots.map(|(line, der)| (line, CertificateDer::from(der).into_owned())).collect();
        let anchors = roots
            .iter()
            .enumerate()
            .map(|(index, (line, der))| match webpki::anchor_from_trusted_cert(der) {
                Ok(anchor) => Ok(anchor.to_owned()),
                Err(error) => {
                    Err(TrustError::Certificate { index, line: *line, problem: format!("{error:?}") })
                }
            })
            .collect::<Result<Vec<_>, _>>()?;
        if anchors.is_empty() {
            return Err(TrustError::Empty);
        }
        Ok(Self(Arc::new(Inner {
            anchors,
            roots: roots.into_iter().map(|(_, der)| der).collect(),
            generation: Generation::next(),
        })))
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

    pub(super) fn judge(&self, certificate: &ClientCertificate, now: Timestamp) -> Judgement {
        match self.verdict(certificate, now) {
            Some((verdict, until)) => judgement(verdict).no_longer_than(until),
            None => Judgement::momentary(Answer::CannotTell, RejectionKind::Undecidable),
        }
    }

    /// A verdict, remembered or reached now, and the last second in which it stands.
    fn verdict(&self, certificate: &ClientCertificate, now: Timestamp) -> Option<(u8, Timestamp)> {
        if let Some(verdict) = certificate.chains().get(self.0.generation, now) {
            // How long the verdict stands is remembered with it: asked again each second, never longer.
            return Some((verdict, now));
        }
        let time = unix_time(now)?;
        let (verdict, until) = match self.verify(certificate, time) {
            Ok(until) => (TRUSTED, until),
            Err(error) => (verdict_of(&error), now.plus(RETRY_AFTER)),
        };
        certificate.chains().put(self.0.generation, verdict, now, until);
        Some((verdict, until))
    }

    /// The last second in which the chain stands.
    fn verify(&self, certificate: &ClientCertificate, now: UnixTime) -> Result<Timestamp, webpki::Error> {
        let chain: Vec<_> = certificate.chain().map(CertificateDer::from).collect();
        verify(certificate, &self.0.anchors, &chain, now)
    }

    /// Whether this very certificate is listed as a root.
    #[cfg(feature = "apim")]
    pub(crate) fn lists(&self, certificate: &ClientCertificate) -> bool {
        self.0.roots.iter().any(|root| root.as_ref() == certificate.der())
    }

    pub(super) fn roots(&self) -> &[CertificateDer<'static>] {
        &self.0.roots
    }

    /// Why no chain stands, in words; None if one does.
    pub(super) fn failure(&self, certificate: &ClientCertificate, now: Timestamp) -> Option<&'static str> {
        describe(self.verdict(certificate, now)?.0)
    }

    /// As [`failure`](Self::failure), if the chain was judged lately: nothing is verified for it.
    #[cfg(feature = "apim")]
    pub(crate) fn known_failure(
        &self,
        certificate: &ClientCertificate,
        now: Timestamp,
    ) -> Option<&'static str> {
        describe(certificate.chains().get(self.0.generation, now)?)
    }
}

/// webpki knows no time before 1970.
pub(super) fn unix_time(now: Timestamp) -> Option<UnixTime> {
    u64::try_from(now.as_unix()).ok().map(|seconds| UnixTime::since_unix_epoch(Duration::from_secs(seconds)))
}

/// The last second in which a chain for client authentication stands.
pub(super) fn verify(
    certificate: &ClientCertificate,
    anchors: &[TrustAnchor<'_>],
    chain: &[CertificateDer<'_>],
    now: UnixTime,
) -> Result<Timestamp, webpki::Error> {
    let leaf = CertificateDer::from(certificate.der());
    let leaf = EndEntityCert::try_from(&leaf)?;
    let algorithms = webpki::ALL_VERIFICATION_ALGS;
    let path = leaf.verify_for_usage(algorithms, anchors, chain, now, KeyUsage::client_auth(), None, None)?;
    Ok(end_of(&path).min(certificate.validity().not_after))
}

/// What is remembered of a chain that does not stand. There are four bits for it.
fn verdict_of(error: &webpki::Error) -> u8 {
    use webpki::Error as E;
    match error {
        E::RequiredEkuNotFoundContext(_) => WRONG_PURPOSE,
        E::UnknownIssuer => 4,
        E::CaUsedAsEndEntity => 5,
        E::EndEntityUsedAsCa => 6,
        E::UnsupportedCertVersion => 7,
        E::CertExpired { .. } => 8,
        E::CertNotValidYet { .. } => 9,
        E::NameConstraintViolation => 10,
        E::PathLenConstraintViolated => 11,
        E::UnsupportedCriticalExtension => 12,
        E::InvalidSignatureForPublicKey => 13,
        _ => NOT_TRUSTED,
    }
}

/// A verdict in words; None of a chain that stands.
fn describe(verdict: u8) -> Option<&'static str> {
    Some(match verdict {
        TRUSTED => return None,
        WRONG_PURPOSE => "a certificate of the chain is not meant for client authentication",
        4 => "no root or presented certificate issued it",
        5 => "it is a CA certificate itself; pin it by its thumbprint, or issue one that is not a CA",
        6 => "a certificate that is not a CA stands in the chain",
        7 => "it is not of X.509 version 3; issue it with extensions (openssl x509 -extfile)",
        8 => "a certificate of the chain has expired",
        9 => "a certificate of the chain is not valid yet",
        10 => "a CA may not issue this name",
        11 => "the chain is longer than one of its CAs allows",
        12 => "a certificate of the chain has a critical extension that is not supported",
        13 => "a signature in the chain is wrong: a CA with the right name and another key",
        _ => "the chain cannot be verified",
    })
}

/// The last second in which all intermediates of a path are valid.
fn end_of(path: &VerifiedPath<'_>) -> Timestamp {
    path.intermediate_certificates()
        .map(|intermediate| match X509Certificate::from_der(&intermediate.der()) {
            Ok((_, read)) => Timestamp::from_unix(read.validity().not_after.timestamp()),
            Err(_) => Timestamp::MIN,
        })
        .min()
        .unwrap_or(Timestamp::MAX)
}

fn judgement(verdict: u8) -> Judgement {
    match verdict {
        TRUSTED => Judgement::lasting(true, RejectionKind::NotTrusted),
        WRONG_PURPOSE => Judgement::lasting(false, RejectionKind::WrongPurpose),
        _ => Judgement::lasting(false, RejectionKind::NotTrusted),
    }
}

impl fmt::Debug for TrustAnchors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TrustAnchors").field("roots", &self.0.anchors.len()).finish()
    }
}

/// Why roots could not be taken into a [`TrustAnchors`].
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum TrustError {
    /// The text is not PEM, or holds no certificate.
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
