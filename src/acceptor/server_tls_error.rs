use std::fmt;

use crate::keys::KeyPairError;

/// Error of [`ServerTlsBuilder::build`](super::ServerTlsBuilder::build). Never contains a key.
///
/// ```
/// # #[cfg(any(feature = "aws-lc-rs", feature = "ring"))]
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let made = rcgen::generate_simple_self_signed(["localhost".to_owned()])?;
/// # let (chain, key) = (made.cert.pem(), made.signing_key.serialize_pem());
/// use tower_mtls::{ServerTls, acceptor::ServerTlsError};
///
/// let tls = ServerTls::builder().certificate_pem(&chain, &key).add_certificate_for("a b", &chain, &key);
/// match tls.build().unwrap_err() {
///     ServerTlsError::InvalidName(name) => assert_eq!(name, "a b"),
///     error => panic!("{error}"),
/// }
/// # Ok(())
/// # }
/// # #[cfg(not(any(feature = "aws-lc-rs", feature = "ring")))]
/// # fn main() {}
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum ServerTlsError {
    /// The certificate and its key are missing, unreadable or not a pair, or there is no crypto provider.
    KeyPair(KeyPairError),
    /// The certificate for one server name and its key are unreadable or not a pair.
    #[non_exhaustive]
    KeyPairFor {
        /// The server name.
        name: String,
        /// The problem.
        error: KeyPairError,
    },
    /// Not a DNS name, and not a DNS name behind `*.`.
    InvalidName(String),
    /// The certificate for this server name does not have it among its subject alternative names.
    NameNotCovered(String),
    /// The crypto provider supports none of the allowed TLS versions.
    UnsupportedVersion,
    /// An own rustls configuration was given without a minimum TLS version.
    MissingMinVersion,
    /// Roots for client certificates were given, but certificates are not required.
    TrustWithoutRequire,
}

impl fmt::Display for ServerTlsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::KeyPair(error) => error.fmt(f),
            Self::KeyPairFor { name, error } => write!(f, "certificate for {name}: {error}"),
            Self::InvalidName(name) => {
                write!(f, "{name:?} is not a server name; write orders.example.com or *.example.com")
            }
            Self::NameNotCovered(name) => {
                write!(f, "certificate for {name}: the name is not among its subject alternative names")
            }
            Self::UnsupportedVersion => {
                f.write_str("the crypto provider supports none of the allowed TLS versions")
            }
            Self::MissingMinVersion => f.write_str(
                "the TLS versions of a rustls configuration cannot be read; set min_version beside with_config",
            ),
            Self::TrustWithoutRequire => f.write_str(
                "client_trust without required certificates; set client_certificate(ClientCertificateRequest::Require)",
            ),
        }
    }
}

impl std::error::Error for ServerTlsError {}

impl From<KeyPairError> for ServerTlsError {
    fn from(error: KeyPairError) -> Self {
        Self::KeyPair(error)
    }
}
