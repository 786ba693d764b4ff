use std::{fmt, sync::Arc};

use rustls::{
    crypto::CryptoProvider,
    sign::{CertifiedKey, SigningKey},
};
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use zeroize::Zeroizing;

use super::{ClientIdentity, IdentityError, PfxLimits, encrypted_key, pfx};
use crate::keys::{KeyPairError, key_pair, provider_or_default};

/// Builds a [`ClientIdentity`] from one source: [`pfx`](Self::pfx), [`pem`](Self::pem),
/// [`encrypted_pem`](Self::encrypted_pem) or [`signer`](Self::signer). The last one set counts.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let made = rcgen::generate_simple_self_signed(vec![])?;
/// # let (chain, key) = (made.cert.pem(), made.signing_key.serialize_pem());
/// use tower_mtls::{ClientIdentity, identity::IdentityError};
///
/// let orders = ClientIdentity::builder().pem(&chain, &key).with_name("orders").build()?;
/// assert_eq!(&*orders.name(), "orders");
///
/// let error = ClientIdentity::builder().build().unwrap_err();
/// assert_eq!(error, IdentityError::NoCertificate);
/// # Ok(())
/// # }
/// ```
#[derive(Default)]
#[must_use]
pub struct ClientIdentityBuilder<'a> {
    source: Source<'a>,
    limits: PfxLimits,
    provider: Option<Arc<CryptoProvider>>,
    name: Option<Arc<str>>,
}

/// Origin of certificate chain and key. Secrets are borrowed, never copied.
#[derive(Default)]
enum Source<'a> {
    #[default]
    Missing,
    Pfx {
        pfx: &'a [u8],
        password: &'a str,
    },
    Pem {
        chain: &'a [u8],
        key: &'a [u8],
    },
    EncryptedPem {
        chain: &'a [u8],
        key: &'a [u8],
        password: &'a str,
    },
    Signer {
        chain: Vec<CertificateDer<'static>>,
        signer: Arc<dyn SigningKey>,
    },
}

impl<'a> ClientIdentityBuilder<'a> {
    /// A .pfx (PKCS#12) file, as [`ClientIdentity::from_pfx`].
    pub fn pfx(mut self, pfx: &'a (impl AsRef<[u8]> + ?Sized), password: &'a str) -> Self {
        self.source = Source::Pfx { pfx: pfx.as_ref(), password };
        self
    }

    /// A PEM chain and a plain PEM key, as [`ClientIdentity::from_pem`].
    pub fn pem(
        mut self,
        chain: &'a (impl AsRef<[u8]> + ?Sized),
        key: &'a (impl AsRef<[u8]> + ?Sized),
    ) -> Self {
        self.source = Source::Pem { chain: chain.as_ref(), key: key.as_ref() };
        self
    }

    /// A PEM chain (leaf first) and an encrypted PEM key (`BEGIN ENCRYPTED PRIVATE KEY`: PKCS#8 with PBES2, or
    /// PKCS#12's 3DES and RC2) with its password.
    ///
    /// Key derivation takes CPU time, as with [`ClientIdentity::from_pfx`]. A key that is not encrypted is an error.
    pub fn encrypted_pem(
        mut self,
        chain: &'a (impl AsRef<[u8]> + ?Sized),
        key: &'a (impl AsRef<[u8]> + ?Sized),
        password: &'a str,
    ) -> Self {
        self.source = Source::EncryptedPem { chain: chain.as_ref(), key: key.as_ref(), password };
        self
    }

    /// A DER chain (leaf first) and a signer that keeps its key, as [`ClientIdentity::from_signer`].
    pub fn signer(
        mut self,
        chain: impl IntoIterator<Item = impl AsRef<[u8]>>,
        signer: Arc<dyn SigningKey>,
    ) -> Self {
        let chain = chain.into_iter().map(|der| CertificateDer::from(der.as_ref().to_vec())).collect();
        self.source = Source::Signer { chain, signer };
        self
    }

    /// Limits on the size and the key-derivation work of a .pfx file or encrypted key. Default:
    /// [`PfxLimits::default`].
    pub fn with_pfx_limits(mut self, limits: PfxLimits) -> Self {
        self.limits = limits;
        self
    }

    /// The crypto provider. No effect with a [`signer`](Self::signer). Default: aws-lc-rs if enabled, else ring.
    pub fn with_provider(mut self, provider: Arc<CryptoProvider>) -> Self {
        self.provider = Some(provider);
        self
    }

    /// The name for logs and metrics. Default: the last eight digits of the certificate's SHA-256 thumbprint.
    pub fn with_name(mut self, name: impl Into<Arc<str>>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// Builds the identity.
    ///
    /// # Errors
    ///
    /// 1. No source was set, or its chain is empty: [`IdentityError::NoCertificate`].
    /// 2. A .pfx file or encrypted key is larger than the limits ([`IdentityError::TooLarge`]), takes more work
    ///    ([`IdentityError::TooManyIterations`]), has another password ([`IdentityError::WrongPassword`]), is damaged
    ///    ([`IdentityError::Malformed`]) or is encrypted in an unsupported way ([`IdentityError::Unsupported`],
    ///    [`IdentityError::UnsupportedPassword`], [`IdentityError::UnsupportedKeyEncryption`]).
    /// 3. A .pfx file has no private key ([`IdentityError::NoKey`]), several ([`IdentityError::SeveralKeys`]), or none
    ///    of its certificates belongs to it ([`IdentityError::NoCertificate`]).
    /// 4. The first certificate cannot be read ([`IdentityError::Certificate`]), or chain and key are not a usable
    ///    pair ([`IdentityError::KeyPair`]).
    pub fn build(self) -> Result<ClientIdentity, IdentityError> {
        let (key, _) = self.source.open(self.limits, self.provider)?;
        ClientIdentity::new(key, self.name)
    }

    /// Builds the identity and returns its private key beside it, unencrypted: for a store of identities. The
    /// caller must protect and erase it (`PrivateKeyDer` implements zeroize's `Zeroize`).
    ///
    /// # Errors
    ///
    /// As [`build`](Self::build), and [`IdentityError::KeyNotExportable`] with a [`signer`](Self::signer).
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let made = rcgen::generate_simple_self_signed(vec![])?;
    /// # let (chain, key) = (made.cert.pem(), made.signing_key.serialize_pem());
    /// use tower_mtls::ClientIdentity;
    ///
    /// let (identity, key) = ClientIdentity::builder().pem(&chain, &key).build_with_key()?;
    /// assert_eq!(identity.certificate().der(), &**made.cert.der());
    /// assert_eq!(key.secret_der(), made.signing_key.serialize_der());
    /// # Ok(())
    /// # }
    /// ```
    pub fn build_with_key(self) -> Result<(ClientIdentity, PrivateKeyDer<'static>), IdentityError> {
        let (key, exported) = self.source.open(self.limits, self.provider)?;
        let exported = exported.ok_or(IdentityError::KeyNotExportable)?;
        Ok((ClientIdentity::new(key, self.name)?, exported.clone_key()))
    }
}

impl Source<'_> {
    /// Returns chain and key, and the key in plain if it is known.
    fn open(
        self,
        limits: PfxLimits,
        provider: Option<Arc<CryptoProvider>>,
    ) -> Result<(CertifiedKey, Option<Zeroizing<PrivateKeyDer<'static>>>), IdentityError> {
        match self {
            Self::Missing => Err(IdentityError::NoCertificate),
            Self::Pfx { pfx, password } => {
                let provider = provider_or_default(provider)?;
                let pfx::Contents { key: plain, certificates } = pfx::read(pfx, password, limits)?;
                let key = key_pair::load(&plain, &provider)?;
                // Tools set the labels that link key and certificate carelessly; the public key is reliable.
                let leaf = certificates.iter().position(|certificate| key_pair::belongs(&*key, certificate));
                let chain = pfx::chain_of(leaf.ok_or(IdentityError::NoCertificate)?, &certificates);
                Ok((CertifiedKey::new(chain, key), Some(plain)))
            }
            Self::Pem { chain, key } => {
                let provider = provider_or_default(provider)?;
                let certificates = key_pair::certificates(chain)?;
                let plain = key_pair::private_key(key)?;
                Ok((key_pair::new(certificates, &plain, &provider)?, Some(plain)))
            }
            Self::EncryptedPem { chain, key, password } => {
                let plain = encrypted_key::open(key, password, limits)?;
                let provider = provider_or_default(provider)?;
                let certificates = key_pair::certificates(chain)?;
                Ok((key_pair::new(certificates, &plain, &provider)?, Some(plain)))
            }
            Self::Signer { chain, signer } => {
                let leaf = chain.first().ok_or(IdentityError::NoCertificate)?;
                if signer.public_key().is_some() && !key_pair::belongs(&*signer, leaf) {
                    return Err(KeyPairError::Mismatch.into());
                }
                Ok((CertifiedKey::new(chain, signer), None))
            }
        }
    }
}

impl fmt::Debug for ClientIdentityBuilder<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientIdentityBuilder")
            .field("limits", &self.limits)
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}
