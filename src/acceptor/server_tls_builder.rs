use std::{fmt, sync::Arc};

use rustls::{
    CipherSuite, ServerConfig,
    crypto::CryptoProvider,
    server::{NoClientAuth, NoServerSessionStorage, ResolvesServerCert, danger::ClientCertVerifier},
    sign::{CertifiedKey, SingleCertAndKey},
};
use zeroize::Zeroizing;

use super::{
    ClientCertificateRequest, PossessionVerifier, ServerTls, ServerTlsError, TlsVersion, sni::SniResolver,
};
use crate::keys::{KeyPairError, key_pair, provider_or_default};
#[cfg(feature = "trust")]
use crate::policy::TrustAnchors;

/// Builds a [`ServerTls`].
///
/// ```
/// # #[cfg(any(feature = "aws-lc-rs", feature = "ring"))]
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let issue = |name: &str| rcgen::generate_simple_self_signed([name.to_owned()]);
/// # let (orders, billing) = (issue("orders.example.com")?, issue("billing.example.com")?);
/// # let pem = |made: &rcgen::CertifiedKey<rcgen::KeyPair>| (made.cert.pem(), made.signing_key.serialize_pem());
/// # let ((chain, key), (billing_chain, billing_key)) = (pem(&orders), pem(&billing));
/// use tower_mtls::{ServerTls, acceptor::{ServerTlsError, TlsVersion}};
///
/// let builder = || ServerTls::builder().certificate_pem(&chain, &key).min_version(TlsVersion::V1_3);
/// let tls = builder().add_certificate_for("billing.example.com", &billing_chain, &billing_key).build()?;
///
/// // A certificate for another name is a configuration error.
/// let swapped = builder().add_certificate_for("orders.example.com", &billing_chain, &billing_key);
/// assert_eq!(swapped.build().unwrap_err(), ServerTlsError::NameNotCovered("orders.example.com".into()));
/// # drop(tls);
/// # Ok(())
/// # }
/// # #[cfg(not(any(feature = "aws-lc-rs", feature = "ring")))]
/// # fn main() {}
/// ```
#[derive(Default)]
#[must_use]
pub struct ServerTlsBuilder {
    provider: Option<Arc<CryptoProvider>>,
    base: Option<ServerConfig>,
    certificate: Option<CertificateSource>,
    by_name: Vec<(String, CertificateSource)>,
    request: ClientCertificateRequest,
    #[cfg(feature = "trust")]
    client_trust: Option<TrustAnchors>,
    min_version: Option<TlsVersion>,
    only_http1: bool,
}

enum CertificateSource {
    // The chain is often in one file with its key.
    Pem { chain: Zeroizing<Vec<u8>>, key: Zeroizing<Vec<u8>> },
    Certified(Arc<CertifiedKey>),
}

impl CertificateSource {
    fn pem(chain: impl AsRef<[u8]>, key: impl AsRef<[u8]>) -> Self {
        let [chain, key] = [chain.as_ref(), key.as_ref()].map(|text| Zeroizing::new(text.to_vec()));
        Self::Pem { chain, key }
    }

    fn read(self, provider: &CryptoProvider) -> Result<Arc<CertifiedKey>, KeyPairError> {
        match self {
            Self::Pem { chain, key } => Ok(Arc::new(key_pair::from_pem(&chain, &key, provider)?)),
            Self::Certified(key) => Ok(key),
        }
    }
}

impl ServerTlsBuilder {
    /// The certificate chain (leaf first) and its private key, both PEM. The last certificate set counts.
    pub fn certificate_pem(mut self, chain: impl AsRef<[u8]>, key: impl AsRef<[u8]>) -> Self {
        self.certificate = Some(CertificateSource::pem(chain, key));
        self
    }

    /// A certificate and key as rustls takes them, for example
    /// [`ClientIdentity::certified_key`](crate::ClientIdentity::certified_key) of a .pfx file.
    pub fn certified_key(mut self, key: Arc<CertifiedKey>) -> Self {
        self.certificate = Some(CertificateSource::Certified(key));
        self
    }

    /// Adds a certificate, as [`certificate_pem`](Self::certificate_pem) takes it, for callers that send this server
    /// name (SNI): a DNS name, or `*.` and a DNS name for one label in place of `*`. An exact name counts before a
    /// wildcard, the last certificate for a name before others.
    ///
    /// Other names, and callers without SNI, get the certificate of [`certificate_pem`](Self::certificate_pem). Client
    /// certificates are requested and verified alike for all names; a session of one name is not resumed for another.
    pub fn add_certificate_for(
        mut self,
        name: impl Into<String>,
        chain: impl AsRef<[u8]>,
        key: impl AsRef<[u8]>,
    ) -> Self {
        self.by_name.push((name.into(), CertificateSource::pem(chain, key)));
        self
    }

    /// Adds a certificate and key as rustls takes them for a server name: see
    /// [`add_certificate_for`](Self::add_certificate_for).
    pub fn add_certified_key_for(mut self, name: impl Into<String>, key: Arc<CertifiedKey>) -> Self {
        self.by_name.push((name.into(), CertificateSource::Certified(key)));
        self
    }

    /// Whether client certificates are requested or required. Default: requested from every caller.
    pub fn client_certificate(mut self, request: ClientCertificateRequest) -> Self {
        self.request = request;
        self
    }

    /// Requires a chain from the client certificate to one of these roots, for TLS client authentication. Default: none;
    /// the handshake proves possession of the key only. The last call counts.
    ///
    /// The handshake of a caller whose chain is not trusted fails by an alert: `unknown_ca`, `certificate_expired` (not yet
    /// valid, too), `unsupported_certificate` (not for client authentication), `bad_certificate` (unreadable) or
    /// `certificate_unknown`. The verdict is that of [`TrustAnchors::judge`], at the time of the rustls configuration.
    ///
    /// **A resumed session is not judged by its handshake**, and a certificate can expire on an open connection. So services
    /// behind such a listener still need a [`RequireCertificateLayer`](crate::RequireCertificateLayer) with the same roots.
    ///
    /// To change the roots, build another `ServerTls` and [replace](crate::Shared::replace) this one: it has its own ticket
    /// keys and resumes no session of the old roots. Replace the policy of the layer first.
    ///
    /// ```
    /// # #[cfg(any(feature = "aws-lc-rs", feature = "ring"))]
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let made = rcgen::generate_simple_self_signed(["localhost".to_owned()])?;
    /// # let (chain, key) = (made.cert.pem(), made.signing_key.serialize_pem());
    /// # let mut params = rcgen::CertificateParams::default();
    /// # params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    /// # let ca = params.self_signed(&rcgen::KeyPair::generate()?)?.pem();
    /// use tower_mtls::{
    ///     Policy, RequireCertificateLayer, ServerTls, TrustAnchors,
    ///     acceptor::{ClientCertificateRequest, ServerTlsError},
    /// };
    ///
    /// let roots = TrustAnchors::from_pem(ca)?;
    /// let builder = || ServerTls::builder().certificate_pem(&chain, &key).client_trust(roots.clone());
    /// let tls = builder().client_certificate(ClientCertificateRequest::Require).build()?;
    /// let layer = RequireCertificateLayer::new(Policy::builder().trust(roots.clone()).build()?);
    ///
    /// assert_eq!(builder().build().unwrap_err(), ServerTlsError::TrustWithoutRequire);
    /// # drop((tls, layer));
    /// # Ok(())
    /// # }
    /// # #[cfg(not(any(feature = "aws-lc-rs", feature = "ring")))]
    /// # fn main() {}
    /// ```
    #[cfg(feature = "trust")]
    pub fn client_trust(mut self, roots: TrustAnchors) -> Self {
        self.client_trust = Some(roots);
        self
    }

    /// The lowest TLS version that is accepted. Default: 1.2; required with [`with_config`](Self::with_config).
    pub fn min_version(mut self, version: TlsVersion) -> Self {
        self.min_version = Some(version);
        self
    }

    /// Offers HTTP/1.1 only, for servers that do not support HTTP/2. Default: HTTP/2, then HTTP/1.1, by ALPN.
    pub fn only_http1(mut self) -> Self {
        self.only_http1 = true;
        self
    }

    /// The crypto provider. Default: that of [`with_config`](Self::with_config), else aws-lc-rs if enabled, else ring, with
    /// `TLS_AES_128_GCM_SHA256` first among its TLS 1.3 cipher suites and its order before the caller's.
    pub fn with_provider(mut self, provider: Arc<CryptoProvider>) -> Self {
        self.provider = Some(provider);
        self
    }

    /// Starts from an existing rustls configuration.
    ///
    /// | setting | value |
    /// |---|---|
    /// | crypto provider | taken over, unless [`with_provider`](Self::with_provider) is set |
    /// | `cert_resolver` | taken over, unless a certificate is set; certificates by name count before it |
    /// | cipher order, fragment size, key log, clock, certificate compression, number of tickets | taken over |
    /// | resumption | taken over if switched off, otherwise with tickets and keys of this value alone |
    /// | client certificate verifier | [`PossessionVerifier`], with [`client_trust`](Self::client_trust) if set, or none: see [`client_certificate`](Self::client_certificate) |
    /// | TLS versions | from [`min_version`](Self::min_version) on, which must be set: rustls does not show those of a configuration |
    /// | ALPN | see [`only_http1`](Self::only_http1) |
    /// | extended master secret | required |
    /// | early data, half-RTT data, extraction of secrets | off |
    ///
    /// ```
    /// # #[cfg(feature = "aws-lc-rs")]
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let made = rcgen::generate_simple_self_signed(["orders.example.com".to_owned()])?;
    /// # let (chain, key) = (vec![made.cert.der().clone()], made.signing_key.serialize_der());
    /// use std::sync::Arc;
    /// use tower_mtls::{ServerTls, acceptor::{ServerTlsError, TlsVersion}};
    ///
    /// let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    /// let mut config = rustls::ServerConfig::builder_with_provider(provider)
    ///     .with_protocol_versions(&[&rustls::version::TLS13])?
    ///     .with_no_client_auth()
    ///     .with_single_cert(chain, key.try_into()?)?;
    /// config.max_fragment_size = Some(4_096);
    ///
    /// let builder = || ServerTls::builder().with_config(config.clone());
    /// assert!(builder().min_version(TlsVersion::V1_3).build().is_ok());
    /// assert_eq!(builder().build().unwrap_err(), ServerTlsError::MissingMinVersion);
    /// # Ok(())
    /// # }
    /// # #[cfg(not(feature = "aws-lc-rs"))]
    /// # fn main() {}
    /// ```
    pub fn with_config(mut self, config: ServerConfig) -> Self {
        self.base = Some(config);
        self
    }

    /// Builds the settings.
    ///
    /// # Errors
    ///
    /// 1. [`ServerTlsError::MissingMinVersion`]: [`with_config`](Self::with_config) without
    ///    [`min_version`](Self::min_version).
    /// 2. [`ServerTlsError::KeyPair`]: no crypto provider was given and none is compiled in; no certificate was given;
    ///    it or its key cannot be read or used, or they do not belong together.
    /// 3. [`ServerTlsError::KeyPairFor`]: the same of a certificate for one name.
    /// 4. [`ServerTlsError::InvalidName`]: a name is not a DNS name.
    /// 5. [`ServerTlsError::NameNotCovered`]: a certificate is not valid for its name.
    /// 6. [`ServerTlsError::UnsupportedVersion`]: the provider supports none of the TLS versions.
    /// 7. [`ServerTlsError::TrustWithoutRequire`]: [`client_trust`](Self::client_trust) without
    ///    [`ClientCertificateRequest::Require`].
    pub fn build(self) -> Result<ServerTls, ServerTlsError> {
        #[cfg(feature = "trust")]
        if self.client_trust.is_some() && self.request != ClientCertificateRequest::Require {
            return Err(ServerTlsError::TrustWithoutRequire);
        }
        #[cfg(feature = "trust")]
        let trust = self.client_trust;
        let Self { provider, base, certificate, by_name, request, min_version, only_http1, .. } = self;
        let min_version = match (min_version, &base) {
            (Some(version), _) => version,
            (None, None) => TlsVersion::V1_2,
            (None, Some(_)) => return Err(ServerTlsError::MissingMinVersion),
        };
        let provider = provider.or_else(|| base.as_ref().map(|base| base.crypto_provider().clone()));
        let is_default_provider = provider.is_none();
        let mut provider = provider_or_default(provider)?;
        if is_default_provider {
            prefer_aes_128(Arc::make_mut(&mut provider));
        }
        let default: Arc<dyn ResolvesServerCert> = match (certificate, &base) {
            (Some(source), _) => Arc::new(SingleCertAndKey::from(source.read(&provider)?)),
            (None, Some(base)) => base.cert_resolver.clone(),
            (None, None) => Arc::new(SingleCertAndKey::from(key_pair::from_pem(b"", b"", &provider)?)),
        };
        let certificates =
            by_name.into_iter().try_fold(SniResolver::new(default), |mut names, (name, source)| {
                let error = |error| ServerTlsError::KeyPairFor { name: name.clone(), error };
                names.add(&name, source.read(&provider).map_err(error)?)?;
                Ok::<_, ServerTlsError>(names)
            })?;
        let verifier: Arc<dyn ClientCertVerifier> = match request {
            ClientCertificateRequest::Request => PossessionVerifier::new(&provider),
            ClientCertificateRequest::Require => {
                let mut verifier = PossessionVerifier::optional(&provider);
                verifier.is_mandatory = true;
                #[cfg(feature = "trust")]
                {
                    verifier.trust = trust;
                }
                Arc::new(verifier)
            }
            ClientCertificateRequest::Off => Arc::new(NoClientAuth),
        };
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(min_version.and_later())
            .map_err(|_| ServerTlsError::UnsupportedVersion)?
            .with_client_cert_verifier(verifier)
            .with_cert_resolver(Arc::new(certificates));
        config.alpn_protocols = if only_http1 { vec![] } else { vec![b"h2".to_vec()] };
        config.alpn_protocols.extend([b"http/1.1".to_vec(), b"http/1.0".to_vec()]);
        config.require_ems = true;
        config.ignore_client_order = is_default_provider;
        match base {
            Some(base) => take_over(base, &mut config),
            None => resume(&mut config),
        }
        Ok(ServerTls { config: Arc::new(config) })
    }
}

/// Copies the settings of `base` that neither verify callers nor share sessions.
fn take_over(base: ServerConfig, config: &mut ServerConfig) {
    if base.session_storage.can_cache() || base.ticketer.enabled() {
        resume(config);
    } else {
        config.session_storage = Arc::new(NoServerSessionStorage {});
    }
    config.send_tls13_tickets = base.send_tls13_tickets;
    config.max_tls13_tickets = base.max_tls13_tickets;
    config.ignore_client_order = base.ignore_client_order;
    config.max_fragment_size = base.max_fragment_size;
    config.key_log = base.key_log;
    config.time_provider = base.time_provider;
    config.cert_compressors = base.cert_compressors;
    config.cert_compression_cache = base.cert_compression_cache;
    config.cert_decompressors = base.cert_decompressors;
}

/// Puts TLS_AES_128_GCM_SHA256 first, the suite that every TLS 1.3 implementation has. With SHA-384 the key schedule of a
/// handshake takes longer than its other hashes.
fn prefer_aes_128(provider: &mut CryptoProvider) {
    provider.cipher_suites.sort_by_key(|suite| suite.suite() != CipherSuite::TLS13_AES_128_GCM_SHA256);
}

/// Resumes sessions by tickets with own keys: with shared keys a caller of one configuration could resume its session
/// in another. Without a ticketer rustls keeps sessions in memory.
fn resume(config: &mut ServerConfig) {
    if let Some(ticketer) = ticketer() {
        config.ticketer = ticketer;
        config.send_tls13_tickets = 1;
    }
}

impl fmt::Debug for ServerTlsBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerTlsBuilder")
            .field("request", &self.request)
            .field("min_version", &self.min_version)
            .finish_non_exhaustive()
    }
}

fn ticketer() -> Option<Arc<dyn rustls::server::ProducesTickets>> {
    #[cfg(feature = "aws-lc-rs")]
    return rustls::crypto::aws_lc_rs::Ticketer::new().ok();
    #[cfg(all(feature = "ring", not(feature = "aws-lc-rs")))]
    return rustls::crypto::ring::Ticketer::new().ok();
    #[cfg(not(any(feature = "aws-lc-rs", feature = "ring")))]
    return None;
}
