use std::{
    any::Any,
    fmt,
    sync::{Arc, Weak},
};

use rustls::{client::danger::ServerCertVerifier, crypto::CryptoProvider};
use rustls_pki_types::ServerName;

use super::{
    UpstreamPin, UpstreamTrustBuilder, UpstreamTrustError, verification::VerificationMode, verifier,
};
use crate::{certificate::SpiffeId, generation::Generation, shared::sealed::Sealed};

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
    verification: VerificationMode,
    generation: Generation,
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
        let Inner { provider, verifier, server_name, verification, .. } = &*self.0;
        Self::new(provider.clone(), verifier.clone(), server_name.clone(), verification.clone())
    }

    /// Returns true if both are clones of one value, and so share connections; equal contents are not enough.
    pub fn ptr_eq(&self, other: &Self) -> bool {
        self.0.generation == other.0.generation
    }

    pub(super) fn new(
        provider: Arc<CryptoProvider>,
        verifier: Arc<dyn ServerCertVerifier>,
        server_name: Option<ServerName<'static>>,
        verification: VerificationMode,
    ) -> Self {
        let generation = Generation::next();
        Self(Arc::new(Inner { provider, verifier, server_name, verification, generation }))
    }

    pub(in crate::outbound) fn provider(&self) -> &Arc<CryptoProvider> {
        &self.0.provider
    }

    pub(in crate::outbound) fn verifier(&self) -> Arc<dyn ServerCertVerifier> {
        self.0.verifier.clone()
    }

    /// Returns a verifier of the [server name](UpstreamTrustBuilder::with_server_name), if one is set, in place of the
    /// name that a connection is opened for.
    pub(in crate::outbound) fn named_verifier(&self) -> Arc<dyn ServerCertVerifier> {
        match self.server_name() {
            Some(name) => verifier::for_name(self.verifier(), name.clone()),
            None => self.verifier(),
        }
    }

    pub(in crate::outbound) fn server_name(&self) -> Option<&ServerName<'static>> {
        self.0.server_name.as_ref()
    }

    pub(in crate::outbound) fn generation(&self) -> Generation {
        self.0.generation
    }

    /// Returns a weak reference, which shows whether any clone is left.
    pub(in crate::outbound) fn downgrade(&self) -> Weak<dyn Any + Send + Sync> {
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
