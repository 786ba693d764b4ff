use std::sync::Arc;

use rustls::{RootCertStore, crypto::CryptoProvider};
use rustls_pki_types::ServerName;

use super::{
    UpstreamPin, UpstreamTrust, UpstreamTrustError, UpstreamVerification, verification::VerificationMode,
    verifier,
};
use crate::{
    certificate::SpiffeId,
    keys::{
        KeyPairError,
        pem::{self, PemError},
        provider_or_default,
    },
};

/// Builds an [`UpstreamTrust`].
///
/// ```
/// # #[cfg(any(feature = "aws-lc-rs", feature = "ring"))]
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let mut params = rcgen::CertificateParams::default();
/// # params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
/// # let roots = params.self_signed(&rcgen::KeyPair::generate()?)?.pem();
/// use tower_mtls::{UpstreamTrust, outbound::UpstreamTrustError};
///
/// let builder = || UpstreamTrust::builder().add_roots_pem(&roots);
/// assert!(builder().with_server_name("orders.internal").build().is_ok());
///
/// let error = builder().with_server_name("orders internal").build().unwrap_err();
/// assert_eq!(error, UpstreamTrustError::ServerName("orders internal".into()));
/// # Ok(())
/// # }
/// # #[cfg(not(any(feature = "aws-lc-rs", feature = "ring")))]
/// # fn main() {}
/// ```
#[derive(Debug, Default)]
#[must_use]
pub struct UpstreamTrustBuilder {
    roots: Vec<Vec<u8>>,
    server_name: Option<String>,
    verification: VerificationMode,
    pins: Vec<UpstreamPin>,
    provider: Option<Arc<CryptoProvider>>,
}

impl UpstreamTrustBuilder {
    /// Trusts the certificates of this PEM text. The first call replaces the system's roots, further calls add to
    /// it. No effect with [`only_pins`](Self::only_pins).
    pub fn add_roots_pem(mut self, pem: impl AsRef<[u8]>) -> Self {
        self.roots.push(pem.as_ref().into());
        self
    }

    /// The name to send (SNI) and to verify. Default: the host of the request's URI.
    pub fn with_server_name(mut self, name: impl Into<String>) -> Self {
        self.server_name = Some(name.into());
        self
    }

    /// Requires, beside everything else, that the upstream's certificate, or its public key, is this one; with
    /// several pins, one of them. Default: no pin.
    ///
    /// The chain and the name are still required. For an upstream with a self-signed certificate see
    /// [`UpstreamTrust::pinned`].
    pub fn pin(mut self, pin: UpstreamPin) -> Self {
        self.pins.push(pin);
        self
    }

    /// Requires one of the [pins](Self::pin) in place of a chain and a name, as [`UpstreamTrust::pinned`] does.
    ///
    /// The last of [`only_pins`](Self::only_pins), [`spiffe_id`](Self::spiffe_id) and [`dangerous`](Self::dangerous) counts.
    pub fn only_pins(mut self) -> Self {
        self.verification = VerificationMode::PinsOnly;
        self
    }

    /// Requires this SPIFFE ID in place of the host name, as [`UpstreamTrust::spiffe_id`] does. A
    /// [server name](Self::with_server_name) beside it is sent as SNI only.
    pub fn spiffe_id(mut self, id: SpiffeId) -> Self {
        self.verification = VerificationMode::SpiffeId(id);
        self
    }

    /// Verifies less than a chain and a name: see [`UpstreamVerification`] for the protection that each mode gives
    /// up. [`build`](Self::build) logs a warning, unless there are [pins](Self::pin).
    pub fn dangerous(mut self, verification: UpstreamVerification) -> Self {
        self.verification = VerificationMode::Dangerous(verification);
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
    /// 1. [`UpstreamTrustError::NoProvider`]: no crypto provider was given and none is compiled in.
    /// 2. [`UpstreamTrustError::ServerName`]: the server name is neither a DNS name nor an IP address.
    /// 3. [`UpstreamTrustError::NoPins`]: [`only_pins`](Self::only_pins) was set, and there is no pin.
    /// 4. [`UpstreamTrustError::Pem`]: the roots are not PEM certificates.
    /// 5. [`UpstreamTrustError::NoSystemRoots`]: no roots were given, and the system has no readable ones.
    /// 6. [`UpstreamTrustError::Verifier`]: rustls cannot build a verifier from them.
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
        if self.verification == VerificationMode::PinsOnly && self.pins.is_empty() {
            return Err(UpstreamTrustError::NoPins);
        }
        let roots = match (self.verification.needs_roots(), self.roots.as_slice()) {
            (false, _) => RootCertStore::empty(),
            (true, []) => system_roots()?,
            (true, texts) => own_roots(texts)?,
        };
        // Only the upstream has the key of a pinned certificate: with pins no mode is dangerous.
        if let VerificationMode::Dangerous(mode) = self.verification
            && self.pins.is_empty()
        {
            tracing::warn!(mode = mode.as_str(), "DANGER: upstreams' certificates are not fully verified");
            #[cfg(feature = "metrics")]
            metrics::counter!("tower_mtls_dangerous_trusts_total", "mode" => mode.as_str()).increment(1);
        }
        let verification = self.verification;
        let verifier = verifier::new(&verification, roots, self.pins, &provider)
            .map_err(UpstreamTrustError::Verifier)?;
        Ok(UpstreamTrust::new(provider, verifier, server_name, verification))
    }
}

fn own_roots(texts: &[Vec<u8>]) -> Result<RootCertStore, UpstreamTrustError> {
    let mut roots = RootCertStore::empty();
    for text in texts {
        for (line, certificate) in pem::authorities(text).map_err(UpstreamTrustError::Pem)? {
            roots.add(certificate).map_err(|error| {
                let problem = format!("certificate cannot be used as a root: {error}");
                UpstreamTrustError::Pem(PemError::new(line, problem))
            })?;
        }
    }
    Ok(roots)
}

fn system_roots() -> Result<RootCertStore, UpstreamTrustError> {
    let loaded = rustls_native_certs::load_native_certs();
    for error in &loaded.errors {
        tracing::warn!(%error, "unreadable system root certificate skipped");
    }
    let mut roots = RootCertStore::empty();
    let (added, _) = roots.add_parsable_certificates(loaded.certs);
    if added == 0 {
        return Err(UpstreamTrustError::NoSystemRoots);
    }
    Ok(roots)
}
