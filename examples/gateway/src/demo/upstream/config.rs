//! The upstreams' TLS: their certificate, and whom they let in.

use std::error::Error;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{VerifierBuilderError, WebPkiClientVerifier};
use rustls::{RootCertStore, ServerConfig};

/// Error of the upstreams' TLS configuration.
#[derive(Debug)]
pub(crate) enum UpstreamError {
    /// A PEM file cannot be read.
    Pem(PathBuf, pem::Error),
    /// The CA for client certificates is unusable.
    Callers(VerifierBuilderError),
    /// The certificates or the key are unusable.
    Tls(rustls::Error),
}

impl fmt::Display for UpstreamError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Pem(path, source) => write!(f, "cannot read {}: {source}", path.display()),
            Self::Callers(source) => write!(f, "the demo's upstreams cannot use backend-ca.pem: {source}"),
            Self::Tls(source) => write!(f, "the demo's upstreams cannot use their certificates: {source}"),
        }
    }
}

impl Error for UpstreamError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Pem(_, source) => Some(source),
            Self::Callers(source) => Some(source),
            Self::Tls(source) => Some(source),
        }
    }
}

impl From<rustls::Error> for UpstreamError {
    fn from(source: rustls::Error) -> Self {
        Self::Tls(source)
    }
}

/// The upstreams' TLS configuration from the demo's folder: HTTP/2 and HTTP/1.1, and a client certificate
/// signed by `backend-ca.pem` is mandatory.
///
/// # Errors
///
/// 1. `backend.pem`, `backend.key` or `backend-ca.pem` cannot be read.
/// 2. They do not belong together.
pub(crate) fn tls(dir: &Path) -> Result<Arc<ServerConfig>, UpstreamError> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut callers = RootCertStore::empty();
    for authority in certificates(&dir.join("backend-ca.pem"))? {
        callers.add(authority)?;
    }
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(callers), Arc::clone(&provider))
        .build()
        .map_err(UpstreamError::Callers)?;
    let chain = certificates(&dir.join("backend.pem"))?;
    let key = dir.join("backend.key");
    let key = PrivateKeyDer::from_pem_file(&key).map_err(|source| UpstreamError::Pem(key, source))?;
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_client_cert_verifier(verifier)
        .with_single_cert(chain, key)?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

/// Reads all certificates of a PEM file.
fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, UpstreamError> {
    CertificateDer::pem_file_iter(path)
        .and_then(Iterator::collect)
        .map_err(|source| UpstreamError::Pem(path.to_owned(), source))
}
