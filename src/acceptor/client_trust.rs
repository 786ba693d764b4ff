//! Judgement of a client certificate's chain in the handshake.

use std::{fmt, sync::Arc};

use rustls::{CertificateError, Error, OtherError};
use rustls_pki_types::{CertificateDer, UnixTime};

use crate::{
    certificate::{Presented, Timestamp},
    policy::{ChainVerdict, TrustAnchors},
};

/// Judges a chain as a policy does. The error determines the alert.
pub(super) fn verify(
    trust: &TrustAnchors,
    leaf: &CertificateDer<'_>,
    intermediates: &[CertificateDer<'_>],
    now: UnixTime,
) -> Result<(), Error> {
    let chain = std::iter::once(leaf).chain(intermediates).map(AsRef::as_ref);
    let Presented::Certificate(certificate) = Presented::from_der_chain(chain) else {
        return Err(CertificateError::BadEncoding.into());
    };
    let now = Timestamp::from_unix(i64::try_from(now.as_secs()).unwrap_or(i64::MAX));
    let verdict = trust.chain_verdict(&certificate, now).unwrap_or(ChainVerdict::NotTrusted);
    let Some(reason) = verdict.describe() else { return Ok(()) };
    // The alert is all that the caller learns, and rustls reports it without the certificate.
    tracing::debug!(
        reason = trust.failure(&certificate, now).as_deref().unwrap_or(reason),
        subject = format_args!("{:.256}", certificate.subject().to_string()),
        issuer = format_args!("{:.256}", certificate.issuer().to_string()),
        thumbprint = %certificate.sha256_thumbprint(),
        "client certificate not trusted: the TLS handshake fails"
    );
    Err(Error::InvalidCertificate(error_of(verdict, reason)))
}

fn error_of(verdict: ChainVerdict, reason: &'static str) -> CertificateError {
    match verdict {
        ChainVerdict::Expired | ChainVerdict::RootOutsideValidity => CertificateError::Expired,
        ChainVerdict::NotYetValid => CertificateError::NotValidYet,
        ChainVerdict::UnknownIssuer | ChainVerdict::NotTrusted | ChainVerdict::Signature => {
            CertificateError::UnknownIssuer
        }
        ChainVerdict::Revoked => CertificateError::Revoked,
        ChainVerdict::RevocationUnknown => CertificateError::UnknownRevocationStatus,
        ChainVerdict::WrongPurpose | ChainVerdict::LeafKeyUsage | ChainVerdict::CaKeyUsage => {
            CertificateError::InvalidPurpose
        }
        ChainVerdict::CriticalExtension => CertificateError::UnhandledCriticalExtension,
        ChainVerdict::Trusted
        | ChainVerdict::LeafAsCa
        | ChainVerdict::Version
        | ChainVerdict::NameConstraint
        | ChainVerdict::PathLength
        | ChainVerdict::Policy
        | ChainVerdict::Key
        | ChainVerdict::Algorithm
        | ChainVerdict::Limit => CertificateError::Other(OtherError(Arc::new(Untrusted(reason)))),
    }
}

/// A reason for which a chain is not trusted, as an error.
#[derive(Debug)]
struct Untrusted(&'static str);

impl fmt::Display for Untrusted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl std::error::Error for Untrusted {}
