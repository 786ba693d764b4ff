use std::{
    fmt::{self, Write},
    net::IpAddr,
};

use x509_parser::extensions as x509;

use super::{CertificateError, DistinguishedName, name::print_visible};

/// One entry of a certificate's subject alternative names (RFC 5280, section 4.2.1.6).
///
/// Prints as OpenSSL does, for logs: `DNS:orders.example.com`, `URI:spiffe://contoso/orders`,
/// `email:orders@contoso.com`, `IP:192.0.2.7`, `DirName:CN=orders,O=Contoso`. Commas, backslashes and invisible characters
/// are escaped with a backslash. Compare the value, not the printed text.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let made = rcgen::generate_simple_self_signed(vec!["orders.example.com".into()])?;
/// use tower_mtls::{Certificate, certificate::GeneralName};
///
/// let certificate = Certificate::from_der(made.cert.der())?;
/// let [name] = certificate.subject_alternative_names() else { panic!("one name") };
/// assert!(matches!(name, GeneralName::Dns(name) if name == "orders.example.com"));
/// assert_eq!(name.to_string(), "DNS:orders.example.com");
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum GeneralName {
    /// dNSName, as encoded.
    Dns(String),
    /// uniformResourceIdentifier, as encoded.
    Uri(String),
    /// rfc822Name, as encoded.
    Email(String),
    /// iPAddress of 4 or 16 bytes.
    Ip(IpAddr),
    /// directoryName.
    Directory(DistinguishedName),
    /// Another kind of name, which this crate does not read.
    Other,
}

impl GeneralName {
    pub(crate) fn read(name: &x509::GeneralName<'_>) -> Result<Self, CertificateError> {
        Ok(match name {
            x509::GeneralName::DNSName(text) => Self::Dns((*text).to_owned()),
            x509::GeneralName::URI(text) => Self::Uri((*text).to_owned()),
            x509::GeneralName::RFC822Name(text) => Self::Email((*text).to_owned()),
            x509::GeneralName::IPAddress(bytes) => {
                if let Ok(bytes) = <[u8; 4]>::try_from(*bytes) {
                    Self::Ip(bytes.into())
                } else if let Ok(bytes) = <[u8; 16]>::try_from(*bytes) {
                    Self::Ip(bytes.into())
                } else {
                    return Err(CertificateError::new("an iPAddress has neither 4 nor 16 bytes"));
                }
            }
            x509::GeneralName::DirectoryName(name) => {
                Self::Directory(DistinguishedName::from_der(name.as_raw())?)
            }
            x509::GeneralName::Invalid(..) => {
                return Err(CertificateError::new("a subject alternative name is malformed"));
            }
            _ => Self::Other,
        })
    }
}

impl fmt::Display for GeneralName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (kind, text) = match self {
            Self::Dns(text) => ("DNS", text),
            Self::Uri(text) => ("URI", text),
            Self::Email(text) => ("email", text),
            Self::Ip(address) => return write!(f, "IP:{address}"),
            Self::Directory(name) => return write!(f, "DirName:{name}"),
            Self::Other => return f.write_str("othername:<unsupported>"),
        };
        write!(f, "{kind}:")?;
        text.chars().try_for_each(|character| match character {
            ',' | '\\' => {
                f.write_char('\\')?;
                f.write_char(character)
            }
            other => print_visible(other, f),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn general_name_prints_its_kind_and_escapes_invisible_characters() {
        let issued = crate::pki::Leaf::client("orders").self_signed();
        let certificate = crate::Certificate::from_der(&issued.der).unwrap();
        for (name, expected) in [
            (GeneralName::Dns("*.example.com".into()), "DNS:*.example.com"),
            (GeneralName::Uri("spiffe://contoso/orders".into()), "URI:spiffe://contoso/orders"),
            (GeneralName::Email("orders@contoso.com".into()), "email:orders@contoso.com"),
            (GeneralName::Ip([192, 0, 2, 7].into()), "IP:192.0.2.7"),
            (GeneralName::Ip("2001:db8::7".parse().unwrap()), "IP:2001:db8::7"),
            (GeneralName::Directory(certificate.subject().clone()), "DirName:CN=orders,O=Contoso"),
            (GeneralName::Other, "othername:<unsupported>"),
            (GeneralName::Dns("a, DNS:b".into()), "DNS:a\\, DNS:b"),
            (GeneralName::Dns("a\n\0\\\u{202e}".into()), "DNS:a\\0a\\00\\\\\\e2\\80\\ae"),
        ] {
            assert_eq!(name.to_string(), expected);
        }
    }
}
