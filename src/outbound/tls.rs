//! The TLS configuration of one profile: one identity, one trust, one session store.

use std::sync::Arc;

use rustls::{ClientConfig, sign::SingleCertAndKey};

use super::{UpstreamTrust, UpstreamTrustError};
use crate::identity::ClientIdentity;

/// Each configuration has a session store of its own: rustls would otherwise resume, under a new identity, a
/// session that the old one opened.
pub(super) fn config(
    identity: Option<&ClientIdentity>,
    trust: &UpstreamTrust,
    http1_only: bool,
) -> Result<ClientConfig, UpstreamTrustError> {
    let builder = ClientConfig::builder_with_provider(trust.provider().clone())
        .with_safe_default_protocol_versions()
        .map_err(|error| UpstreamTrustError::Verifier(error.to_string()))?
        .dangerous()
        .with_custom_certificate_verifier(trust.verifier());
    let mut config = match identity {
        Some(identity) => {
            builder.with_client_cert_resolver(Arc::new(SingleCertAndKey::from(identity.certified_key())))
        }
        None => builder.with_no_client_auth(),
    };
    config.alpn_protocols = if http1_only { vec![] } else { vec![b"h2".to_vec()] };
    config.alpn_protocols.push(b"http/1.1".to_vec());
    Ok(config)
}
