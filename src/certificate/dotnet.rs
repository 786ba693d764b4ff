//! Properties of a certificate as .NET prints them (`X509Certificate2`).

use std::sync::OnceLock;

use super::Certificate;

/// Cached texts, each computed on first use, so that requests on one connection do not allocate.
#[derive(Debug, Default)]
pub(crate) struct DotNetForms {
    subject: OnceLock<Option<Box<str>>>,
    issuer: OnceLock<Option<Box<str>>>,
    serial: OnceLock<Box<str>>,
    thumbprint: OnceLock<Box<str>>,
}

impl Certificate {
    /// `Subject`. None if an attribute value is ambiguous.
    pub(crate) fn dotnet_subject(&self) -> Option<&str> {
        self.dotnet().subject.get_or_init(|| self.subject().dotnet().map(Into::into)).as_deref()
    }

    /// `Issuer`. None if an attribute value is ambiguous.
    pub(crate) fn dotnet_issuer(&self) -> Option<&str> {
        self.dotnet().issuer.get_or_init(|| self.issuer().dotnet().map(Into::into)).as_deref()
    }

    /// `SerialNumber`: upper-case hex of the DER content octets, including the sign octet.
    pub(crate) fn dotnet_serial(&self) -> &str {
        self.dotnet().serial.get_or_init(|| hex(self.serial().as_bytes()).into())
    }

    /// `Thumbprint`: SHA-1, 40 upper-case hex digits.
    pub(crate) fn dotnet_thumbprint(&self) -> &str {
        self.dotnet().thumbprint.get_or_init(|| hex(self.sha1_thumbprint().as_bytes()).into())
    }
}

/// Upper-case hex without separators.
pub(crate) fn hex(octets: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    octets
        .iter()
        .flat_map(|octet| [octet >> 4, octet & 15])
        .map(|digit| char::from(DIGITS[usize::from(digit)]))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::certificate::SerialNumber;

    #[test]
    fn serial_numbers_keep_their_sign_octet() {
        for (content, text) in [
            (&[0x00, 0xa1, 0xb2, 0xc3, 0xd4][..], "00A1B2C3D4"),
            (&[0x01, 0xb2], "01B2"),
            (&[0xfb], "FB"),
            (&[0x00], "00"),
        ] {
            assert_eq!(hex(SerialNumber::new(content).as_bytes()), text);
        }
    }
}
