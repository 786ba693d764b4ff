use std::fmt;

use crate::{certificate::CertificateError, keys::KeyPairError};

/// Error of [`ClientIdentityBuilder::build`](super::ClientIdentityBuilder::build). Never contains a password or key.
///
/// ```
/// # #[cfg(any(feature = "aws-lc-rs", feature = "ring"))]
/// # {
/// use tower_mtls::{ClientIdentity, identity::{IdentityError, PfxLimits}};
///
/// let limits = PfxLimits::default().with_size(1_024);
/// match ClientIdentity::builder().pfx(&[0; 2_048], "password").with_pfx_limits(limits).build().unwrap_err() {
///     IdentityError::TooLarge { size, limit, .. } => assert_eq!((size, limit), (2_048, 1_024)),
///     error => panic!("{error}"),
/// }
/// # }
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum IdentityError {
    /// The password is wrong.
    WrongPassword,
    /// The .pfx file or encrypted key is larger than [`PfxLimits`](super::PfxLimits) allows. Nothing was read.
    #[non_exhaustive]
    TooLarge {
        /// The file's size in bytes.
        size: usize,
        /// The limit in bytes.
        limit: usize,
    },
    /// A .pfx file or encrypted key requires more key-derivation work than [`PfxLimits`](super::PfxLimits) allows. No
    /// key was derived.
    #[non_exhaustive]
    TooManyIterations {
        /// The sum of the iteration counts in the file.
        iterations: u64,
        /// The limit.
        limit: u64,
    },
    /// The file is not PKCS#12, or is damaged.
    #[non_exhaustive]
    Malformed {
        /// The offset in bytes, from 0, at which reading stopped, if known.
        byte: Option<usize>,
        /// The problem there.
        problem: String,
    },
    /// The file's encryption is not supported.
    Unsupported(String),
    /// The password has characters beyond U+FFFF, which PKCS#12 tools encode differently.
    UnsupportedPassword,
    /// The PEM key's encryption is not supported.
    UnsupportedKeyEncryption(String),
    /// The .pfx file contains no private key.
    NoKey,
    /// The .pfx file contains several private keys; only one can be the identity.
    #[non_exhaustive]
    SeveralKeys {
        /// The number of keys.
        keys: usize,
    },
    /// There is no certificate, or none of the .pfx file's certificates belongs to its private key.
    NoCertificate,
    /// The certificate cannot be read.
    Certificate(CertificateError),
    /// Certificate and key are not a usable pair.
    KeyPair(KeyPairError),
    /// The key stays with a signer, so it cannot be exported.
    KeyNotExportable,
}

impl fmt::Display for IdentityError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::WrongPassword => f.write_str("the password is wrong"),
            Self::TooLarge { size, limit } => {
                write!(f, "the file has {size} bytes; the limit is {limit}")
            }
            Self::TooManyIterations { iterations, limit } => write!(
                f,
                "the file requires {iterations} key-derivation iterations, the limit is {limit}; export it again with \
                 fewer (OpenSSL: `-iter 2048`)"
            ),
            Self::Malformed { byte: Some(byte), problem } => {
                write!(f, "not a readable .pfx (PKCS#12) file, byte {byte}: {problem}")
            }
            Self::Malformed { byte: None, problem } => {
                write!(f, "not a readable .pfx (PKCS#12) file: {problem}")
            }
            Self::Unsupported(encryption) => write!(
                f,
                "the .pfx file uses {encryption}; export it again with AES-256 (`openssl pkcs12 -export`) or 3DES"
            ),
            Self::UnsupportedPassword => f.write_str(
                "the password has characters beyond U+FFFF (such as emoji), which tools encode differently; export \
                 the .pfx file again with another password",
            ),
            Self::UnsupportedKeyEncryption(encryption) => {
                write!(
                    f,
                    "the private key uses {encryption}; encrypt it with AES-256 (`openssl pkcs8 -topk8 -v2 aes256`)"
                )
            }
            Self::NoKey => f.write_str("the .pfx file contains no private key; export it together with its key"),
            Self::SeveralKeys { keys } => {
                write!(f, "the .pfx file contains {keys} private keys; export a single identity")
            }
            Self::NoCertificate => f.write_str("no certificate belongs to the private key"),
            Self::Certificate(error) => error.fmt(f),
            Self::KeyPair(error) => error.fmt(f),
            Self::KeyNotExportable => f.write_str("the private key stays with its signer and cannot be exported"),
        }
    }
}

impl std::error::Error for IdentityError {}

impl From<KeyPairError> for IdentityError {
    fn from(error: KeyPairError) -> Self {
        Self::KeyPair(error)
    }
}

impl From<CertificateError> for IdentityError {
    fn from(error: CertificateError) -> Self {
        Self::Certificate(error)
    }
}
