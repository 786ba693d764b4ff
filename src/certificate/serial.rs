use std::{fmt, str::FromStr};

use super::hex::Hex;

/// A certificate's serial number (RFC 5280, section 4.1.2.2).
///
/// Stored as the content bytes of the DER INTEGER (big-endian, two's complement). Prints as upper-case hex without the
/// sign byte, as openssl does (`A1B2C3D4`), negative numbers with a leading minus.
///
/// Parses hex of a positive number in any case, with colons or spaces, with or without leading zeros: the forms of openssl
/// (`A1B2C3D4`) and .NET (`00A1B2C3D4`) are the same number.
///
/// ```
/// use tower_mtls::certificate::SerialNumber;
///
/// let openssl: SerialNumber = "A1B2C3D4".parse()?;
/// assert_eq!(openssl, "00a1:b2:c3:d4".parse()?);
/// assert_ne!(openssl, "A1B2C3D5".parse()?);
/// assert_eq!(openssl.to_string(), "A1B2C3D4");
/// # Ok::<(), tower_mtls::certificate::SerialNumberParseError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct SerialNumber(Box<[u8]>);

impl SerialNumber {
    /// Removes leading bytes that only repeat the sign, which DER forbids and some encoders write.
    pub(crate) fn new(content: &[u8]) -> Self {
        let redundant = content
            .windows(2)
            .take_while(|pair| {
                matches!(pair, [0, next] if next & 0x80 == 0)
                    || matches!(pair, [0xff, next] if next & 0x80 != 0)
            })
            .count();
        Self(content[redundant..].into())
    }

    /// The DER content bytes, including a leading sign byte.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Display for SerialNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let negative = self.0.first().is_some_and(|first| first & 0x80 != 0);
        let mut magnitude = self.0.to_vec();
        if negative {
            f.write_str("-")?;
            // Two's complement: invert and add one.
            let mut carry = true;
            for byte in magnitude.iter_mut().rev() {
                let (sum, overflow) = (!*byte).overflowing_add(u8::from(carry));
                *byte = sum;
                carry = overflow;
            }
        }
        let significant = magnitude.iter().position(|byte| *byte != 0).unwrap_or(magnitude.len());
        match &magnitude[significant..] {
            [] => f.write_str("00"),
            bytes => write!(f, "{:X}", Hex(bytes)),
        }
    }
}

impl FromStr for SerialNumber {
    type Err = SerialNumberParseError;

    /// # Errors
    ///
    /// The text is not 1 to 64 hex digits and separators.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let digits = text.chars().filter(|character| !matches!(character, ':' | ' '));
        let digits = digits
            .map(|digit| digit.to_digit(16))
            .collect::<Option<Vec<_>>>()
            .ok_or(SerialNumberParseError)?;
        if digits.is_empty() || digits.len() > 64 {
            return Err(SerialNumberParseError);
        }
        // A leading zero byte keeps the number positive; `new` removes a redundant one.
        let content: Vec<u8> = [0].into_iter().chain(digits.rchunks(2).rev().map(byte_of)).collect();
        Ok(Self::new(&content))
    }
}

/// One or two hex digits.
fn byte_of(digits: &[u32]) -> u8 {
    digits.iter().fold(0, |byte, digit| byte << 4 | *digit as u8)
}

/// Error of parsing a [`SerialNumber`].
///
/// ```
/// use tower_mtls::certificate::{SerialNumber, SerialNumberParseError};
///
/// let error: SerialNumberParseError = "0x1".parse::<SerialNumber>().unwrap_err();
/// assert!(error.to_string().starts_with("not a serial number"));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct SerialNumberParseError;

impl fmt::Display for SerialNumberParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not a serial number; write it in hex, such as 0A1B2C or 0A:1B:2C")
    }
}

impl std::error::Error for SerialNumberParseError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn serial_numbers_print_as_openssl_prints_them() {
        for (content, text) in [
            (&[0x00, 0xa1, 0xb2, 0xc3, 0xd4][..], "A1B2C3D4"),
            (&[0x01], "01"),
            (&[0x00], "00"),
            (&[0xfb], "-05"),
            (&[0xff, 0x00], "-0100"),
        ] {
            assert_eq!(SerialNumber::new(content).to_string(), text);
        }
    }

    #[test]
    fn serial_numbers_are_read_in_the_forms_that_tools_print() {
        let expected = SerialNumber::new(&[0, 0xa1, 0xb2, 0xc3, 0xd4]);
        for text in ["A1B2C3D4", "00A1B2C3D4", "a1:b2:c3:d4", "0a1 b2c3d4", "0000a1b2c3d4"] {
            assert_eq!(text.parse().as_ref(), Ok(&expected), "{text}");
        }
        assert_eq!("0".parse(), Ok(SerialNumber::new(&[0])));
        assert_ne!("FB".parse(), Ok(SerialNumber::new(&[0xfb])), "the latter is -5");
        for text in ["", "0x1", "xyz", "-5", &"1".repeat(65)] {
            assert!(text.parse::<SerialNumber>().is_err(), "{text}");
        }
    }
}
