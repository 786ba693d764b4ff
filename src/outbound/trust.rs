use std::{
    any::Any,
    fmt,
    sync::{Arc, Weak},
};

use rustls::{RootCertStore, client::danger::ServerCertVerifier, crypto::CryptoProvider};
use rustls_pki_types::ServerName;

use super::{UpstreamPin, UpstreamTrustError, verifier};
use crate::{
    certificate::SpiffeId,
    danger::UpstreamVerification,
    generation::Generation,
    key_pair::{KeyPairError, provider_or_default},
    pem::{self, PemError},
    shared::sealed::Sealed,
};

/// Requirements on an upstream's certificate. Cheap to clone.
///
/// | constructor | required of the upstream |
/// |---|---|
/// | [`system`](Self::system) | a chain to the system's roots, and the host name |
/// | [`from_pem`](Self::from_pem) | a chain to the given roots, and the host name |
/// | [`spiffe_id`](Self::spiffe_id) | a chain to the given roots, and a SPIFFE ID in place of the host name |
/// | [`pinned`](Self::pinned) | a certificate or public key from a list; neither chain, dates nor name |
/// | [`builder`](Self::builder) | any of these, combined with pins, a server name or a crypto provider |
///
/// The host name is that of the request's URI. Possession of the certificate's private key is always verified.
///
/// Each value is a separate generation: connections and TLS sessions opened under one are never used by another, so
/// a session that a lenient value accepted is never resumed under a strict one.
///
/// ```
/// # #[cfg(any(feature = "aws-lc-rs", feature = "ring"))]
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let mut params = rcgen::CertificateParams::default();
/// # params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
/// # let roots = params.self_signed(&rcgen::KeyPair::generate()?)?.pem();
/// use tower_mtls::{UpstreamTrust, outbound::UpstreamTrustError};
///
/// let trust = UpstreamTrust::from_pem(&roots)?;
/// let internal = UpstreamTrust::builder().add_roots_pem(&roots).with_server_name("orders.internal").build()?;
/// assert!(!trust.ptr_eq(&internal));
///
/// let error = UpstreamTrust::from_pem("not PEM").unwrap_err();
/// assert!(matches!(error, UpstreamTrustError::Pem(_)));
/// # Ok(())
/// # }
/// # #[cfg(not(any(feature = "aws-lc-rs", feature = "ring")))]
/// # fn main() {}
/// ```
#[derive(Clone)]
pub struct UpstreamTrust(Arc<Inner>);

struct Inner {
    provider: Arc<CryptoProvider>,
    verifier: Arc<dyn ServerCertVerifier>,
    server_name: Option<ServerName<'static>>,
    verification: Verification,
    generation: Generation,
}

/// Requirements on an upstream's certificate, apart from pins beside them.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) enum Verification {
    /// A chain to a root and the server name.
    #[default]
    Full,
    /// A chain to a root and this SPIFFE ID.
    SpiffeId(SpiffeId),
    /// One of the pins.
    PinsOnly,
    /// Less than a chain and a name.
    Dangerous(UpstreamVerification),
}

impl UpstreamTrust {
    /// Requires a chain to one of the system's roots, and the host name.
    ///
    /// # Errors
    ///
    /// As [`UpstreamTrustBuilder::build`].
    ///
    /// ```no_run
    /// use tower_mtls::{MtlsClient, UpstreamTrust};
    ///
    /// let client: MtlsClient<String> = MtlsClient::builder().trust(UpstreamTrust::system()?).build();
    /// # Ok::<(), tower_mtls::outbound::UpstreamTrustError>(())
    /// ```
    pub fn system() -> Result<Self, UpstreamTrustError> {
        Self::builder().build()
    }

    /// Requires a chain to one of these roots (PEM) instead of the system's, and the host name.
    ///
    /// # Errors
    ///
    /// As [`UpstreamTrustBuilder::build`].
    ///
    /// ```
    /// use tower_mtls::UpstreamTrust;
    ///
    /// assert!(UpstreamTrust::from_pem("not PEM").is_err());
    /// ```
    pub fn from_pem(roots: impl AsRef<[u8]>) -> Result<Self, UpstreamTrustError> {
        Self::builder().add_roots_pem(roots).build()
    }

    /// Requires that the upstream's certificate, or its public key, is one of `pins`; nothing else.
    ///
    /// For upstreams with a self-signed certificate. Chain, validity period and host name are not verified; only the
    /// owner of a pinned key can complete the handshake. For pins beside a chain and a name see
    /// [`UpstreamTrustBuilder::pin`].
    ///
    /// # Errors
    ///
    /// 1. [`UpstreamTrustError::NoPins`]: `pins` is empty.
    /// 2. [`UpstreamTrustError::NoProvider`]: no crypto provider is compiled in.
    ///
    /// ```
    /// # #[cfg(any(feature = "aws-lc-rs", feature = "ring"))]
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let certificate = rcgen::generate_simple_self_signed(vec![])?.cert;
    /// use tower_mtls::{Certificate, UpstreamTrust, outbound::{UpstreamPin, UpstreamTrustError}};
    ///
    /// let key = Certificate::from_der(certificate.der())?.spki_sha256();
    /// let trust = UpstreamTrust::pinned([UpstreamPin::public_key(key)])?;
    ///
    /// assert_eq!(UpstreamTrust::pinned([]).unwrap_err(), UpstreamTrustError::NoPins);
    /// # drop(trust);
    /// # Ok(())
    /// # }
    /// # #[cfg(not(any(feature = "aws-lc-rs", feature = "ring")))]
    /// # fn main() {}
    /// ```
    pub fn pinned(pins: impl IntoIterator<Item = UpstreamPin>) -> Result<Self, UpstreamTrustError> {
        pins.into_iter().fold(Self::builder().only_pins(), UpstreamTrustBuilder::pin).build()
    }

    /// Requires a chain to one of these roots (PEM), and the SPIFFE ID `id` in place of the host name.
    ///
    /// The upstream's certificate must be an X509-SVID: exactly one URI among its subject alternative names, equal to
    /// `id`. The host of the request's URI is sent as SNI and not verified.
    ///
    /// # Errors
    ///
    /// As [`UpstreamTrustBuilder::build`].
    ///
    /// ```
    /// # #[cfg(any(feature = "aws-lc-rs", feature = "ring"))]
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let mut params = rcgen::CertificateParams::default();
    /// # params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    /// # let bundle = params.self_signed(&rcgen::KeyPair::generate()?)?.pem();
    /// use tower_mtls::{IdentityLayer, UpstreamTrust};
    ///
    /// let trust = UpstreamTrust::spiffe_id(&bundle, "spiffe://contoso.com/orders".parse()?)?;
    /// let layer = IdentityLayer::anonymous().with_trust(trust);
    /// # drop(layer);
    /// # Ok(())
    /// # }
    /// # #[cfg(not(any(feature = "aws-lc-rs", feature = "ring")))]
    /// # fn main() {}
    /// ```
    pub fn spiffe_id(roots: impl AsRef<[u8]>, id: SpiffeId) -> Result<Self, UpstreamTrustError> {
        Self::builder().add_roots_pem(roots).spiffe_id(id).build()
    }

    /// Starts with the system's roots and the host name.
    ///
    /// ```
    /// use tower_mtls::UpstreamTrust;
    ///
    /// assert!(UpstreamTrust::builder().only_pins().build().is_err()); // no pin
    /// ```
    pub fn builder() -> UpstreamTrustBuilder {
        UpstreamTrustBuilder::default()
    }

    /// Returns the same requirements as a new generation, which shares no connection and no TLS session with this
    /// one.
    #[must_use]
    pub fn renewed(&self) -> Self {
        Self(Arc::new(Inner {
            provider: self.0.provider.clone(),
            verifier: self.0.verifier.clone(),
            server_name: self.0.server_name.clone(),
            verification: self.0.verification.clone(),
            generation: Generation::next(),
        }))
    }

    /// Returns true if both are clones of one value, and so share connections; equal contents are not enough.
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

    /// Returns a weak reference, which shows whether any clone is left.
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
    verification: Verification,
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
        self.verification = Verification::PinsOnly;
        self
    }

    /// Requires this SPIFFE ID in place of the host name, as [`UpstreamTrust::spiffe_id`] does. A
    /// [server name](Self::with_server_name) beside it is sent as SNI only.
    pub fn spiffe_id(mut self, id: SpiffeId) -> Self {
        self.verification = Verification::SpiffeId(id);
        self
    }

    /// Verifies less than a chain and a name: see [`UpstreamVerification`] for the protection that each mode gives
    /// up. [`build`](Self::build) logs a warning, unless there are [pins](Self::pin).
    pub fn dangerous(mut self, verification: UpstreamVerification) -> Self {
        self.verification = Verification::Dangerous(verification);
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
        if self.verification == Verification::PinsOnly && self.pins.is_empty() {
            return Err(UpstreamTrustError::NoPins);
        }
        let roots = match (self.verification.needs_roots(), self.roots.as_slice()) {
            (false, _) => RootCertStore::empty(),
            (true, []) => system_roots()?,
            (true, texts) => own_roots(texts)?,
        };
        // Only the upstream has the key of a pinned certificate: with pins no mode is dangerous.
        if let Verification::Dangerous(mode) = self.verification
            && self.pins.is_empty()
        {
            tracing::warn!(mode = mode.as_str(), "DANGER: upstreams' certificates are not fully verified");
            #[cfg(feature = "metrics")]
            metrics::counter!("tower_mtls_dangerous_trusts_total", "mode" => mode.as_str()).increment(1);
        }
        let verification = self.verification;
        let verifier = verifier::new(&verification, roots, self.pins, &provider)
            .map_err(UpstreamTrustError::Verifier)?;
        let generation = Generation::next();
        Ok(UpstreamTrust(Arc::new(Inner { provider, verifier, server_name, verification, generation })))
    }
}

impl Verification {
    fn needs_roots(&self) -> bool {
        match self {
            Self::Full | Self::SpiffeId(_) | Self::Dangerous(UpstreamVerification::ChainOnly) => true,
            Self::PinsOnly | Self::Dangerous(_) => false,
        }
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
