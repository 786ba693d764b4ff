//! Verification of one chain. webpki builds the paths; checks that it lacks run here on every path that it finds, and
//! a rejection makes it try the next path.

use std::{cell::Cell, ptr, time::Duration};

use rustls_pki_types::{CertificateDer, TrustAnchor, UnixTime};
use webpki::{EndEntityCert, VerifiedPath};
use x509_parser::{certificate::X509Certificate, prelude::FromDer, x509::X509Version};

use super::RejectionKind;
use crate::certificate::{Certificate, DistinguishedName, KeyUsage, Timestamp, Validity};

/// A trusted root's certificate, with the fields that [`TrustAnchor`] lacks.
#[derive(Clone)]
pub(super) struct Root {
    der: CertificateDer<'static>,
    validity: Validity,
    is_ca: bool,
    /// True if the subject and the issuer are the same name.
    is_self_issued: bool,
    /// True if keyUsage is absent or includes keyCertSign.
    may_sign: bool,
    /// True if the validity period is ignored.
    pub(super) allow_expired: bool,
}

impl Root {
    /// Reads a root's certificate; the error is for [`TrustError`](super::TrustError).
    pub(super) fn read(der: &[u8]) -> Result<(TrustAnchor<'static>, Self), String> {
        let der = CertificateDer::from(der).into_owned();
        let anchor = webpki::anchor_from_trusted_cert(&der).map_err(|error| format!("{error:?}"))?.to_owned();
        let (_, read) = X509Certificate::from_der(&der).map_err(|error| error.to_string())?;
        let (is_ca, may_sign) = (is_ca(&read), may_sign(&read));
        let is_self_issued = read.subject().as_raw() == read.issuer().as_raw();
        let validity = validity_of(&read);
        Ok((anchor, Self { der, validity, is_ca, is_self_issued, may_sign, allow_expired: false }))
    }

    pub(super) fn der(&self) -> &[u8] {
        &self.der
    }

    /// Returns true if no chain can end in this certificate: it is not a CA, and another certificate issued it. A
    /// self-signed one is a chain on its own.
    pub(super) fn is_leaf(&self) -> bool {
        !self.is_ca && !self.is_self_issued
    }

    /// The subject, for errors.
    pub(super) fn subject(&self) -> String {
        let Ok((_, read)) = X509Certificate::from_der(&self.der) else { return String::new() };
        match DistinguishedName::from_der(read.subject().as_raw()) {
            Ok(name) => name.to_string(),
            Err(_) => read.subject().to_string(),
        }
    }
}

/// Result for a chain. Cached in four bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ChainVerdict {
    Trusted,
    NotTrusted,
    WrongPurpose,
    UnknownIssuer,
    CaAsLeaf,
    LeafAsCa,
    Version,
    Expired,
    NotYetValid,
    NameConstraint,
    PathLength,
    CriticalExtension,
    Signature,
    CaKeyUsage,
    LeafKeyUsage,
    RootOutsideValidity,
}

impl ChainVerdict {
    const ALL: [Self; 16] = [
        Self::Trusted,
        Self::NotTrusted,
        Self::WrongPurpose,
        Self::UnknownIssuer,
        Self::CaAsLeaf,
        Self::LeafAsCa,
        Self::Version,
        Self::Expired,
        Self::NotYetValid,
        Self::NameConstraint,
        Self::PathLength,
        Self::CriticalExtension,
        Self::Signature,
        Self::CaKeyUsage,
        Self::LeafKeyUsage,
        Self::RootOutsideValidity,
    ];

    /// The verdict with this [`code`](Self::code).
    pub(super) fn from_code(code: u8) -> Self {
        Self::ALL[usize::from(code & 0xf)]
    }

    /// Four bits.
    pub(super) fn code(self) -> u8 {
        self as u8
    }

    /// Kind of rejection for a chain that is not trusted.
    pub(super) fn kind(self) -> RejectionKind {
        match self {
            Self::WrongPurpose => RejectionKind::WrongPurpose,
            Self::CaKeyUsage | Self::LeafKeyUsage => RejectionKind::KeyUsage,
            Self::RootOutsideValidity => RejectionKind::ExpiredCa,
            _ => RejectionKind::NotTrusted,
        }
    }

    /// Reason as text; None for a trusted chain.
    pub(crate) fn describe(self) -> Option<&'static str> {
        Some(match self {
            Self::Trusted => return None,
            Self::NotTrusted => "the chain cannot be verified",
            Self::WrongPurpose => "a certificate of the chain is not meant for client authentication",
            Self::UnknownIssuer => "no root or presented certificate issued it",
            Self::CaAsLeaf => {
                "it is a CA certificate itself; pin it by its thumbprint, or issue one that is not a CA"
            }
            Self::LeafAsCa => "a certificate in the chain is not a CA",
            Self::Version => "it is not of X.509 version 3; issue it with extensions (openssl x509 -extfile)",
            Self::Expired => "a certificate of the chain has expired",
            Self::NotYetValid => "a certificate of the chain is not valid yet",
            Self::NameConstraint => "a CA may not issue this name",
            Self::PathLength => "the chain is longer than one of its CAs allows",
            Self::CriticalExtension => {
                "a certificate of the chain has a critical extension that is not supported"
            }
            Self::Signature => "a signature in the chain is wrong: a CA with the right name and another key",
            Self::CaKeyUsage => {
                "the key usage of a CA in the chain lacks keyCertSign: it may not sign certificates"
            }
            Self::LeafKeyUsage => {
                "its key usage has neither digitalSignature nor keyAgreement: it may not authenticate a client"
            }
            Self::RootOutsideValidity => "the CA at the end of the chain has expired or is not valid yet",
        })
    }
}

impl From<&webpki::Error> for ChainVerdict {
    fn from(error: &webpki::Error) -> Self {
        use webpki::Error as E;
        match error {
            E::RequiredEkuNotFoundContext(_) => Self::WrongPurpose,
            E::UnknownIssuer => Self::UnknownIssuer,
            E::CaUsedAsEndEntity => Self::CaAsLeaf,
            E::EndEntityUsedAsCa => Self::LeafAsCa,
            E::UnsupportedCertVersion => Self::Version,
            E::CertExpired { .. } => Self::Expired,
            E::CertNotValidYet { .. } => Self::NotYetValid,
            E::NameConstraintViolation => Self::NameConstraint,
            E::PathLenConstraintViolated => Self::PathLength,
            E::UnsupportedCriticalExtension => Self::CriticalExtension,
            E::InvalidSignatureForPublicKey => Self::Signature,
            _ => Self::NotTrusted,
        }
    }
}

/// Verifies a chain for client authentication and returns the last second in which it is valid. `roots` has one entry per
/// anchor, in the same order.
pub(super) fn verify(
    certificate: &Certificate,
    anchors: &[TrustAnchor<'_>],
    roots: &[Root],
    chain: &[CertificateDer<'_>],
    now: Timestamp,
) -> Result<Timestamp, ChainVerdict> {
    if certificate.key_usage().is_some_and(|usage| !usage.digital_signature() && !usage.key_agreement()) {
        return Err(ChainVerdict::LeafKeyUsage);
    }
    let leaf = CertificateDer::from(certificate.der());
    let leaf = EndEntityCert::try_from(&leaf).map_err(|error| ChainVerdict::from(&error))?;
    let (until, rejected) = (Cell::new(Timestamp::MIN), Cell::new(None));
    let judge = |path: &VerifiedPath<'_>| match judge_path(path, certificate, anchors, roots, now) {
        Ok(end) => {
            until.set(end);
            Ok(())
        }
        Err(verdict) => {
            rejected.set(rejected.get().or(Some(verdict)));
            Err(webpki::Error::UnknownIssuer)
        }
    };
    let time = unix_time(now).ok_or(ChainVerdict::NotTrusted)?;
    let (algorithms, usage) = (webpki::ALL_VERIFICATION_ALGS, webpki::KeyUsage::client_auth());
    let verified = leaf.verify_for_usage(algorithms, anchors, chain, time, usage, None, Some(&judge));
    match verified {
        Ok(_) => Ok(until.get().min(certificate.validity().not_after)),
        // A verdict of this module is more specific than webpki's.
        Err(error) => Err(rejected.get().unwrap_or_else(|| ChainVerdict::from(&error))),
    }
}

/// None before 1970, which webpki cannot represent.
pub(super) fn unix_time(now: Timestamp) -> Option<UnixTime> {
    u64::try_from(now.as_unix()).ok().map(|seconds| UnixTime::since_unix_epoch(Duration::from_secs(seconds)))
}

/// Returns the last second in which all CAs of a path are valid, if each may sign certificates (RFC 5280, 6.1.4 (n)).
fn judge_path(
    path: &VerifiedPath<'_>,
    certificate: &Certificate,
    anchors: &[TrustAnchor<'_>],
    roots: &[Root],
    now: Timestamp,
) -> Result<Timestamp, ChainVerdict> {
    let mut until = Timestamp::MAX;
    for intermediate in path.intermediate_certificates() {
        let der = intermediate.der();
        let (_, read) = X509Certificate::from_der(&der).map_err(|_| ChainVerdict::NotTrusted)?;
        if !may_sign(&read) {
            return Err(ChainVerdict::CaKeyUsage);
        }
        until = until.min(validity_of(&read).not_after);
    }
    let index = anchors.iter().position(|anchor| ptr::eq(anchor, path.anchor()));
    let root = index.and_then(|index| roots.get(index)).ok_or(ChainVerdict::NotTrusted)?;
    // A self-signed client certificate that is listed as a root need not be a CA.
    if root.der() != certificate.der() {
        if !root.is_ca {
            return Err(ChainVerdict::LeafAsCa);
        }
        if !root.may_sign {
            return Err(ChainVerdict::CaKeyUsage);
        }
    }
    if root.allow_expired {
        return Ok(until);
    }
    if !root.validity.contains(now) {
        return Err(ChainVerdict::RootOutsideValidity);
    }
    Ok(until.min(root.validity.not_after))
}

/// Returns true for a CA: by basicConstraints, or, without the extension, for a self-issued version 1 certificate and for
/// a keyUsage that includes keyCertSign, as in OpenSSL.
fn is_ca(certificate: &X509Certificate<'_>) -> bool {
    match certificate.basic_constraints() {
        Ok(Some(constraints)) => constraints.value.ca,
        Ok(None) => {
            let is_old = certificate.version() == X509Version::V1
                && certificate.subject().as_raw() == certificate.issuer().as_raw();
            is_old || (may_sign(certificate) && matches!(certificate.key_usage(), Ok(Some(_))))
        }
        Err(_) => false,
    }
}

/// Returns true if keyUsage is absent or includes keyCertSign; false if it is malformed.
fn may_sign(certificate: &X509Certificate<'_>) -> bool {
    match certificate.key_usage() {
        Ok(usage) => usage.is_none_or(|usage| KeyUsage::read(usage.value).key_cert_sign()),
        Err(_) => false,
    }
}

fn validity_of(certificate: &X509Certificate<'_>) -> Validity {
    Validity {
        not_before: Timestamp::from_unix(certificate.validity().not_before.timestamp()),
        not_after: Timestamp::from_unix(certificate.validity().not_after.timestamp()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn verdicts_round_trip_through_their_codes() {
        for verdict in ChainVerdict::ALL {
            assert_eq!(ChainVerdict::from_code(verdict.code()), verdict);
        }
    }
}
