//! What an administrator hands in: a .pfx file with its password, or somebody's certificate.

use std::fmt;

use rustls::pki_types::PrivateKeyDer;
use tower_mtls::{Certificate, ClientIdentity, identity::IdentityError, pem};
use zeroize::{Zeroize, Zeroizing};

/// The contents of a file, and the password that opens it.
pub(crate) struct Upload {
    pub(crate) data: Zeroizing<Vec<u8>>,
    pub(crate) password: Zeroizing<String>,
}

/// What was in it.
pub(super) struct Material {
    pub(super) certificate: Certificate,
    /// PKCS#8; an identity has one.
    pub(super) key: Option<Zeroizing<Vec<u8>>>,
}

/// Which part of an upload is wrong, and what is wrong with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Unusable {
    pub(crate) part: Part,
    pub(crate) problem: String,
}

/// A part of an upload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Part {
    Data,
    Password,
}

impl Upload {
    /// Opens it. Deriving the keys of a .pfx file takes time: call this where waiting is allowed.
    pub(super) fn open(self) -> Result<Material, Unusable> {
        let data: &[u8] = &self.data;
        if let Ok(certificate) = Certificate::from_der(data) {
            return Ok(Material { certificate, key: None });
        }
        let text = pem::decode(data);
        if contains(&text, b"-----BEGIN ") {
            return from_pem(&text);
        }
        let opened = ClientIdentity::builder().pfx(data, &self.password).build_with_key();
        let (identity, mut key) = opened.map_err(|error| self.explain(&error))?;
        let plain = match &key {
            PrivateKeyDer::Pkcs8(key) => Ok(Zeroizing::new(key.secret_pkcs8_der().to_vec())),
            _ => Err(Unusable::data("the private key is not PKCS#8")),
        };
        key.zeroize();
        Ok(Material { certificate: identity.certificate().clone(), key: Some(plain?) })
    }

    fn explain(&self, error: &IdentityError) -> Unusable {
        match error {
            IdentityError::WrongPassword if self.password.is_empty() => Unusable {
                part: Part::Password,
                problem: "The password is missing: the .pfx file is protected by one.".into(),
            },
            IdentityError::WrongPassword => Unusable {
                part: Part::Password,
                problem: "The password is wrong: it does not open the .pfx file.".into(),
            },
            IdentityError::UnsupportedPassword => {
                Unusable { part: Part::Password, problem: sentence(&error.to_string()) }
            }
            IdentityError::Malformed { .. } => Unusable::data(
                "The data is neither a .pfx (PKCS#12) file nor a certificate (.cer, DER or PEM).",
            ),
            IdentityError::NoKey => Unusable::data(
                "The .pfx file holds no private key. Export it together with its key, or upload the certificate \
                 alone (.cer) to let its holder call.",
            ),
            other => Unusable::data(sentence(&other.to_string())),
        }
    }
}

/// The first certificate of a PEM text, with the rest as its chain.
fn from_pem(text: &[u8]) -> Result<Material, Unusable> {
    if contains(text, b"PRIVATE KEY-----") {
        return Err(Unusable::data(
            "The data is PEM with a private key. Pack both into a .pfx file (openssl pkcs12 -export), or leave the \
             key out to let its holder call.",
        ));
    }
    let chain = pem::certificates(text).map_err(|error| {
        Unusable::data(format!("The data is PEM without a certificate that can be read: {error}."))
    })?;
    let (leaf, rest) =
        chain.split_first().ok_or_else(|| Unusable::data("The data is PEM without a certificate."))?;
    let read = Certificate::from_der_chain(leaf, rest.iter().map(AsRef::as_ref));
    let certificate = read.map_err(|error| Unusable::data(sentence(&error.to_string())))?;
    Ok(Material { certificate, key: None })
}

impl Unusable {
    pub(crate) fn data(problem: impl Into<String>) -> Self {
        Self { part: Part::Data, problem: problem.into() }
    }
}

impl Part {
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

/// With a capital and a full stop, as the messages around it.
fn sentence(text: &str) -> String {
    let mut characters = text.chars();
    let first = characters.next().map(|first| first.to_uppercase().to_string()).unwrap_or_default();
    format!("{first}{}.", characters.as_str())
}

impl fmt::Debug for Upload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Upload")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open(data: &[u8]) -> Result<Material, Unusable> {
        Upload { data: Zeroizing::new(data.to_vec()), password: Zeroizing::default() }.open()
    }

    #[test]
    fn a_certificate_is_read_as_editors_and_shells_leave_it() {
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
