use std::fmt;

use x509_parser::{prelude::FromDer, public_key::PublicKey, x509::SubjectPublicKeyInfo};

/// Kind of a certificate's key (RFC 3279, 5480, 8410).
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let made = rcgen::generate_simple_self_signed(vec![])?;
/// use tower_mtls::{Certificate, certificate::KeyKind};
///
/// let certificate = Certificate::from_der(made.cert.der())?;
/// assert_eq!(certificate.key_kind(), KeyKind::P256);
/// assert_eq!(KeyKind::rsa(2_048).to_string(), "RSA 2048");
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum KeyKind {
    /// RSA with a modulus of this many bits.
    #[non_exhaustive]
    Rsa {
        /// Length of the modulus in bits.
        bits: usize,
    },
    /// ECDSA on NIST P-256.
    P256,
    /// ECDSA on NIST P-384.
    P384,
    /// ECDSA on NIST P-521.
    P521,
    /// Ed25519.
    Ed25519,
    /// Ed448.
    Ed448,
    /// Another kind, or a key that cannot be read.
    Other,
}

impl KeyKind {
    /// RSA with a modulus of this many bits; in a rule, at least this many.
    ///
    /// ```
    /// use tower_mtls::certificate::KeyKind;
    ///
    /// assert_eq!(KeyKind::rsa(2_048).to_string(), "RSA 2048");
    /// ```
    pub fn rsa(bits: usize) -> Self {
        Self::Rsa { bits }
    }

    /// Returns true if a key of this kind satisfies `demanded`: the same kind, for RSA at least as long.
    pub(crate) fn satisfies(self, demanded: Self) -> bool {
        match (self, demanded) {
            (Self::Rsa { bits }, Self::Rsa { bits: least }) => bits >= least,
            (Self::Other, _) => false,
            _ => self == demanded,
        }
    }

    /// Reads the kind from a DER-encoded SubjectPublicKeyInfo.
    pub(crate) fn read(spki: &[u8]) -> Self {
        let Ok((_, spki)) = SubjectPublicKeyInfo::from_der(spki) else {
            return Self::Other;
        };
        match spki.algorithm.algorithm.to_id_string().as_str() {
            "1.2.840.113549.1.1.1" => match spki.parsed() {
                Ok(PublicKey::RSA(key)) => Self::Rsa { bits: bits(key.modulus) },
                _ => Self::Other,
            },
            "1.2.840.10045.2.1" => {
                let curve = spki.algorithm.parameters.as_ref().and_then(|curve| curve.as_oid().ok());
                match curve.map(|curve| curve.to_id_string()).as_deref() {
                    Some("1.2.840.10045.3.1.7") => Self::P256,
                    Some("1.3.132.0.34") => Self::P384,
                    Some("1.3.132.0.35") => Self::P521,
                    _ => Self::Other,
                }
            }
            "1.3.101.112" => Self::Ed25519,
            "1.3.101.113" => Self::Ed448,
            _ => Self::Other,
        }
    }
}

/// Length of the shortest RSA keys that the crypto providers verify signatures of, in bits.
#[cfg(any(feature = "acceptor", feature = "trust"))]
pub(crate) const RSA_BITS_MIN: usize = 2_048;

/// Length of the longest RSA keys that the crypto providers verify signatures of, in bits.
#[cfg(any(feature = "acceptor", feature = "trust"))]
pub(crate) const RSA_BITS_MAX: usize = 8_192;

/// Name of a key's algorithm, with ECDSA of its curve; the dotted OID if the name is not known.
#[cfg(any(feature = "acceptor", feature = "trust"))]
pub(crate) fn key_algorithm_name(spki: &[u8]) -> String {
    let Ok((_, spki)) = SubjectPublicKeyInfo::from_der(spki) else { return "unreadable".into() };
    let curve = || spki.algorithm.parameters.as_ref()?.as_oid().ok().map(|curve| curve.to_id_string());
    match spki.algorithm.algorithm.to_id_string().as_str() {
        "1.2.840.113549.1.1.1" => "RSA".into(),
        "1.2.840.113549.1.1.10" => "RSASSA-PSS".into(),
        "1.2.840.10040.4.1" => "DSA".into(),
        "1.3.101.113" => "Ed448".into(),
        "1.2.840.10045.2.1" => match curve().as_deref() {
            None => "ECDSA with explicit parameters".into(),
            Some("1.3.132.0.10") => "secp256k1".into(),
            Some(oid) if oid.starts_with("1.3.36.3.3.2.8.1.1.") => format!("brainpool ({oid})"),
            Some(oid) => format!("ECDSA on the curve {oid}"),
        },
        oid => oid.into(),
    }
}

/// Number of bits of a big-endian number.
fn bits(number: &[u8]) -> usize {
    let significant = number.iter().position(|byte| *byte != 0).unwrap_or(number.len());
    match &number[significant..] {
        [] => 0,
        rest => rest.len() * 8 - rest[0].leading_zeros() as usize,
    }
}

impl fmt::Display for KeyKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Rsa { bits } => write!(f, "RSA {bits}"),
            Self::P256 => f.write_str("P-256"),
            Self::P384 => f.write_str("P-384"),
            Self::P521 => f.write_str("P-521"),
            Self::Ed25519 => f.write_str("Ed25519"),
            Self::Ed448 => f.write_str("Ed448"),
            Self::Other => f.write_str("another kind of key"),
        }
    }
}
