//! Keys of certificates.

use std::fmt;

use super::der;
use crate::certificate::{RSA_BITS_MAX, key_algorithm_name};

/// Kind of a key, read from its SubjectPublicKeyInfo.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Key {
    Rsa {
        bits: usize,
    },
    P256,
    P384,
    P521,
    Ed25519,
    /// Another kind, by name or as a dotted OID.
    Unsupported(String),
}

impl Key {
    /// None if the encoding is malformed.
    pub(super) fn read(spki: &[u8]) -> Option<Self> {
        let mut fields = der::sequence(spki)?;
        let mut algorithm = fields.sequence()?;
        let oid = algorithm.expect(der::OID)?;
        let key = fields.bytes()?;
        fields.end()?;
        let unsupported = || Self::Unsupported(key_algorithm_name(spki));
        Some(match oid {
            // rsaEncryption and id-RSASSA-PSS.
            [0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 1 | 10] => Self::Rsa { bits: rsa_bits(key)? },
            [0x2a, 0x86, 0x48, 0xce, 0x3d, 2, 1] => match algorithm.element()? {
                curve if curve.tag != der::OID => unsupported(),
                curve => match curve.content {
                    [0x2a, 0x86, 0x48, 0xce, 0x3d, 3, 1, 7] => Self::P256,
                    [0x2b, 0x81, 0x04, 0x00, 0x22] => Self::P384,
                    [0x2b, 0x81, 0x04, 0x00, 0x23] => Self::P521,
                    _ => unsupported(),
                },
            },
            [0x2b, 0x65, 0x70] => Self::Ed25519,
            _ => unsupported(),
        })
    }

    /// Returns true if the crypto provider verifies signatures of such keys, and RSA keys have at least this many bits.
    pub(super) fn is_accepted(&self, minimum_rsa_bits: usize) -> bool {
        match self {
            Self::Rsa { bits } => (minimum_rsa_bits..=RSA_BITS_MAX).contains(bits),
            Self::P521 => cfg!(feature = "aws-lc-rs"),
            Self::P256 | Self::P384 | Self::Ed25519 => true,
            Self::Unsupported(_) => false,
        }
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Rsa { bits } => return write!(f, "RSA of {bits} bits"),
            Self::P256 => "P-256",
            Self::P384 => "P-384",
            Self::P521 => "P-521",
            Self::Ed25519 => "Ed25519",
            Self::Unsupported(name) => name,
        })
    }
}

/// Length in bits of the modulus of an RSAPublicKey.
pub(super) fn rsa_bits(key: &[u8]) -> Option<usize> {
    let modulus = der::sequence(key)?.expect(der::INTEGER)?;
    let significant = modulus.iter().position(|byte| *byte != 0)?;
    let digits = modulus.get(significant..)?;
    Some(digits.len() * 8 - digits.first()?.leading_zeros() as usize)
}
