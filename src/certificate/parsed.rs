use std::{
    fmt,
    ops::Range,
    sync::{Arc, Mutex, OnceLock},
};

use sha2::{Digest, Sha256};
use x509_parser::{certificate::X509Certificate, prelude::FromDer};

use super::{
    CacheWords, CertificateError, DistinguishedName, ExtendedKeyUsage, GeneralName, KeyKind, KeyUsage,
    SerialNumber, SpiffeId, Thumbprint, Timestamp, Validity, extensions::Extensions, spki::spki_range,
};

/// Facts of a certificate, and the chain presented with it.
///
/// Cloning copies a pointer. Not a sign of trust: a certificate that a layer admitted is a
/// [`ClientCertificate`](crate::ClientCertificate) (feature `inbound`).
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let made = rcgen::generate_simple_self_signed(vec!["orders.example.com".into()])?;
/// use tower_mtls::{Certificate, certificate::GeneralName};
///
/// let certificate = Certificate::from_der(made.cert.der())?;
/// assert_eq!(certificate.subject().to_string(), "CN=rcgen self signed cert");
/// assert_eq!(certificate.subject_alternative_names(), [GeneralName::Dns("orders.example.com".into())]);
/// assert!(Certificate::from_der(b"not a certificate").is_err());
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Certificate(Arc<Inner>);

struct Inner {
    leaf: Box<[u8]>,
    chain: Vec<Box<[u8]>>,
    spki: Range<usize>,
    subject: DistinguishedName,
    issuer: DistinguishedName,
    serial: SerialNumber,
    validity: Validity,
    names: Vec<GeneralName>,
    key_usage: Option<KeyUsage>,
    extended_key_usage: Option<Vec<ExtendedKeyUsage>>,
    sha256: Thumbprint,
    // Computed on first use.
    sha1: OnceLock<Thumbprint>,
    spki_sha256: OnceLock<[u8; 32]>,
    key_kind: OnceLock<KeyKind>,
    verdicts: CacheWords,
    chains: CacheWords,
    displaced_chains: Mutex<Vec<u64>>,
    #[cfg(feature = "apim")]
    printed: PrintedTexts,
}

/// Texts of a certificate in the notation of policy documents, each printed by them on first use.
#[cfg(feature = "apim")]
#[derive(Default)]
pub(crate) struct PrintedTexts {
    pub(crate) subject: OnceLock<Option<Box<str>>>,
    pub(crate) issuer: OnceLock<Option<Box<str>>>,
    pub(crate) serial: OnceLock<Box<str>>,
    pub(crate) thumbprint: OnceLock<Box<str>>,
}

/// Size limit in bytes. Typical certificates have a few kilobytes; clients choose the size of theirs.
const MAX_SIZE: usize = 32 * 1024;
/// Typical chains have two to five certificates.
const MAX_CHAIN: usize = 16;

impl Certificate {
    /// Reads a DER-encoded certificate without a chain.
    ///
    /// From PEM: `Certificate::from_der(&tower_mtls::keys::pem::certificates(text)?[0])`.
    ///
    /// # Errors
    ///
    /// 1. The bytes are not one DER-encoded X.509 certificate.
    /// 2. An extension is malformed or appears twice.
    /// 3. A limit is exceeded: 32 KiB, 64 extensions, or 4 KiB for a name.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let made = rcgen::generate_simple_self_signed(vec![])?;
    /// use tower_mtls::Certificate;
    ///
    /// let certificate = Certificate::from_der(made.cert.der())?;
    /// assert_eq!(certificate.subject().to_string(), "CN=rcgen self signed cert");
    /// assert!(Certificate::from_der(made.cert.pem().as_bytes()).is_err()); // PEM
    /// # Ok(())
    /// # }
    /// ```
    pub fn from_der(leaf: &[u8]) -> Result<Self, CertificateError> {
        Self::from_der_chain(leaf, [])
    }

    /// Reads a DER-encoded certificate and keeps the `chain` that was presented with it.
    ///
    /// The certificates of the chain are not parsed here, but by the rules that need them.
    ///
    /// # Errors
    ///
    /// As [`from_der`](Self::from_der); and a chain of more than 16 certificates.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let leaf = rcgen::generate_simple_self_signed(vec![])?.cert;
    /// # let issuer = rcgen::generate_simple_self_signed(vec![])?.cert;
    /// use tower_mtls::Certificate;
    ///
    /// let certificate = Certificate::from_der_chain(leaf.der(), [&issuer.der()[..]])?;
    /// assert!(certificate.chain().eq([&issuer.der()[..]]));
    /// # Ok(())
    /// # }
    /// ```
    pub fn from_der_chain<'a>(
        leaf: &[u8],
        chain: impl IntoIterator<Item = &'a [u8]>,
    ) -> Result<Self, CertificateError> {
        if leaf.len() > MAX_SIZE {
            return Err(CertificateError::new(format!("it is larger than {MAX_SIZE} bytes")));
        }
        let spki = spki_range(leaf)?;
        let (_, parsed) =
            X509Certificate::from_der(leaf).map_err(|error| CertificateError::new(describe(&error)))?;
        let mut certificates = Vec::new();
        for certificate in chain {
            if certificates.len() == MAX_CHAIN {
                let problem = format!("the chain has more than {MAX_CHAIN} certificates");
                return Err(CertificateError::new(problem));
            }
            certificates.push(certificate.into());
        }
        let extensions = Extensions::read(parsed.extensions())?;
        Ok(Self(Arc::new(Inner {
            chain: certificates,
            subject: DistinguishedName::from_der(parsed.subject().as_raw())?,
            issuer: DistinguishedName::from_der(parsed.issuer().as_raw())?,
            serial: SerialNumber::new(parsed.raw_serial()),
            validity: Validity {
                not_before: Timestamp::from_unix(parsed.validity().not_before.timestamp()),
                not_after: Timestamp::from_unix(parsed.validity().not_after.timestamp()),
            },
            names: extensions.names,
            key_usage: extensions.key_usage,
            extended_key_usage: extensions.extended_key_usage,
            sha256: Thumbprint::sha256_of(leaf),
            sha1: OnceLock::new(),
            spki_sha256: OnceLock::new(),
            spki,
            key_kind: OnceLock::new(),
            leaf: leaf.into(),
            verdicts: CacheWords::default(),
            chains: CacheWords::default(),
            displaced_chains: Mutex::default(),
            #[cfg(feature = "apim")]
            printed: PrintedTexts::default(),
        })))
    }

    /// The subject's name. Proved only by an admission or a chain.
    pub fn subject(&self) -> &DistinguishedName {
        &self.0.subject
    }

    /// The issuer's name. Proved only by a chain.
    pub fn issuer(&self) -> &DistinguishedName {
        &self.0.issuer
    }

    /// The issuer's number for this certificate.
    pub fn serial(&self) -> &SerialNumber {
        &self.0.serial
    }

    /// The validity period.
    pub fn validity(&self) -> Validity {
        self.0.validity
    }

    /// The subject alternative names in encoding order; empty without the extension.
    pub fn subject_alternative_names(&self) -> &[GeneralName] {
        &self.0.names
    }

    /// The key usage extension, if there is one.
    pub fn key_usage(&self) -> Option<KeyUsage> {
        self.0.key_usage
    }

    /// The extended key usage extension, if there is one.
    pub fn extended_key_usage(&self) -> Option<&[ExtendedKeyUsage]> {
        self.0.extended_key_usage.as_deref()
    }

    /// SHA-1 over the DER encoding: the thumbprint of Windows, .NET and Azure.
    pub fn sha1_thumbprint(&self) -> Thumbprint {
        *self.0.sha1.get_or_init(|| Thumbprint::sha1_of(self.der()))
    }

    /// SHA-256 over the DER encoding.
    pub fn sha256_thumbprint(&self) -> Thumbprint {
        self.0.sha256
    }

    /// SHA-256 over the DER-encoded SubjectPublicKeyInfo. It does not change when the certificate is renewed with the same
    /// key.
    pub fn spki_sha256(&self) -> [u8; 32] {
        *self.0.spki_sha256.get_or_init(|| Sha256::digest(self.subject_public_key_info()).into())
    }

    /// The DER-encoded SubjectPublicKeyInfo.
    pub fn subject_public_key_info(&self) -> &[u8] {
        &self.0.leaf[self.0.spki.clone()]
    }

    /// Kind of the certificate's key.
    pub fn key_kind(&self) -> KeyKind {
        *self.0.key_kind.get_or_init(|| KeyKind::read(self.subject_public_key_info()))
    }

    /// The SPIFFE ID: the only URI among the subject alternative names, if it is a SPIFFE ID (X509-SVID, section 2).
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use tower_mtls::Certificate;
    ///
    /// # let mut params = rcgen::CertificateParams::default();
    /// # let uri = rcgen::SanType::URI("spiffe://contoso.com/orders".try_into()?);
    /// # params.subject_alt_names.push(uri);
    /// # let svid = params.self_signed(&rcgen::KeyPair::generate()?)?;
    /// # let other = rcgen::generate_simple_self_signed(vec![])?.cert;
    /// let id = Certificate::from_der(svid.der())?.spiffe_id();
    /// assert_eq!(id, Some("spiffe://contoso.com/orders".parse()?));
    /// assert_eq!(Certificate::from_der(other.der())?.spiffe_id(), None);
    /// # Ok(())
    /// # }
    /// ```
    pub fn spiffe_id(&self) -> Option<SpiffeId> {
        let mut uris = self.0.names.iter().filter_map(|name| match name {
            GeneralName::Uri(uri) => Some(uri),
            _ => None,
        });
        match (uris.next(), uris.next()) {
            (Some(only), None) => only.parse().ok(),
            _ => None,
        }
    }

    /// The certificate's DER encoding.
    pub fn der(&self) -> &[u8] {
        &self.0.leaf
    }

    /// The rest of the chain as presented, DER-encoded and unverified.
    pub fn chain(&self) -> impl ExactSizeIterator<Item = &[u8]> {
        self.0.chain.iter().map(AsRef::as_ref)
    }

    /// Words for verdicts about this certificate.
    pub(crate) fn verdicts(&self) -> &CacheWords {
        &self.0.verdicts
    }

    /// Cached texts in the notation of policy documents.
    #[cfg(feature = "apim")]
    pub(crate) fn printed(&self) -> &PrintedTexts {
        &self.0.printed
    }

    /// Words for verdicts about its chain.
    #[cfg_attr(not(feature = "trust"), expect(dead_code, reason = "only verdicts about chains"))]
    pub(crate) fn chains(&self) -> &CacheWords {
        &self.0.chains
    }

    /// Words for verdicts about its chain that the four have no room for.
    #[cfg_attr(not(feature = "trust"), expect(dead_code, reason = "only verdicts about chains"))]
    pub(crate) fn displaced_chains(&self) -> &Mutex<Vec<u64>> {
        &self.0.displaced_chains
    }
}

/// Two certificates are equal if their DER encodings are; the chain does not count.
impl PartialEq for Certificate {
    fn eq(&self, other: &Self) -> bool {
        self.0.leaf == other.0.leaf
    }
}

impl Eq for Certificate {}

impl fmt::Debug for Certificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Certificate")
            .field("subject", &format_args!("{}", self.0.subject))
            .field("issuer", &format_args!("{}", self.0.issuer))
            .field("serial", &format_args!("{}", self.0.serial))
            .field("not_after", &format_args!("{}", self.0.validity.not_after))
            .field("sha256", &format_args!("{}", self.0.sha256))
            .finish_non_exhaustive()
    }
}

fn describe(error: &x509_parser::nom::Err<x509_parser::error::X509Error>) -> String {
    match error {
        x509_parser::nom::Err::Incomplete(_) => "it ends too early".into(),
        x509_parser::nom::Err::Error(error) | x509_parser::nom::Err::Failure(error) => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pki::Leaf;

    fn leaf() -> Vec<u8> {
        Leaf::client("orders").dns("orders.contoso.com").uri("spiffe://contoso.com/orders").self_signed().der
    }

    #[test]
    fn damaged_certificate_is_read_or_an_error_and_never_a_panic() {
        let der = leaf();
        for at in 0..der.len() {
            assert!(Certificate::from_der(&der[..at]).is_err(), "cut at {at}");
            for flip in [0x01, 0x20, 0x80, 0xff] {
                let mut damaged = der.clone();
                damaged[at] ^= flip;
                if let Ok(read) = Certificate::from_der(&damaged) {
                    let _ = format!("{read:?} {:?} {:?}", read.key_kind(), read.spiffe_id());
                    assert_ne!(read.sha256_thumbprint(), Thumbprint::sha256_of(&der));
                }
            }
        }
    }

    #[test]
    fn certificates_beyond_the_limits_are_errors() {
        let der = leaf();
        let large = [der.as_slice(), &vec![0; MAX_SIZE]].concat();
        assert!(Certificate::from_der(&large).unwrap_err().to_string().contains("larger"));
        let chain = std::iter::repeat_n(der.as_slice(), MAX_CHAIN + 1);
        assert!(Certificate::from_der_chain(&der, chain).unwrap_err().to_string().contains("chain"));
        let names =
            (0..4_000).fold(Leaf::client("orders"), |leaf, name| leaf.dns(&format!("n{name}.contoso.com")));
        assert!(Certificate::from_der(&names.self_signed().der).is_err());
    }
}
