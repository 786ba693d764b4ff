use std::{
    any::Any,
    fmt,
    sync::{Arc, Weak},
};

use rustls::{RootCertStore, client::danger::ServerCertVerifier, crypto::CryptoProvider};
use rustls_pki_types::ServerName;

use super::{UpstreamPin, verifier};
use crate::{
    danger::UpstreamVerification,
    generation::Generation,
    key_pair::{KeyPairError, provider_or_default},
    pem::{self, PemError},
    shared::sealed::Sealed,
};

/// What an upstream's certificate must prove. Cheap to clone.
///
/// Default: a chain to the system's roots and the name in the URI. Each value is a generation of its own:
/// connections and TLS sessions made under one are never used by another, so a session that a lenient value
/// accepted is never resumed by a strict one.
#[derive(Clone)]
pub struct UpstreamTrust(Arc<Inner>);

struct Inner {
    provider: Arc<CryptoProvider>,
    verifier: Arc<dyn ServerCertVerifier>,
    server_name: Option<ServerName<'static>>,
    verification: Verification,
    generation: Generation,
}

/// What is verified.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verification {
    Full,
    Dangerous(UpstreamVerification),
}

impl UpstreamTrust {
    /// Demands a chain to one of the system's roots.
    ///
    /// # Errors
    ///
    /// As [`UpstreamTrustBuilder::build`].
    pub fn system() -> Result<Self, UpstreamTrustError> {
        Self::builder().build()
    }

    /// Demands a chain to one of these roots (PEM) instead of the system's.
    ///
    /// # Errors
    ///
    /// As [`UpstreamTrustBuilder::build`].
    pub fn from_pem(roots: impl AsRef<[u8]>) -> Result<Self, UpstreamTrustError> {
        Self::builder().add_roots_pem(roots).build()
    }

    /// Starts with the system's roots and full verification.
    pub fn builder() -> UpstreamTrustBuilder {
        UpstreamTrustBuilder::default()
    }

    /// The same demands as a generation of its own, which shares no connection and no TLS session with this one.
    #[must_use]
    pub fn renewed(&self) -> Self {
        Self(Arc::new(Inner {
            provider: self.0.provider.clone(),
            verifier: self.0.verifier.clone(),
            server_name: self.0.server_name.clone(),
            verification: self.0.verification,
            generation: Generation::next(),
        }))
    }

    /// Whether both are clones of one value, and so share connections; equal contents alone do not.
    pub fn ptr_eq(&self, other: &Self) -> bool {
        self.0.generation == other.0.generation
    }

    pub(super) fn provider(&self) -> &Arc<CryptoProvider> {
        &self.0.provider
    }

    pub(super) fn verifier(&self) -> Arc<dyn ServerCertVerifier> {
        self.0.verifier.clone()
    }

    pub(super) fn server_name(&self) -> Option<&ServerName<'static>> {
        self.0.server_name.as_ref()
    }

    pub(super) fn generation(&self) -> Generation {
        self.0.generation
    }

    /// Tells, without holding the trust, whether anyone still does.
    pub(super) fn downgrade(&self) -> Weak<dyn Any + Send + Sync> {
        let inner: Weak<Inner> = Arc::downgrade(&self.0);
        inner
    }
}

impl Sealed for UpstreamTrust {}

impl fmt::Debug for UpstreamTrust {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UpstreamTrust")
            .field("verification", &self.0.verification)
            .field("server_name", &self.0.server_name)
            .finish_non_exhaustive()
    }
}

/// Builds a [`UpstreamTrust`].
#[derive(Debug, Default)]
#[must_use]
pub struct UpstreamTrustBuilder {
    roots: Vec<Vec<u8>>,
    server_name: Option<String>,
    dangerous: Option<UpstreamVerification>,
    pins: Vec<UpstreamPin>,
    provider: Option<Arc<CryptoProvider>>,
}

impl UpstreamTrustBuilder {
    /// Trusts the certificates of this PEM text. The first call replaces the system's roots, more add to it.
    pub fn add_roots_pem(mut self, pem: impl AsRef<[u8]>) -> Self {
        self.roots.push(pem.as_ref().into());
        self
    }

    /// The name to ask for (SNI) and to verify. Default: the host of the request's URI.
    pub fn with_server_name(mut self, name: impl Into<String>) -> Self {
        self.server_name = Some(name.into());
        self
    }

    /// Demands on top of everything else that the upstream's certificate, or its public key, is this one; with
    /// several pins, one of them. Default: no pin.
    ///
    /// On top of the chain and the name: for an upstream that signed its own certificate let the pin alone decide,
    /// with [`dangerous`](Self::dangerous)`(`[`UpstreamVerification::Nothing`]`)`, which is no danger then.
    pub fn pin(mut self, pin: UpstreamPin) -> Self {
        self.pins.push(pin);
        self
    }

    /// Verifies less than a chain and a name: see [`UpstreamVerification`] for what each mode gives up. Logged
    /// as a warning at [`build`](Self::build), unless [pins](Self::pin) make up for it.
    pub fn dangerous(mut self, verification: UpstreamVerification) -> Self {
        self.dangerous = Some(verification);
        self
    }

    /// The crypto provider. Default: aws-lc-rs if enabled, else ring.
    pub fn with_provider(mut self, provider: Arc<CryptoProvider>) -> Self {
        self.provider = Some(provider);
        self
    }

    /// Builds the trust.
    ///
    /// # Errors
    ///
    /// 1. The roots are not PEM certificates, or the system has none that can be read.
    /// 2. The server name is neither a DNS name nor an IP address.
    /// 3. No crypto provider was given and none is compiled in.
    pub fn build(self) -> Result<UpstreamTrust, UpstreamTrustError> {
        let provider = provider_or_default(self.provider).map_err(|error| match error {
            KeyPairError::NoProvider => UpstreamTrustError::NoProvider,
            other => UpstreamTrustError::Verifier(other.to_string()),
        })?;
        let server_name = match self.server_name {
            None => None,
            Some(name) => match ServerName::try_from(name.clone()) {
                Ok(name) => Some(name),
                Err(_) => return Err(UpstreamTrustError::ServerName(name)),
            },
        };
        let needs_roots = matches!(self.dangerous, None | Some(UpstreamVerification::ChainOnly));
        let roots = match (needs_roots, self.roots.as_slice()) {
            (false, _) => RootCertStore::empty(),
            (true, []) => system_roots()?,
            (true, texts) => own_roots(texts)?,
        };
        let verification = self.dangerous.map_or(Verification::Full, Verification::Dangerous);
        // Whoever holds the key of a pinned certificate is the upstream, whatever else is known of it.
        if let Verification::Dangerous(mode) = verification
            && self.pins.is_empty()
        {
            tracing::warn!(mode = mode.as_str(), "DANGER: upstreams' certificates are not fully verified");
            #[cfg(feature = "metrics")]
            metrics::counter!("tower_mtls_dangerous_trusts_total", "mode" => mode.as_str()).increment(1);
        }
        let verifier =
            verifier::new(verification, roots, self.pins, &provider).map_err(UpstreamTrustError::Verifier)?;
        let generation = Generation::next();
        Ok(UpstreamTrust(Arc::new(Inner { provider, verifier, server_name, verification, generation })))
    }
}

fn own_roots(texts: &[Vec<u8>]) -> Result<RootCertStore, UpstreamTrustError> {
    let mut roots = RootCertStore::empty();
    for text in texts {
        for (line, certificate) in pem::authorities(text).map_err(UpstreamTrustError::Pem)? {
            roots.add(certificate).map_err(|error| {
                let problem = format!("this certificate cannot be read as a root: {error}");
                UpstreamTrustError::Pem(PemError::new(line, problem))
            })?;
        }
    }
    Ok(roots)
}

fn system_roots() -> Result<RootCertStore, UpstreamTrustError> {
    let loaded = rustls_native_certs::load_native_certs();
    for error in &loaded.errors {
        tracing::warn!(%error, "one of the system's root certificates cannot be read");
    }
    let mut roots = RootCertStore::empty();
    let (added, _) = roots.add_parsable_certificates(loaded.certs);
    if added == 0 {
        return Err(UpstreamTrustError::NoSystemRoots);
    }
    Ok(roots)
}

/// Why a [`UpstreamTrust`] could not be built.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum UpstreamTrustError {
    /// The roots are not PEM certificates.
    Pem(PemError),
    /// The system has no root certificate that can be read.
    NoSystemRoots,
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
                "the system has no readable root certificates; install them (package ca-certificates) or name roots \
                 of your own",
            ),
            Self::ServerName(name) => write!(f, "{name:?} is neither a DNS name nor an IP address"),
            Self::NoProvider => KeyPairError::NoProvider.fmt(f),
            Self::Verifier(problem) => write!(f, "upstreams cannot be verified: {problem}"),
        }
    }
}

impl std::error::Error for UpstreamTrustError {}
