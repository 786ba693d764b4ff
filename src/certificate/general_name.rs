use std::net::IpAddr;

use x509_parser::extensions as x509;

use super::{CertificateError, DistinguishedName};

/// One entry of a certificate's subject alternative names (RFC 5280, section 4.2.1.6).
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum GeneralName {
    /// dNSName, as encoded.
    Dns(String),
    /// uniformResourceIdentifier, as encoded.
    Uri(String),
    /// rfc822Name, as encoded.
    Email(String),
    /// iPAddress of 4 or 16 octets.
    Ip(IpAddr),
    /// directoryName.
    Directory(DistinguishedName),
    /// A kind of name that this crate does not read.
    Other,
}

impl GeneralName {
    pub(crate) fn read(name: &x509::GeneralName<'_>) -> Result<Self, CertificateError> {
        Ok(match name {
            x509::GeneralName::DNSName(text) => Self::Dns((*text).to_owned()),
            x509::GeneralName::URI(text) => Self::Uri((*text).to_owned()),
            x509::GeneralName::RFC822Name(text) => Self::Email((*text).to_owned()),
            x509::GeneralName::IPAddress(octets) => {
                if let Ok(octets) = <[u8; 4]>::try_from(*octets) {
                    Self::Ip(octets.into())
                } else if let Ok(octets) = <[u8; 16]>::try_from(*octets) {
                    Self::Ip(octets.into())
                } else {
                    return Err(CertificateError::new("an iPAddress has neither 4 nor 16 octets"));
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
