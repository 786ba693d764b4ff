//! TLS configurations: one identity, one trust, one session store each.

use std::sync::{Arc, Mutex, PoisonError};

use rustls::{
    ClientConfig,
    client::{ResolvesClientCert, Resumption, danger::ServerCertVerifier},
    sign::SingleCertAndKey,
};

use crate::{
    generation::Generation,
    identity::ClientIdentity,
    outbound::{UpstreamTrust, UpstreamTrustError},
    shared::Shared,
};

/// Returns a configuration that presents `identity` and verifies upstreams against `trust`: for reqwest, or any other
/// client that takes a [`rustls::ClientConfig`].
///
/// The configuration has its own TLS session store, which belongs to this identity: build a new one, and a new client,
/// when the identity or the trust changes. Clones of the configuration share the store, so change neither
/// certificate nor verifier on a clone. ALPN offers `h2` and `http/1.1`; a client that speaks HTTP/1.1 only sets
/// `alpn_protocols` to `http/1.1` alone. With
/// [`with_server_name`](crate::outbound::UpstreamTrustBuilder::with_server_name) that name is verified, while the client sends
/// the host of its URL as SNI.
///
/// # Errors
///
/// [`UpstreamTrustError::Verifier`]: the crypto provider of `trust` supports no TLS version.
///
/// ```
/// # #[cfg(any(feature = "aws-lc-rs", feature = "ring"))]
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let mut params = rcgen::CertificateParams::default();
/// # params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
/// # let roots = params.self_signed(&rcgen::KeyPair::generate()?)?.pem();
/// # let made = rcgen::generate_simple_self_signed(vec![])?;
/// # let (chain, key) = (made.cert.pem(), made.signing_key.serialize_pem());
/// use tower_mtls::{ClientIdentity, UpstreamTrust, outbound::client_config};
///
/// let identity = ClientIdentity::from_pem(chain, key)?;
/// let config = client_config(&identity, &UpstreamTrust::from_pem(roots)?)?;
/// assert!(config.client_auth_cert_resolver.has_certs());
/// assert_eq!(config.alpn_protocols, [b"h2".to_vec(), b"http/1.1".to_vec()]);
/// # Ok(())
/// # }
/// # #[cfg(not(any(feature = "aws-lc-rs", feature = "ring")))]
/// # fn main() {}
/// ```
///
/// With reqwest 0.13 (`default-features = false`, features `http2` and `rustls-no-provider`):
/// `reqwest::Client::builder().tls_backend_preconfigured(client_config(&identity, &trust)?).build()?`. The repository's
/// example `reqwest` calls an upstream with it.
pub fn client_config(
    identity: &ClientIdentity,
    trust: &UpstreamTrust,
) -> Result<ClientConfig, UpstreamTrustError> {
    with_verifier(Some(identity), trust, trust.named_verifier(), false)
}

/// Returns a configuration for connections whose server name is chosen with `trust`.
pub(super) fn config(
    identity: Option<&ClientIdentity>,
    trust: &UpstreamTrust,
    http1_only: bool,
) -> Result<ClientConfig, UpstreamTrustError> {
    with_verifier(identity, trust, trust.verifier(), http1_only)
}

fn with_verifier(
    identity: Option<&ClientIdentity>,
    trust: &UpstreamTrust,
    verifier: Arc<dyn ServerCertVerifier>,
    http1_only: bool,
) -> Result<ClientConfig, UpstreamTrustError> {
    let builder = ClientConfig::builder_with_provider(trust.provider().clone())
        .with_safe_default_protocol_versions()
        .map_err(|error| UpstreamTrustError::Verifier(error.to_string()))?
        .dangerous()
        .with_custom_certificate_verifier(verifier);
    let mut config = match identity {
        Some(identity) => builder.with_client_cert_resolver(certificate_of(identity)),
        None => builder.with_no_client_auth(),
    };
    config.alpn_protocols = if http1_only { vec![] } else { vec![b"h2".to_vec()] };
    config.alpn_protocols.push(b"http/1.1".to_vec());
    Ok(config)
}

fn certificate_of(identity: &ClientIdentity) -> Arc<dyn ResolvesClientCert> {
    Arc::new(SingleCertAndKey::from(identity.certified_key()))
}

/// The TLS configuration of a connector.
pub(super) enum ConnectorConfig {
    /// Of one identity, of which it keeps no clone, or of none.
    Fixed(Arc<ClientConfig>),
    /// Of the identity that is current when a connection is opened.
    Following { identity: Shared<ClientIdentity>, current: Mutex<Current> },
}

pub(super) struct Current {
    /// The generation of the identity that `config` presents.
    generation: Generation,
    config: Arc<ClientConfig>,
}

impl ConnectorConfig {
    pub(super) fn following(
        identity: Shared<ClientIdentity>,
        trust: &UpstreamTrust,
    ) -> Result<Self, UpstreamTrustError> {
        let first = identity.current();
        let config = Arc::new(config(Some(&first), trust, false)?);
        let current = Mutex::new(Current { generation: first.generation(), config });
        Ok(Self::Following { identity, current })
    }

    /// Returns the configuration for a connection that is opened now. A replaced identity gets a new session store:
    /// rustls would otherwise resume, under the new identity, a session that the old one opened.
    pub(super) fn current(&self) -> Arc<ClientConfig> {
        match self {
            Self::Fixed(config) => config.clone(),
            Self::Following { identity, current } => {
                let mut current = current.lock().unwrap_or_else(PoisonError::into_inner);
                let identity = identity.load();
                if current.generation != identity.generation() {
                    let mut config = ClientConfig::clone(&current.config);
                    config.client_auth_cert_resolver = certificate_of(&identity);
                    config.resumption = Resumption::default();
                    *current = Current { generation: identity.generation(), config: Arc::new(config) };
                }
                current.config.clone()
            }
        }
    }
}
