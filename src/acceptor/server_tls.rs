use crate::shared::sealed::Sealed;
use std::{fmt, sync::Arc};

use rustls::{
    ServerConfig,
    crypto::CryptoProvider,
    server::NoClientAuth,
    sign::{CertifiedKey, SingleCertAndKey},
};

use super::PossessionVerifier;
use crate::key_pair::{self, KeyPairError};

/// The TLS side of a listener: its certificate, and whether callers are asked for theirs.
///
/// TLS 1.2 (extended master secret demanded) and 1.3; HTTP/2 and HTTP/1.1 by ALPN. Sessions are resumed by
/// tickets whose keys belong to this value alone, live in memory only, and rotate; a resumed session is
/// judged like a new one. There is no early data. Cheap to clone.
#[derive(Clone)]
pub struct ServerTls {
    pub(super) config: Arc<ServerConfig>,
}

/// Whether a listener asks its callers for a certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum ClientCertificateRequest {
    /// Ask everyone; whoever has none is let through and answered by the layers.
    #[default]
    Request,
    /// Never ask. Every route with a [`RequireCertificateLayer`](crate::RequireCertificateLayer) refuses.
    Off,
}

impl ServerTls {
    /// Serves with this certificate chain (leaf first) and private key (PKCS#8, PKCS#1 or SEC1), both PEM, and
    /// asks every caller for a certificate.
    ///
    /// # Errors
    ///
    /// As [`ServerTlsBuilder::build`].
    pub fn from_pem(chain: impl AsRef<[u8]>, key: impl AsRef<[u8]>) -> Result<Self, KeyPairError> {
        Self::builder().certificate_pem(chain, key).build()
    }

    /// Starts a configuration.
    pub fn builder() -> ServerTlsBuilder {
        ServerTlsBuilder::default()
    }
}

impl Sealed for ServerTls {}

impl fmt::Debug for ServerTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerTls").finish_non_exhaustive()
    }
}

/// Builds a [`ServerTls`].
#[derive(Default)]
#[must_use]
pub struct ServerTlsBuilder {
    provider: Option<Arc<CryptoProvider>>,
    certificate: Option<CertificateSource>,
    request: ClientCertificateRequest,
    only_http1: bool,
}

enum CertificateSource {
    Pem { chain: Vec<u8>, key: Vec<u8> },
    Certified(Arc<CertifiedKey>),
}

impl ServerTlsBuilder {
    /// The certificate chain (leaf first) and its private key, both PEM. The last certificate set counts.
    pub fn certificate_pem(mut self, chain: impl AsRef<[u8]>, key: impl AsRef<[u8]>) -> Self {
        self.certificate =
            Some(CertificateSource::Pem { chain: chain.as_ref().into(), key: key.as_ref().into() });
        self
    }

    /// A certificate and key that rustls already holds, for example
    /// [`ClientIdentity::certified_key`](crate::ClientIdentity::certified_key) of a .pfx file.
    pub fn certified_key(mut self, key: Arc<CertifiedKey>) -> Self {
        self.certificate = Some(CertificateSource::Certified(key));
        self
    }

    /// Whether callers are asked for a certificate. Default: everyone is.
    pub fn client_certificate(mut self, request: ClientCertificateRequest) -> Self {
        self.request = request;
        self
    }

    /// Offers HTTP/1.1 only, for servers that do not speak HTTP/2. Default: HTTP/2, then HTTP/1.1, by ALPN.
    pub fn only_http1(mut self) -> Self {
        self.only_http1 = true;
        self
    }

    /// The crypto provider. Default: aws-lc-rs if enabled, else ring.
    pub fn with_provider(mut self, provider: Arc<CryptoProvider>) -> Self {
        self.provider = Some(provider);
        self
    }

    /// Builds the configuration.
    ///
    /// # Errors
    ///
    /// 1. No certificate was given, or it or its key cannot be read, or they do not belong together.
    /// 2. [`KeyPairError::NoProvider`]: no crypto provider was given and none is compiled in.
    /// 3. [`KeyPairError::UnsupportedKey`]: the provider cannot use the key for TLS.
    pub fn build(self) -> Result<ServerTls, KeyPairError> {
        let provider = key_pair::provider_or_default(self.provider)?;
        let certificate = match self.certificate {
            Some(CertificateSource::Pem { chain, key }) => {
                Arc::new(key_pair::from_pem(&chain, &key, &provider)?)
            }
            Some(CertificateSource::Certified(key)) => key,
            None => Arc::new(key_pair::from_pem(b"", b"", &provider)?),
        };
        let verifier: Arc<dyn rustls::server::danger::ClientCertVerifier> = match self.request {
            ClientCertificateRequest::Request => PossessionVerifier::new(&provider),
            ClientCertificateRequest::Off => Arc::new(NoClientAuth),
        };
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|_| KeyPairError::UnsupportedKey)?
            .with_client_cert_verifier(verifier)
            .with_cert_resolver(Arc::new(SingleCertAndKey::from(certificate)));
        config.alpn_protocols = if self.only_http1 { vec![] } else { vec![b"h2".to_vec()] };
        config.alpn_protocols.extend([b"http/1.1".to_vec(), b"http/1.0".to_vec()]);
        config.require_ems = true;
        if let Some(ticketer) = ticketer() {
            config.ticketer = ticketer;
            config.send_tls13_tickets = 1;
        }
        Ok(ServerTls { config: Arc::new(config) })
    }
}

impl fmt::Debug for ServerTlsBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerTlsBuilder").field("request", &self.request).finish_non_exhaustive()
    }
}

/// A ticketer of this configuration's own: one that two configurations share would let a caller of one resume
/// into the other. None: rustls keeps sessions in memory instead.
fn ticketer() -> Option<Arc<dyn rustls::server::ProducesTickets>> {
    #[cfg(feature = "aws-lc-rs")]
    return rustls::crypto::aws_lc_rs::Ticketer::new().ok();
    #[cfg(all(feature = "ring", not(feature = "aws-lc-rs")))]
    return rustls::crypto::ring::Ticketer::new().ok();
    #[cfg(not(any(feature = "aws-lc-rs", feature = "ring")))]
    return None;
}
