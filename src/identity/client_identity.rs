use std::{
    any::Any,
    fmt,
    sync::{Arc, Weak},
};

use rustls::sign::{CertifiedKey, SigningKey};

use super::{ClientIdentityBuilder, IdentityError};
use crate::{certificate::Certificate, generation::Generation, shared::sealed::Sealed};

/// A certificate chain and its private key, presented to upstreams. Cheap to clone.
///
/// See the [module](super) for the checks that each constructor runs.
///
/// ```
/// # #[cfg(any(feature = "aws-lc-rs", feature = "ring"))]
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let made = rcgen::generate_simple_self_signed(vec![])?;
/// # let (chain, key) = (made.cert.pem(), made.signing_key.serialize_pem());
/// use tower_mtls::ClientIdentity;
///
/// let identity = ClientIdentity::from_pem(&chain, &key)?.with_name("orders");
/// assert_eq!(&*identity.name(), "orders");
/// assert!(identity.clone().ptr_eq(&identity));
///
/// // The same files as a new value share no connections with it.
/// assert!(!ClientIdentity::from_pem(&chain, &key)?.ptr_eq(&identity));
/// # Ok(())
/// # }
/// # #[cfg(not(any(feature = "aws-lc-rs", feature = "ring")))]
/// # fn main() {}
/// ```
#[derive(Clone)]
pub struct ClientIdentity(Arc<Inner>);

struct Inner {
    key: Arc<CertifiedKey>,
    certificate: Certificate,
    generation: Generation,
    name: Option<Arc<str>>,
}

impl ClientIdentity {
    /// Starts a builder: for limits, a crypto provider, an encrypted PEM key, a name or export of the key.
    ///
    /// ```
    /// # #[cfg(any(feature = "aws-lc-rs", feature = "ring"))]
    /// # {
    /// use tower_mtls::{ClientIdentity, identity::IdentityError};
    ///
    /// let error = ClientIdentity::builder().pfx(b"not a .pfx file", "password").build().unwrap_err();
    /// assert!(matches!(error, IdentityError::Malformed { .. }));
    /// # }
    /// ```
    pub fn builder<'a>() -> ClientIdentityBuilder<'a> {
        ClientIdentityBuilder::default()
    }

    /// Reads a .pfx (PKCS#12) file with the default [limits](super::PfxLimits).
    ///
    /// Key derivation takes CPU time (tens to hundreds of milliseconds): on a server call it on a blocking thread,
    /// with a bound on the number of concurrent calls.
    ///
    /// # Errors
    ///
    /// As [`ClientIdentityBuilder::build`]; a wrong password is [`IdentityError::WrongPassword`].
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let made = rcgen::generate_simple_self_signed(vec![])?;
    /// # let certificate = p12_keystore::Certificate::from_der(made.cert.der())?;
    /// # let key = p12_keystore::PrivateKey::from_der(&made.signing_key.serialize_der())?;
    /// # let chain = p12_keystore::PrivateKeyChain::new("1", key, [certificate]);
    /// # let mut store = p12_keystore::KeyStore::new();
    /// # store.add_entry("orders", p12_keystore::KeyStoreEntry::PrivateKeyChain(chain));
    /// # let pfx = store.writer("secret").encryption_iterations(2_000).mac_iterations(2_000).write()?;
    /// use tower_mtls::{ClientIdentity, identity::IdentityError};
    ///
    /// let identity = ClientIdentity::from_pfx(&pfx, "secret")?;
    /// assert_eq!(identity.certificate().subject().to_string(), "CN=rcgen self signed cert");
    ///
    /// assert_eq!(ClientIdentity::from_pfx(&pfx, "other").unwrap_err(), IdentityError::WrongPassword);
    /// # Ok(())
    /// # }
    /// ```
    pub fn from_pfx(pfx: impl AsRef<[u8]>, password: &str) -> Result<Self, IdentityError> {
        Self::builder().pfx(&pfx, password).build()
    }

    /// Reads a PEM chain (leaf first, then its intermediates) and a PEM key (PKCS#8, PKCS#1 or SEC1).
    ///
    /// For an encrypted key see [`ClientIdentityBuilder::encrypted_pem`].
    ///
    /// # Errors
    ///
    /// [`IdentityError::KeyPair`] and [`IdentityError::Certificate`].
    ///
    /// ```
    /// # #[cfg(any(feature = "aws-lc-rs", feature = "ring"))]
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let made = rcgen::generate_simple_self_signed(vec![])?;
    /// # let (chain, key) = (made.cert.pem(), made.signing_key.serialize_pem());
    /// use tower_mtls::{ClientIdentity, identity::IdentityError, keys::KeyPairError};
    ///
    /// assert!(ClientIdentity::from_pem(&chain, &key).is_ok());
    ///
    /// let error = ClientIdentity::from_pem(&chain, "").unwrap_err();
    /// assert!(matches!(error, IdentityError::KeyPair(KeyPairError::KeyPem(_))));
    /// # Ok(())
    /// # }
    /// # #[cfg(not(any(feature = "aws-lc-rs", feature = "ring")))]
    /// # fn main() {}
    /// ```
    pub fn from_pem(chain: impl AsRef<[u8]>, key: impl AsRef<[u8]>) -> Result<Self, IdentityError> {
        Self::builder().pem(&chain, &key).build()
    }

    /// Signs with a key that stays in a hardware module, an agent or a key service, behind rustls' [`SigningKey`].
    /// `chain` is DER, leaf first.
    ///
    /// rustls requests signatures within handshakes, on an async thread: a signer that waits blocks that thread.
    ///
    /// # Errors
    ///
    /// 1. [`IdentityError::NoCertificate`]: the chain is empty.
    /// 2. [`IdentityError::Certificate`]: its first certificate cannot be read.
    /// 3. [`IdentityError::KeyPair`]: the signer's public key belongs to another certificate. A signer that does not
    ///    report its public key is not checked; upstreams will reject a wrong one.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let made = rcgen::generate_simple_self_signed(vec![])?;
    /// # let (chain, key) = (made.cert.pem(), made.signing_key.serialize_pem());
    /// # let signer = ClientIdentity::from_pem(&chain, &key)?.certified_key().key.clone();
    /// # let other = rcgen::generate_simple_self_signed(vec![])?.cert;
    /// use tower_mtls::{ClientIdentity, identity::IdentityError, keys::KeyPairError};
    ///
    /// let identity = ClientIdentity::from_signer([made.cert.der()], signer.clone())?;
    /// assert_eq!(identity.certificate().der(), &**made.cert.der());
    ///
    /// let error = ClientIdentity::from_signer([other.der()], signer).unwrap_err();
    /// assert_eq!(error, IdentityError::KeyPair(KeyPairError::Mismatch));
    /// # Ok(())
    /// # }
    /// ```
    pub fn from_signer(
        chain: impl IntoIterator<Item = impl AsRef<[u8]>>,
        signer: Arc<dyn SigningKey>,
    ) -> Result<Self, IdentityError> {
        Self::builder().signer(chain, signer).build()
    }

    pub(super) fn new(key: CertifiedKey, name: Option<Arc<str>>) -> Result<Self, IdentityError> {
        let mut chain = key.cert.iter().map(AsRef::as_ref);
        let leaf = chain.next().ok_or(IdentityError::NoCertificate)?;
        let certificate = Certificate::from_der_chain(leaf, chain)?;
        Ok(Self(Arc::new(Inner { key: Arc::new(key), certificate, generation: Generation::next(), name })))
    }

    /// Returns the same identity under a name for logs and metrics, as a new generation. Default: the last eight
    /// digits of the certificate's SHA-256 thumbprint.
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

    /// The name for logs and metrics.
    pub fn name(&self) -> Arc<str> {
        match &self.0.name {
            Some(name) => name.clone(),
            None => {
                let thumbprint = self.0.certificate.sha256_thumbprint().to_string();
                thumbprint[thumbprint.len() - 8..].into()
            }
        }
    }

    /// The presented certificate with its chain.
    pub fn certificate(&self) -> &Certificate {
        &self.0.certificate
    }

    /// Certificate and key as rustls takes them, for example for
    /// `ServerTlsBuilder::certified_key`.
    pub fn certified_key(&self) -> Arc<CertifiedKey> {
        self.0.key.clone()
    }

    /// Returns true if both are clones of one value, and so share connections; equal contents are not enough.
    pub fn ptr_eq(&self, other: &Self) -> bool {
        self.0.generation == other.0.generation
    }

    #[cfg_attr(not(feature = "outbound"), allow(dead_code, reason = "key of connection pools"))]
    pub(crate) fn generation(&self) -> Generation {
        self.0.generation
    }

    /// Returns a weak reference, which shows whether any clone is left.
    #[cfg_attr(not(feature = "outbound"), allow(dead_code, reason = "retires unused connection pools"))]
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
