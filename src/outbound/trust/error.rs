use std::fmt;

use crate::keys::{KeyPairError, pem::PemError};

/// Error of [`UpstreamTrustBuilder::build`](super::UpstreamTrustBuilder::build).
///
/// ```
/// # #[cfg(any(feature = "aws-lc-rs", feature = "ring"))]
/// # {
/// use tower_mtls::{UpstreamTrust, outbound::UpstreamTrustError};
///
/// match UpstreamTrust::from_pem("not PEM").unwrap_err() {
///     UpstreamTrustError::Pem(error) => assert_eq!(error.line(), 1),
///     error => panic!("{error}"),
/// }
/// # }
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum UpstreamTrustError {
    /// The roots are not PEM certificates.
    Pem(PemError),
    /// The system has no readable root certificate.
    NoSystemRoots,
    /// Pins alone were to decide, and there is none.
    NoPins,
    /// Not a DNS name or IP address.
    ServerName(String),
    /// No crypto provider was given and none is compiled in.
    NoProvider,
    /// The verifier could not be built.
    Verifier(String),
}

impl fmt::Display for UpstreamTrustError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Pem(error) => error.fmt(f),
            Self::NoSystemRoots => f.write_str(
                "the system has no readable root certificates; install them (package ca-certificates) or name your \
                 own roots",
            ),
            Self::NoPins => f.write_str("no pin: name at least one certificate or public key"),
            Self::ServerName(name) => write!(f, "{name:?} is neither a DNS name nor an IP address"),
            Self::NoProvider => KeyPairError::NoProvider.fmt(f),
            Self::Verifier(problem) => write!(f, "upstream verifier: {problem}"),
        }
    }
}

impl std::error::Error for UpstreamTrustError {}
