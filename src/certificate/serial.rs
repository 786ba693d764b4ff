use std::fmt;

/// A certificate's serial number (RFC 5280, section 4.1.2.2).
///
/// Kept as the content octets of the DER INTEGER (big-endian, two's complement). Prints as upper-case hex
/// without the sign octet, as openssl does (`A1B2C3D4`), negative numbers with a leading minus.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct SerialNumber(Box<[u8]>);

impl SerialNumber {
    pub(crate) fn new(content: &[u8]) -> Self {
        Self(content.into())
    }

    /// The DER content octets, a leading sign octet included.
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
            for octet in magnitude.iter_mut().rev() {
                let (sum, overflow) = (!*octet).overflowing_add(u8::from(carry));
                *octet = sum;
                carry = overflow;
            }
        }
        let significant = magnitude
            .iter()
            .position(|octet| *octet != 0)
            .unwrap_or(magnitude.len());
        match &magnitude[significant..] {
            [] => f.write_str("00"),
            octets => octets.iter().try_for_each(|octet| write!(f, "{octet:02X}")),
        }
    }
}

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
}
