use std::{
    any::Any,
    fmt,
    sync::{Arc, Weak},
};

use rustls::{
    crypto::CryptoProvider,
    sign::{CertifiedKey, SigningKey},
};
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

use super::{IdentityError, PfxLimits, encrypted_key, pfx};
use crate::{
    certificate::Certificate,
    generation::Generation,
    key_pair::{self, KeyPairError, provider_or_default},
    shared::sealed::Sealed,
};

/// A certificate chain and its private key, presented to upstreams. Cheap to clone.
///
/// See the [module](super) for what is checked when it is made.
#[derive(Clone)]
pub struct ClientIdentity(Arc<Inner>);

struct Inner {
    key: Arc<CertifiedKey>,
    certificate: Certificate,
    generation: Generation,
    name: Option<Arc<str>>,
}

impl ClientIdentity {
    /// Reads a .pfx (PKCS#12) file with the default [limits](PfxLimits).
    ///
    /// Deriving keys takes CPU time (tens to hundreds of milliseconds): on a server call it on a blocking
    /// thread, with a bound on how many run at a time.
    ///
    /// # Errors
    ///
    /// Any [`IdentityError`]; a wrong password is [`IdentityError::WrongPassword`].
    pub fn from_pfx(pfx: impl AsRef<[u8]>, password: &str) -> Result<Self, IdentityError> {
        Self::from_pfx_with(pfx, password, PfxLimits::default(), None)
    }

    /// As [`from_pfx`](Self::from_pfx) with limits and crypto provider of your own (None: the default one).
    ///
    /// # Errors
    ///
    /// As [`from_pfx`](Self::from_pfx).
    pub fn from_pfx_with(
        pfx: impl AsRef<[u8]>,
        password: &str,
        limits: PfxLimits,
        provider: Option<Arc<CryptoProvider>>,
    ) -> Result<Self, IdentityError> {
        Self::from_pfx_with_key(pfx, password, limits, provider).map(|(identity, _)| identity)
    }

    /// As [`from_pfx_with`](Self::from_pfx_with), and hands out the private key in plain (PKCS#8), for a store that
    /// keeps identities. The key is the caller's to seal and to wipe.
    ///
    /// # Errors
    ///
    /// As [`from_pfx`](Self::from_pfx).
    pub fn from_pfx_with_key(
        pfx: impl AsRef<[u8]>,
        password: &str,
        limits: PfxLimits,
        provider: Option<Arc<CryptoProvider>>,
    ) -> Result<(Self, PrivateKeyDer<'static>), IdentityError> {
        let provider = provider_or_default(provider)?;
        let pfx::Contents { key: plain, certificates } = pfx::read(pfx.as_ref(), password, limits)?;
        let key = key_pair::load(plain.clone_key(), &provider)?;
        // Files link key and certificate by labels that tools set carelessly; the public key cannot lie.
        let leaf = certificates.iter().position(|certificate| key_pair::belongs(&*key, certificate));
        let chain = pfx::chain_of(leaf.ok_or(IdentityError::NoCertificate)?, &certificates);
        Ok((Self::new(CertifiedKey::new(chain, key))?, plain))
    }

    /// Reads a PEM chain (leaf first, then its intermediates) and a PEM key (PKCS#8, PKCS#1 or SEC1).
    ///
    /// # Errors
    ///
    /// [`IdentityError::KeyPair`] and [`IdentityError::Certificate`].
    pub fn from_pem(chain: impl AsRef<[u8]>, key: impl AsRef<[u8]>) -> Result<Self, IdentityError> {
        Self::from_pem_with(chain, key, None)
    }

    /// As [`from_pem`](Self::from_pem) with a crypto provider of your own (None: the default one).
    ///
    /// # Errors
    ///
    /// As [`from_pem`](Self::from_pem).
    pub fn from_pem_with(
        chain: impl AsRef<[u8]>,
        key: impl AsRef<[u8]>,
        provider: Option<Arc<CryptoProvider>>,
    ) -> Result<Self, IdentityError> {
        Self::new(key_pair::from_pem(chain.as_ref(), key.as_ref(), &*provider_or_default(provider)?)?)
    }

    /// Reads a PEM chain, and an encrypted PEM key (`BEGIN ENCRYPTED PRIVATE KEY`: PKCS#8 with PBES2, or PKCS#12's
    /// 3DES and RC2) with its password, within the default [limits](PfxLimits).
    ///
    /// Deriving the key takes CPU time, as with [`from_pfx`](Self::from_pfx).
    ///
    /// # Errors
    ///
    /// As [`from_pem`](Self::from_pem); [`IdentityError::WrongPassword`],
    /// [`IdentityError::TooManyIterations`], [`IdentityError::TooLarge`] and
    /// [`IdentityError::UnsupportedKeyEncryption`], which is also for the encryption that OpenSSL puts into PEM
    /// itself (`Proc-Type: 4,ENCRYPTED`). A key that is not encrypted is an error.
    pub fn from_encrypted_pem(
        chain: impl AsRef<[u8]>,
        key: impl AsRef<[u8]>,
        password: &str,
    ) -> Result<Self, IdentityError> {
        Self::from_encrypted_pem_with(chain, key, password, PfxLimits::default(), None)
    }

    /// As [`from_encrypted_pem`](Self::from_encrypted_pem) with limits and crypto provider of your own (None: the
    /// default one).
    ///
    /// # Errors
    ///
    /// As [`from_encrypted_pem`](Self::from_encrypted_pem).
    pub fn from_encrypted_pem_with(
        chain: impl AsRef<[u8]>,
        key: impl AsRef<[u8]>,
        password: &str,
        limits: PfxLimits,
        provider: Option<Arc<CryptoProvider>>,
    ) -> Result<Self, IdentityError> {
        let key = encrypted_key::open(key.as_ref(), password, limits)?;
        Self::new(key_pair::with_key(chain.as_ref(), key, &*provider_or_default(provider)?)?)
    }

    /// Signs with a key that is never handed out: rustls' [`SigningKey`] in front of a hardware module, an agent
    /// or a key service. `chain` is DER, leaf first.
    ///
    /// rustls asks for signatures within handshakes, on an async thread: a signer that waits blocks it.
    ///
    /// # Errors
    ///
    /// 1. [`IdentityError::NoCertificate`]: the chain is empty.
    /// 2. [`IdentityError::Certificate`]: its first certificate cannot be read.
    /// 3. [`IdentityError::KeyPair`]: the signer tells its public key, and it belongs to another certificate. A
    ///    signer that does not tell it is taken at its word; upstreams will refuse it.
    pub fn from_signer(
        chain: impl IntoIterator<Item = impl AsRef<[u8]>>,
        signer: Arc<dyn SigningKey>,
    ) -> Result<Self, IdentityError> {
        let chain: Vec<_> =
            chain.into_iter().map(|der| CertificateDer::from(der.as_ref().to_vec())).collect();
        let leaf = chain.first().ok_or(IdentityError::NoCertificate)?;
        if signer.public_key().is_some() && !key_pair::belongs(&*signer, leaf) {
            return Err(KeyPairError::Mismatch.into());
        }
        Self::new(CertifiedKey::new(chain, signer))
    }

    fn new(key: CertifiedKey) -> Result<Self, IdentityError> {
        let mut chain = key.cert.iter().map(AsRef::as_ref);
        let leaf = chain.next().ok_or(IdentityError::NoCertificate)?;
        let certificate = Certificate::from_der_chain(leaf, chain)?;
        let generation = Generation::next();
        Ok(Self(Arc::new(Inner { key: Arc::new(key), certificate, generation, name: None })))
    }

    /// Gives it a name for logs and metrics. Default: the last eight digits of its SHA-256 thumbprint.
    #[must_use]
    pub fn with_name(self, name: impl Into<Arc<str>>) -> Self {
        let Inner { key, certificate, .. } = &*self.0;
        Self(Arc::new(Inner {
            key: key.clone(),
            certificate: certificate.clone(),
            generation: Generation::next(),
            name: Some(name.into()),
        }))
    }

    /// Its name for logs and metrics.
    pub fn name(&self) -> Arc<str> {
        match &self.0.name {
            Some(name) => name.clone(),
            None => {
                let thumbprint = self.0.certificate.sha256_thumbprint().to_string();
                thumbprint[thumbprint.len() - 8..].into()
            }
        }
    }

    /// The certificate that is presented, with its chain.
    pub fn certificate(&self) -> &Certificate {
        &self.0.certificate
    }

    /// Certificate and key as rustls takes them, for example to serve with them
    /// (`ServerTlsBuilder::certified_key`).
    pub fn certified_key(&self) -> Arc<CertifiedKey> {
        self.0.key.clone()
    }

    /// Whether both are clones of one value, and so share connections; equal contents alone do not.
    pub fn ptr_eq(&self, other: &Self) -> bool {
        self.0.generation == other.0.generation
    }

    #[cfg_attr(not(feature = "outbound"), allow(dead_code, reason = "connections are kept under it"))]
    pub(crate) fn generation(&self) -> Generation {
        self.0.generation
    }

    /// Tells, without holding the identity, whether anyone still does.
    #[cfg_attr(not(feature = "outbound"), allow(dead_code, reason = "unused ones are forgotten"))]
    pub(crate) fn downgrade(&self) -> Weak<dyn Any + Send + Sync> {
        let inner: Weak<Inner> = Arc::downgrade(&self.0);
        inner
    }
}

impl Sealed for ClientIdentity {}

impl fmt::Debug for ClientIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientIdentity")
            .field("name", &self.0.name)
            .field("certificate", &self.0.certificate)
            .finish_non_exhaustive()
    }
}
