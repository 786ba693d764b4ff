use std::{fmt, sync::Arc};

use rustls::{
    ServerConfig, SupportedProtocolVersion,
    version::{TLS12, TLS13},
};

use super::{ServerTlsBuilder, ServerTlsError, client_key};
use crate::{certificate::Certificate, shared::sealed::Sealed};

/// TLS settings of a listener: its certificates, and whether it requests client certificates. Cheap to clone.
///
/// TLS 1.2 (with extended master secret) and 1.3; HTTP/2 and HTTP/1.1 by ALPN. Sessions are resumed by tickets whose
/// keys belong to this value alone, exist in memory only, and rotate; requests on a resumed session are judged like
/// any other. There is no early data.
///
/// ```
/// # #[cfg(any(feature = "aws-lc-rs", feature = "ring"))]
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let made = rcgen::generate_simple_self_signed(["orders.example.com".to_owned()])?;
/// # let (chain, key) = (made.cert.pem(), made.signing_key.serialize_pem());
/// # let other_key = rcgen::KeyPair::generate()?.serialize_pem();
/// use tower_mtls::{ServerTls, acceptor::ServerTlsError, keys::KeyPairError};
///
/// assert!(ServerTls::from_pem(&chain, &key).is_ok());
///
/// let error = ServerTls::from_pem(&chain, &other_key).unwrap_err();
/// assert_eq!(error, ServerTlsError::KeyPair(KeyPairError::Mismatch));
/// # Ok(())
/// # }
/// # #[cfg(not(any(feature = "aws-lc-rs", feature = "ring")))]
/// # fn main() {}
/// ```
#[derive(Clone)]
pub struct ServerTls {
    pub(super) config: Arc<ServerConfig>,
}

/// Whether a listener requests or requires client certificates.
///
/// ```
/// # #[cfg(any(feature = "aws-lc-rs", feature = "ring"))]
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let made = rcgen::generate_simple_self_signed(["localhost".to_owned()])?;
/// # let (chain, key) = (made.cert.pem(), made.signing_key.serialize_pem());
/// use tower_mtls::{ServerTls, acceptor::ClientCertificateRequest};
///
/// assert_eq!(ClientCertificateRequest::default(), ClientCertificateRequest::Request);
///
/// let builder = || ServerTls::builder().certificate_pem(&chain, &key);
/// assert!(builder().client_certificate(ClientCertificateRequest::Off).build().is_ok()); // for browsers
/// assert!(builder().client_certificate(ClientCertificateRequest::Require).build().is_ok());
/// # Ok(())
/// # }
/// # #[cfg(not(any(feature = "aws-lc-rs", feature = "ring")))]
/// # fn main() {}
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum ClientCertificateRequest {
    /// Requests a certificate from every caller. Callers without one are accepted; the layers respond to them.
    #[default]
    Request,
    /// Requires a certificate: the handshake of a caller without one fails, by the alert `certificate_required`. Any
    /// certificate is accepted, self-made ones too, unless [`client_trust`](ServerTlsBuilder::client_trust) is set.
    ///
    /// The caller gets no HTTP response. Use it where no route admits callers without a certificate.
    Require,
    /// Requests none. Every route behind a [`RequireCertificateLayer`](crate::RequireCertificateLayer) responds with
    /// 403.
    Off,
}

/// A TLS version.
///
/// ```
/// # #[cfg(any(feature = "aws-lc-rs", feature = "ring"))]
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let made = rcgen::generate_simple_self_signed(["localhost".to_owned()])?;
/// # let (chain, key) = (made.cert.pem(), made.signing_key.serialize_pem());
/// use tower_mtls::{ServerTls, acceptor::TlsVersion};
///
/// assert!(TlsVersion::V1_2 < TlsVersion::V1_3);
/// assert!(ServerTls::builder().certificate_pem(chain, key).min_version(TlsVersion::V1_3).build().is_ok());
/// # Ok(())
/// # }
/// # #[cfg(not(any(feature = "aws-lc-rs", feature = "ring")))]
/// # fn main() {}
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum TlsVersion {
    /// TLS 1.2, RFC 5246, with extended master secret (RFC 7627).
    V1_2,
    /// TLS 1.3, RFC 8446.
    V1_3,
}

impl TlsVersion {
    pub(super) fn and_later(self) -> &'static [&'static SupportedProtocolVersion] {
        static VERSIONS: [&SupportedProtocolVersion; 2] = [&TLS13, &TLS12];
        match self {
            Self::V1_2 => &VERSIONS,
            Self::V1_3 => &VERSIONS[..1],
        }
    }
}

impl ServerTls {
    /// Serves with this certificate chain (leaf first) and private key (PKCS#8, PKCS#1 or SEC1), both PEM, and
    /// requests a certificate from every caller.
    ///
    /// # Errors
    ///
    /// As [`ServerTlsBuilder::build`].
    ///
    /// ```
    /// use tower_mtls::ServerTls;
    ///
    /// assert!(ServerTls::from_pem("not PEM", "not PEM").is_err());
    /// ```
    pub fn from_pem(chain: impl AsRef<[u8]>, key: impl AsRef<[u8]>) -> Result<Self, ServerTlsError> {
        Self::builder().certificate_pem(chain, key).build()
    }

    /// Starts a builder.
    ///
    /// ```
    /// use tower_mtls::ServerTls;
    ///
    /// assert!(ServerTls::builder().build().is_err()); // no certificate
    /// ```
    pub fn builder() -> ServerTlsBuilder {
        ServerTlsBuilder::default()
    }

    /// Returns the name of a certificate's key, such as `Ed448` or `RSA of 1024 bits`, if no handshake can verify its
    /// signatures; else None.
    ///
    /// The crypto provider determines the kinds of keys; RSA keys need 2048 to 8192 bits. A client with another key sends no
    /// certificate, or its handshake fails.
    ///
    /// ```
    /// # #[cfg(any(feature = "aws-lc-rs", feature = "ring"))]
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let made = rcgen::generate_simple_self_signed(["localhost".to_owned()])?;
    /// # let (chain, key) = (made.cert.pem(), made.signing_key.serialize_pem());
    /// use tower_mtls::{Certificate, ServerTls, certificate::KeyKind};
    ///
    /// let tls = ServerTls::from_pem(&chain, &key)?;
    /// let certificate = Certificate::from_der(made.cert.der())?;
    /// assert_eq!(certificate.key_kind(), KeyKind::P256);
    /// assert_eq!(tls.unverifiable_key(&certificate), None);
    /// # Ok(())
    /// # }
    /// # #[cfg(not(any(feature = "aws-lc-rs", feature = "ring")))]
    /// # fn main() {}
    /// ```
    pub fn unverifiable_key(&self, certificate: &Certificate) -> Option<String> {
        let algorithms = &self.config.crypto_provider().signature_verification_algorithms;
        client_key::unverifiable(algorithms, certificate.subject_public_key_info())
    }
}

impl Sealed for ServerTls {}

impl fmt::Debug for ServerTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerTls").finish_non_exhaustive()
    }
}
