//! Uploads: a .pfx file with its password, or a caller's certificate.

use std::fmt;

use rustls::pki_types::PrivateKeyDer;
use tokio::task::spawn_blocking;
use tower_mtls::{
    Certificate, ClientIdentity,
    certificate::{Clock, SystemClock},
    identity::IdentityError,
    keys::pem,
};
use zeroize::{Zeroize, Zeroizing};

use crate::file;

use super::{CertificateEntry, ChangeError, Id, Settings, StoreError, StoreHandle, Versioned};

/// The contents of a file, and its password.
pub(crate) struct CertificateUpload {
    pub(crate) data: Zeroizing<Vec<u8>>,
    pub(crate) password: Zeroizing<String>,
}

/// The certificate of an upload, with its private key if there is one.
pub(crate) struct UploadedCertificate {
    pub(super) certificate: Certificate,
    /// Private key of an identity, PKCS#8.
    pub(super) key: Option<Zeroizing<Vec<u8>>>,
}

/// An invalid upload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct UploadError {
    pub(crate) field: UploadField,
    pub(crate) problem: String,
}

/// A field of an upload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum UploadField {
    Data,
    Password,
}

impl StoreHandle {
    /// Reads an upload: decrypts a .pfx file.
    pub(crate) async fn open_upload(
        &self,
        upload: CertificateUpload,
    ) -> Result<UploadedCertificate, ChangeError> {
        let _permit = self.upload_slots.acquire().await.map_err(StoreError::new)?;
        let opened = spawn_blocking(move || upload.open()).await;
        opened.map_err(StoreError::new)?.map_err(ChangeError::Upload)
    }

    /// Creates or replaces an entry of the settings, with its key sealed.
    pub(crate) fn put_certificate(
        &self,
        settings: &mut Settings,
        id: &Id,
        uploaded: &UploadedCertificate,
    ) -> Result<(), ChangeError> {
        let revision = settings.revision;
        let entry = CertificateEntry::new(id, uploaded, SystemClock.now(), revision, &self.sealer);
        let mut entry = entry.map_err(StoreError::new)?;
        if let Some(current) = settings.certificates.get(id) {
            entry.created = current.value.created;
        }
        settings.certificates.insert(id.clone(), Versioned::new(revision, entry));
        Ok(())
    }
}

impl CertificateUpload {
    /// Parses the upload. Blocks: deriving the keys of a .pfx file takes time.
    fn open(mut self) -> Result<UploadedCertificate, UploadError> {
        self.data = file::decode(self.data);
        let data: &[u8] = &self.data;
        if let Ok(certificate) = Certificate::from_der(data) {
            return Ok(UploadedCertificate { certificate, key: None });
        }
        if contains(data, b"-----BEGIN ") {
            return from_pem(data);
        }
        let opened = ClientIdentity::builder().pfx(data, &self.password).build_with_key();
        let (identity, mut key) = opened.map_err(|error| self.explain(&error))?;
        let plain = match &key {
            PrivateKeyDer::Pkcs8(key) => Ok(Zeroizing::new(key.secret_pkcs8_der().to_vec())),
            _ => Err(UploadError::data("the private key is not PKCS#8")),
        };
        key.zeroize();
        Ok(UploadedCertificate { certificate: identity.certificate().clone(), key: Some(plain?) })
    }

    fn explain(&self, error: &IdentityError) -> UploadError {
        match error {
            IdentityError::WrongPassword if self.password.is_empty() => UploadError {
                field: UploadField::Password,
                problem: "The password is missing: the .pfx file is password-protected.".into(),
            },
            IdentityError::WrongPassword => UploadError {
                field: UploadField::Password,
                problem: "The password is wrong: it does not open the .pfx file.".into(),
            },
            IdentityError::UnsupportedPassword => {
                UploadError { field: UploadField::Password, problem: sentence(&error.to_string()) }
            }
            IdentityError::Malformed { .. } => UploadError::data(
                "The data is neither a .pfx (PKCS#12) file nor a certificate (.cer, DER or PEM).",
            ),
            IdentityError::NoKey => UploadError::data(
                "The .pfx file does not contain a private key. Export the certificate with its key, or upload the \
                 certificate alone (.cer) as a caller's certificate.",
            ),
            other => UploadError::data(sentence(&other.to_string())),
        }
    }
}

/// Reads the first certificate of a PEM text, with the rest as its chain.
fn from_pem(text: &[u8]) -> Result<UploadedCertificate, UploadError> {
    if contains(text, b"PRIVATE KEY-----") {
        return Err(UploadError::data(
            "The data is PEM with a private key. Convert both to a .pfx file (openssl pkcs12 -export), or remove the \
             key to upload a caller's certificate.",
        ));
    }
    let chain = pem::certificates(text).map_err(|error| {
        UploadError::data(format!("The data is PEM without a valid certificate: {error}."))
    })?;
    let (leaf, rest) =
        chain.split_first().ok_or_else(|| UploadError::data("The data is PEM without a certificate."))?;
    let read = Certificate::from_der_chain(leaf, rest.iter().map(AsRef::as_ref));
    let certificate = read.map_err(|error| UploadError::data(sentence(&error.to_string())))?;
    Ok(UploadedCertificate { certificate, key: None })
}

impl UploadError {
    pub(crate) fn data(problem: impl Into<String>) -> Self {
        Self { field: UploadField::Data, problem: problem.into() }
    }
}

impl UploadField {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Data => "data",
            Self::Password => "password",
        }
    }
}

fn contains(text: &[u8], part: &[u8]) -> bool {
    text.windows(part.len()).any(|window| window == part)
}

/// Formats an error message as a sentence.
fn sentence(text: &str) -> String {
    let mut characters = text.chars();
    let first = characters.next().map(|first| first.to_uppercase().to_string()).unwrap_or_default();
    format!("{first}{}.", characters.as_str())
}

impl fmt::Debug for CertificateUpload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CertificateUpload")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open(data: &[u8]) -> Result<UploadedCertificate, UploadError> {
        CertificateUpload { data: Zeroizing::new(data.to_vec()), password: Zeroizing::default() }.open()
    }

    #[test]
    fn certificate_is_read_in_common_encodings_and_layouts() {
        let pem = rcgen::generate_simple_self_signed(Vec::new()).unwrap().cert.pem();
        let indented: String = pem.lines().map(|line| format!("  {line}\r\n")).collect();
        let utf16: Vec<u8> = format!("\u{feff}{pem}").encode_utf16().flat_map(u16::to_le_bytes).collect();
        for (case, data) in [
            ("a byte order mark", format!("\u{feff}{pem}").into_bytes()),
            ("UTF-16", utf16),
            ("indented", indented.into_bytes()),
            ("X509 CERTIFICATE", pem.replace(" CERTIFICATE", " X509 CERTIFICATE").into_bytes()),
        ] {
            let opened = open(&data);
            assert!(opened.is_ok_and(|material| material.key.is_none()), "{case}");
        }
        let trusted = open(pem.replace(" CERTIFICATE", " TRUSTED CERTIFICATE").as_bytes()).err().unwrap();
        assert!(trusted.problem.contains("line 1: TRUSTED CERTIFICATE block"), "{}", trusted.problem);
    }
}
