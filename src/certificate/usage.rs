use std::fmt;

use x509_parser::extensions as x509;

/// Key usage extension of a certificate (RFC 5280, section 4.2.1.3).
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let mut params = rcgen::CertificateParams::default();
/// # params.key_usages = vec![rcgen::KeyUsagePurpose::DigitalSignature];
/// # let made = params.self_signed(&rcgen::KeyPair::generate()?)?;
/// use tower_mtls::Certificate;
///
/// let usage = Certificate::from_der(made.der())?.key_usage().ok_or("no extension")?;
/// assert!(usage.digital_signature());
/// assert!(!usage.key_cert_sign());
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeyUsage(u16);

impl KeyUsage {
    pub(crate) fn read(extension: &x509::KeyUsage) -> Self {
        Self(extension.flags)
    }

    /// digitalSignature, which TLS client authentication needs.
    pub fn digital_signature(self) -> bool {
        self.0 & 1 != 0
    }

    /// keyEncipherment.
    pub fn key_encipherment(self) -> bool {
        self.0 >> 2 & 1 != 0
    }

    /// keyAgreement.
    pub fn key_agreement(self) -> bool {
        self.0 >> 4 & 1 != 0
    }

    /// keyCertSign: the key signs certificates.
    pub fn key_cert_sign(self) -> bool {
        self.0 >> 5 & 1 != 0
    }

    /// cRLSign: the key signs revocation lists.
    pub fn crl_sign(self) -> bool {
        self.0 >> 6 & 1 != 0
    }

    /// All bits; bit 0 of RFC 5280 (digitalSignature) is the lowest.
    pub fn bits(self) -> u16 {
        self.0
    }
}

/// A purpose in the extended key usage extension of a certificate (RFC 5280, section 4.2.1.12).
///
/// ```
/// use tower_mtls::{Rule, certificate::ExtendedKeyUsage};
///
/// assert_eq!(ExtendedKeyUsage::ClientAuth.to_string(), "clientAuth");
/// let code_signing = ExtendedKeyUsage::Other("1.3.6.1.5.5.7.3.3".into());
/// let rule = Rule::extended_key_usage([ExtendedKeyUsage::ClientAuth, code_signing]);
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum ExtendedKeyUsage {
    /// anyExtendedKeyUsage.
    Any,
    /// TLS server authentication.
    ServerAuth,
    /// TLS client authentication.
    ClientAuth,
    /// Another purpose, by its object identifier in dotted form.
    Other(String),
}

impl ExtendedKeyUsage {
    pub(crate) fn read_all(extension: &x509::ExtendedKeyUsage<'_>) -> Vec<Self> {
        let named = [
            (extension.any, Self::Any),
            (extension.server_auth, Self::ServerAuth),
            (extension.client_auth, Self::ClientAuth),
        ];
        let other_named = [
            (extension.code_signing, "1.3.6.1.5.5.7.3.3"),
            (extension.email_protection, "1.3.6.1.5.5.7.3.4"),
            (extension.time_stamping, "1.3.6.1.5.5.7.3.8"),
            (extension.ocsp_signing, "1.3.6.1.5.5.7.3.9"),
        ];
        let named = named.into_iter().filter_map(|(present, usage)| present.then_some(usage));
        let other_named =
            other_named.into_iter().filter(|(present, _)| *present).map(|(_, oid)| Self::Other(oid.into()));
        let other = extension.other.iter().map(|oid| Self::Other(oid.to_id_string()));
        named.chain(other_named).chain(other).collect()
    }
}

impl fmt::Display for ExtendedKeyUsage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Any => "anyExtendedKeyUsage",
            Self::ServerAuth => "serverAuth",
            Self::ClientAuth => "clientAuth",
            Self::Other(oid) => oid,
        })
    }
}
