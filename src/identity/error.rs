use std::fmt;

use crate::{certificate::CertificateError, key_pair::KeyPairError};

/// Why a [`ClientIdentity`](super::ClientIdentity) could not be made. Never holds a password or key.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum IdentityError {
    /// The password is wrong.
    WrongPassword,
    /// The .pfx file or encrypted key is larger than [`PfxLimits`](super::PfxLimits) allow. Nothing was read.
    #[non_exhaustive]
    TooLarge {
        /// The file's size in bytes.
        size: usize,
        /// The limit in bytes.
        limit: usize,
    },
    /// Deriving the keys of a .pfx file or encrypted key takes more work than [`PfxLimits`](super::PfxLimits) allow. Nothing was
    /// derived.
    #[non_exhaustive]
    TooManyIterations {
        /// The sum of the iteration counts the file asks for.
        iterations: u64,
        /// The limit.
        limit: u64,
    },
    /// The file is not PKCS#12, or is damaged.
    #[non_exhaustive]
    Malformed {
        /// The byte of the file, from 0, at which reading stopped, if it is known.
        byte: Option<usize>,
        /// What is wrong there.
        problem: String,
    },
    /// The file is encrypted in a way this crate does not read.
    Unsupported(String),
    /// The .pfx file's password has characters beyond U+FFFF, for which PKCS#12 has no one encoding.
    UnsupportedPassword,
    /// The PEM key is encrypted in a way this crate does not read.
    UnsupportedKeyEncryption(String),
    /// The .pfx file holds no private key.
    NoKey,
    /// The .pfx file holds several private keys; only one can be the identity.
    #[non_exhaustive]
    SeveralKeys {
        /// How many.
        keys: usize,
    },
    /// None of the .pfx file's certificates belongs to its private key.
    NoCertificate,
    /// The certificate cannot be read.
    Certificate(CertificateError),
    /// Certificate and key do not make a usable pair.
    KeyPair(KeyPairError),
}

impl fmt::Display for IdentityError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::WrongPassword => f.write_str("the password is wrong"),
            Self::TooLarge { size, limit } => {
                write!(f, "the file has {size} bytes; at most {limit} are read")
            }
            Self::TooManyIterations { iterations, limit } => write!(
                f,
                "the file asks for {iterations} key-derivation iterations, at most {limit} are made; export it \
                 again with fewer (OpenSSL: `-iter 2048`)"
            ),
            Self::Malformed { byte: Some(byte), problem } => {
                write!(f, "not a readable .pfx (PKCS#12) file, byte {byte}: {problem}")
            }
            Self::Malformed { byte: None, problem } => {
                write!(f, "not a readable .pfx (PKCS#12) file: {problem}")
            }
            Self::Unsupported(what) => write!(
                f,
                "the .pfx file uses {what}; export it again with AES-256 (`openssl pkcs12 -export`) or 3DES"
            ),
            Self::UnsupportedPassword => f.write_str(
                "the password has characters beyond U+FFFF (emoji, for example), which tools encode in different \
                 ways; export the .pfx file again with another password",
            ),
            Self::UnsupportedKeyEncryption(what) => {
                write!(
                    f,
                    "the private key uses {what}; encrypt it with AES-256 (`openssl pkcs8 -topk8 -v2 aes256`)"
                )
            }
            Self::NoKey => f.write_str("the .pfx file holds no private key; export it together with its key"),
            Self::SeveralKeys { keys } => {
                write!(f, "the .pfx file holds {keys} private keys; export the one identity that is meant")
            }
            Self::NoCertificate => f.write_str("no certificate in the .pfx file belongs to its private key"),
            Self::Certificate(error) => error.fmt(f),
            Self::KeyPair(error) => error.fmt(f),
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
