//! Properties of certificates as .NET prints them (`X509Certificate2`). Each is printed once per connection, so that
//! requests do not allocate.

mod name;

pub use self::name::dotnet_name;
use crate::certificate::{Certificate, Hex};

/// `Subject`. None if an attribute value is ambiguous.
pub(crate) fn subject(certificate: &Certificate) -> Option<&str> {
    let print = || dotnet_name(certificate.subject()).map(Into::into);
    certificate.printed().subject.get_or_init(print).as_deref()
}

/// `Issuer`. None if an attribute value is ambiguous.
pub(crate) fn issuer(certificate: &Certificate) -> Option<&str> {
    let print = || dotnet_name(certificate.issuer()).map(Into::into);
    certificate.printed().issuer.get_or_init(print).as_deref()
}

/// `SerialNumber`: upper-case hex of the DER content, including the sign byte.
pub(crate) fn serial(certificate: &Certificate) -> &str {
    certificate.printed().serial.get_or_init(|| hex(certificate.serial().as_bytes()))
}

/// `Thumbprint`: SHA-1, 40 upper-case hex digits.
pub(crate) fn thumbprint(certificate: &Certificate) -> &str {
    certificate.printed().thumbprint.get_or_init(|| hex(certificate.sha1_thumbprint().as_bytes()))
}

fn hex(bytes: &[u8]) -> Box<str> {
    format!("{:X}", Hex(bytes)).into()
}
