//! Certificate chains with their private keys.

use std::{fmt, sync::Arc};

use rustls::{
    crypto::CryptoProvider,
    sign::{CertifiedKey, SigningKey},
};
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use zeroize::Zeroizing;

use super::pem::{self, PemError, SecretText};
use crate::certificate::{CertificateError, subject_public_key_info};

/// Error of a certificate chain and private key that are not a usable pair.
///
/// ```
/// # #[cfg(all(feature = "acceptor", any(feature = "aws-lc-rs", feature = "ring")))]
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let made = rcgen::generate_simple_self_signed(vec![])?;
/// # let chain = made.cert.pem();
/// # let other_key = rcgen::KeyPair::generate()?.serialize_pem();
/// use tower_mtls::{ServerTls, acceptor::ServerTlsError, keys::KeyPairError};
///
/// match ServerTls::from_pem(chain, other_key).unwrap_err() {
///     ServerTlsError::KeyPair(KeyPairError::Mismatch) => {}
///     error => panic!("{error}"),
/// }
/// # Ok(())
/// # }
/// # #[cfg(not(all(feature = "acceptor", any(feature = "aws-lc-rs", feature = "ring"))))]
/// # fn main() {}
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum KeyPairError {
    /// The certificate text is not PEM, or contains no certificate.
    CertificatePem(PemError),
    /// The first certificate cannot be read.
    Certificate(CertificateError),
    /// The key text is not PEM, or contains no private key.
    KeyPem(PemError),
    /// The private key is encrypted, and no password was given.
    KeyEncrypted,
    /// A password was given, and the private key is not encrypted.
    KeyNotEncrypted,
    /// The crypto provider cannot use the private key.
    UnsupportedKey,
    /// The private key belongs to another certificate.
    Mismatch,
    /// The crate was built without a crypto provider, and none was given.
    NoProvider,
}

impl fmt::Display for KeyPairError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::CertificatePem(error) => write!(f, "certificate: {error}"),
            Self::Certificate(error) => write!(f, "certificate: {error}"),
            Self::KeyPem(error) => write!(f, "private key: {error}"),
            Self::KeyEncrypted => f.write_str(
                "the private key is encrypted; give its password, or decrypt it with `openssl pkey`",
            ),
            Self::KeyNotEncrypted => f.write_str("the private key is not encrypted; leave the password out"),
            Self::UnsupportedKey => f.write_str(
                "the private key cannot be used; supported are RSA of 2048 bits and more, ECDSA P-256/P-384/P-521, \
                 Ed25519, as PKCS#8, PKCS#1 or SEC1",
            ),
            Self::Mismatch => f.write_str("the private key does not belong to the first certificate"),
            Self::NoProvider => {
                f.write_str("no crypto provider: enable the feature `aws-lc-rs` or `ring`, or pass a provider")
            }
        }
    }
}

impl std::error::Error for KeyPairError {}

/// Reads a chain (leaf first) and a key (PKCS#8, PKCS#1 or SEC1).
#[cfg(feature = "acceptor")]
pub(crate) fn from_pem(
    chain: &[u8],
    key: &[u8],
    provider: &CryptoProvider,
) -> Result<CertifiedKey, KeyPairError> {
    let chain = certificates(chain)?;
    let key = private_key(key)?;
    new(chain, &key, provider)
}

/// Reads the certificates of a PEM chain.
pub(crate) fn certificates(chain: &[u8]) -> Result<Vec<CertificateDer<'static>>, KeyPairError> {
    pem::certificates(chain).map_err(KeyPairError::CertificatePem)
}

/// Checks that the key is usable and belongs to the first certificate.
pub(crate) fn new(
    chain: Vec<CertificateDer<'static>>,
    key: &PrivateKeyDer<'_>,
    provider: &CryptoProvider,
) -> Result<CertifiedKey, KeyPairError> {
    let key = load(key, provider)?;
    let leaf = chain.first().map(AsRef::as_ref).unwrap_or_default();
    subject_public_key_info(leaf).map_err(KeyPairError::Certificate)?;
    if !belongs(&*key, leaf) {
        return Err(KeyPairError::Mismatch);
    }
    Ok(CertifiedKey::new(chain, key))
}

/// Loads a key that can sign and whose public key is known. The provider owns the copy that it gets.
pub(crate) fn load(
    key: &PrivateKeyDer<'_>,
    provider: &CryptoProvider,
) -> Result<Arc<dyn SigningKey>, KeyPairError> {
    let key =
        provider.key_provider.load_private_key(key.clone_key()).map_err(|_| KeyPairError::UnsupportedKey)?;
    if key.public_key().is_none() {
        return Err(KeyPairError::UnsupportedKey);
    }
    Ok(key)
}

/// Returns true if the certificate contains the key's public half. The bytes are compared here because rustls' check
/// parses the certificate more strictly than an identity needs.
pub(crate) fn belongs(key: &dyn SigningKey, certificate: &[u8]) -> bool {
    match (key.public_key(), subject_public_key_info(certificate)) {
        (Some(public), Ok(spki)) => public.as_ref() == spki,
        _ => false,
    }
}

/// Reads the only private key of a PEM text.
pub(crate) fn private_key(text: &[u8]) -> Result<Zeroizing<PrivateKeyDer<'static>>, KeyPairError> {
    let text = SecretText::decode(text);
    let blocks = pem::blocks(&text).map_err(KeyPairError::KeyPem)?;
    if blocks.iter().any(pem::Block::is_encrypted) {
        return Err(KeyPairError::KeyEncrypted);
    }
    let mut found = None;
    for block in blocks {
        let key: fn(Vec<u8>) -> PrivateKeyDer<'static> = match block.label {
            "PRIVATE KEY" => |der| PrivateKeyDer::Pkcs8(der.into()),
            "RSA PRIVATE KEY" => |der| PrivateKeyDer::Pkcs1(der.into()),
            "EC PRIVATE KEY" => |der| PrivateKeyDer::Sec1(der.into()),
            _ => continue,
        };
        if found.is_some() {
            let error = PemError::new(block.line, "a second private key; keep one in the file");
            return Err(KeyPairError::KeyPem(error));
        }
        found = Some(Zeroizing::new(key(block.der().map_err(KeyPairError::KeyPem)?)));
    }
    let missing = || PemError::new(1, "no private key (-----BEGIN PRIVATE KEY-----)");
    found.ok_or_else(|| KeyPairError::KeyPem(missing()))
}
