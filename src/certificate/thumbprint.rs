use std::{fmt, str::FromStr};

use sha1::Sha1;
use sha2::{Digest, Sha256};

use super::hex::Hex;

/// A hash over a whole certificate (its DER encoding), also called fingerprint.
///
/// SHA-1 is the thumbprint of Windows, .NET and Azure API Management; SHA-256 is the better pin. Parses 40 or 64 hex digits
/// in any case, with colons, spaces, the invisible mark that Windows' dialogs add, or OpenSSL's label
/// (`sha256 Fingerprint=`). Prints upper-case hex without separators.
///
/// ```
/// use tower_mtls::certificate::Thumbprint;
///
/// let pasted: Thumbprint = "\u{200e}ca 06 f5 6b 25 8b 7a 0d 4f 2b 05 47 09 39 47 86 51 15 19 84".parse()?;
/// assert_eq!(pasted.to_string(), "CA06F56B258B7A0D4F2B05470939478651151984");
/// assert_eq!(pasted.last_four(), "1984");
/// assert!("CA06".parse::<Thumbprint>().is_err());
/// # Ok::<(), tower_mtls::certificate::ThumbprintParseError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Thumbprint {
    /// SHA-1 (20 bytes).
    Sha1([u8; 20]),
    /// SHA-256 (32 bytes).
    Sha256([u8; 32]),
}

impl Thumbprint {
    /// The SHA-1 thumbprint of a DER-encoded certificate.
    ///
    /// ```
    /// use tower_mtls::certificate::Thumbprint;
    ///
    /// assert_eq!(Thumbprint::sha1_of(b"").to_string(), "DA39A3EE5E6B4B0D3255BFEF95601890AFD80709");
    /// ```
    pub fn sha1_of(der: &[u8]) -> Self {
        Self::Sha1(Sha1::digest(der).into())
    }

    /// The SHA-256 thumbprint of a DER-encoded certificate.
    ///
    /// ```
    /// use tower_mtls::certificate::Thumbprint;
    ///
    /// assert_eq!(Thumbprint::sha256_of(b"").last_four(), "B855");
    /// ```
    pub fn sha256_of(der: &[u8]) -> Self {
        Self::Sha256(Sha256::digest(der).into())
    }

    /// The bytes of the hash.
    pub fn as_bytes(&self) -> &[u8] {
        match self {
            Self::Sha1(bytes) => bytes,
            Self::Sha256(bytes) => bytes,
        }
    }

    /// The last four hex digits: a short label in lists.
    pub fn last_four(&self) -> String {
        let bytes = self.as_bytes();
        format!("{:X}", Hex(&bytes[bytes.len() - 2..]))
    }
}

impl fmt::Display for Thumbprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:X}", Hex(self.as_bytes()))
    }
}

impl FromStr for Thumbprint {
    type Err = ThumbprintParseError;

    /// # Errors
    ///
    /// 1. A character that is neither a hex digit nor a separator.
    /// 2. A number of digits other than 40 (SHA-1) or 64 (SHA-256).
    /// 3. A number of digits that belongs to another algorithm than the one named in front.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut hash = [0_u8; 32];
        let mut digits = 0_usize;
        let (named, start) = match openssl_label(text) {
            Some((algorithm, start)) => (Some(algorithm), start),
            None => (None, 0),
        };
        for (at, character) in text.char_indices().skip_while(|(at, _)| *at < start) {
            let Some(digit) = character.to_digit(16) else {
                if is_separator(character) {
                    continue;
                }
                return Err(ThumbprintParseError::Character { character, byte: at });
            };
            if let Some(byte) = hash.get_mut(digits / 2) {
                *byte = *byte << 4 | digit as u8;
            }
            digits += 1;
        }
        match digits {
            40 | 64 if named.is_some_and(|named| named.digits() != digits) => {
                Err(ThumbprintParseError::Algorithm { digits })
            }
            40 => {
                let mut sha1 = [0; 20];
                sha1.copy_from_slice(&hash[..20]);
                Ok(Self::Sha1(sha1))
            }
            64 => Ok(Self::Sha256(hash)),
            digits => Err(ThumbprintParseError::Length { digits }),
        }
    }
}

#[derive(Clone, Copy)]
enum Algorithm {
    Sha1,
    Sha256,
}

impl Algorithm {
    fn digits(self) -> usize {
        match self {
            Self::Sha1 => 40,
            Self::Sha256 => 64,
        }
    }
}

/// The algorithm that `openssl x509 -fingerprint` prints before the digits, and the position of the digits.
fn openssl_label(text: &str) -> Option<(Algorithm, usize)> {
    const END: &str = "fingerprint=";
    // Only the label is copied, not the digits.
    let head = text.find('=').map(|equals| text[..=equals].to_ascii_lowercase())?;
    let algorithm = head.strip_suffix(END)?.trim_matches(is_separator);
    let algorithm = match algorithm {
        "sha1" | "sha-1" => Algorithm::Sha1,
        "sha256" | "sha-256" => Algorithm::Sha256,
        _ => return None,
    };
    Some((algorithm, head.len()))
}

/// Returns true for colons, white space, and the direction and byte order marks that Windows dialogs add to copied text.
fn is_separator(character: char) -> bool {
    matches!(character, ':' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{feff}')
        || character.is_whitespace()
}

/// Error of parsing a [`Thumbprint`].
///
/// ```
/// use tower_mtls::certificate::{Thumbprint, ThumbprintParseError};
///
/// let error = "CA06".parse::<Thumbprint>().unwrap_err();
/// assert!(matches!(error, ThumbprintParseError::Length { digits: 4, .. }));
/// assert_eq!(error.to_string(), "not a thumbprint: 4 hex digits; SHA-1 has 40, SHA-256 has 64");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ThumbprintParseError {
    /// A character that is neither a hex digit nor a separator.
    #[non_exhaustive]
    Character {
        /// The character.
        character: char,
        /// Its position in the text, in bytes from 0.
        byte: usize,
    },
    /// The number of digits does not match the algorithm in the label before them.
    #[non_exhaustive]
    Algorithm {
        /// Number of hex digits.
        digits: usize,
    },
    /// Neither the 40 digits of SHA-1 nor the 64 of SHA-256.
    #[non_exhaustive]
    Length {
        /// Number of hex digits.
        digits: usize,
    },
}

impl fmt::Display for ThumbprintParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Character { character, byte } => {
                write!(f, "not a thumbprint: {character:?} at byte {byte} is not a hex digit")
            }
            Self::Algorithm { digits } => write!(
                f,
                "not a thumbprint: {digits} hex digits do not fit the algorithm in front of them; SHA-1 has 40, \
                 SHA-256 has 64"
            ),
            Self::Length { digits } => {
                write!(f, "not a thumbprint: {digits} hex digits; SHA-1 has 40, SHA-256 has 64")
            }
        }
    }
}

impl std::error::Error for ThumbprintParseError {}

#[cfg(test)]
mod tests {
    use super::*;

    const SHA1: &str = "CA06F56B258B7A0D4F2B05470939478651151984";

    #[test]
    fn thumbprints_parse_in_the_forms_that_tools_print() {
        let expected: Thumbprint = SHA1.parse().unwrap();
        let colons = SHA1.as_bytes().chunks(2).map(|pair| std::str::from_utf8(pair).unwrap());
        let colons = colons.collect::<Vec<_>>().join(":");
        for text in [SHA1.to_lowercase(), colons, format!("\u{200e}{SHA1}"), format!(" {SHA1}\r\n")] {
            assert_eq!(text.parse(), Ok(expected), "{text:?}");
        }
    }

    #[test]
    fn openssl_label_is_accepted_and_must_match_the_digits() {
        let (sha1, sha256) = (SHA1, format!("{SHA1}{}", &SHA1[..24]));
        for (label, digits) in [
            ("sha1 Fingerprint=", sha1),
            ("SHA1 Fingerprint=", sha1),
            ("SHA-1 fingerprint= ", sha1),
            ("sha256 Fingerprint=", &sha256),
            ("\u{feff} SHA256 Fingerprint=", &sha256),
            ("SHA-256 Fingerprint=", &sha256),
        ] {
            assert_eq!(format!("{label}{digits}\n").parse::<Thumbprint>(), digits.parse(), "{label}");
        }
        for (text, message) in [
            (format!("sha256 Fingerprint={sha1}"), "40 hex digits do not fit the algorithm"),
            (format!("sha1 Fingerprint={sha256}"), "64 hex digits do not fit the algorithm"),
            ("sha1 Fingerprint=AA".to_owned(), "2 hex digits"),
            (format!("sha1 Fingerprint=G{sha1}"), "'G' at byte 17"),
            (format!("MD5 Fingerprint={sha1}"), "'M' at byte 0"),
            (format!("serial sha1 Fingerprint={sha1}"), "'s' at byte 0"),
            (format!("Fingerprint={sha1}"), "at byte 1"),
            (format!("sha1={sha1}"), "'s' at byte 0"),
            (format!("sha1 Fingerprint={sha1} sha1 Fingerprint={sha1}"), "'s' at byte 58"),
        ] {
            let error = text.parse::<Thumbprint>().unwrap_err().to_string();
            assert!(error.contains(message), "{text}: {error}");
        }
    }

    #[test]
    fn parse_errors_name_the_problem() {
        for (text, message) in [
            ("", "0 hex digits"),
            (&SHA1[1..], "39 hex digits"),
            (&format!("{SHA1}00"), "42 hex digits"),
            (&"0".repeat(1_000), "1000 hex digits"),
            (&SHA1.replace('F', "G"), "'G' at byte 4"),
        ] {
            let error = text.parse::<Thumbprint>().unwrap_err().to_string();
            assert!(error.contains(message), "{error}");
        }
    }
}
