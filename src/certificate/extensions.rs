use x509_parser::extensions::{ParsedExtension, X509Extension};

use super::{CertificateError, ExtendedKeyUsage, GeneralName, KeyUsage};

/// Typical certificates have about ten extensions.
const MAX_EXTENSIONS: usize = 64;

/// Facts of a certificate's extensions.
#[derive(Default)]
pub(super) struct Extensions {
    pub(super) names: Vec<GeneralName>,
    pub(super) key_usage: Option<KeyUsage>,
    pub(super) extended_key_usage: Option<Vec<ExtendedKeyUsage>>,
}

impl Extensions {
    pub(super) fn read(extensions: &[X509Extension<'_>]) -> Result<Self, CertificateError> {
        if extensions.len() > MAX_EXTENSIONS {
            return Err(CertificateError::new(format!("it has more than {MAX_EXTENSIONS} extensions")));
        }
        let mut read = Self::default();
        for (index, extension) in extensions.iter().enumerate() {
            if extensions[..index].iter().any(|earlier| earlier.oid == extension.oid) {
                return Err(CertificateError::new("an extension appears twice"));
            }
            match extension.parsed_extension() {
                ParsedExtension::SubjectAlternativeName(names) => {
                    read.names =
                        names.general_names.iter().map(GeneralName::read).collect::<Result<_, _>>()?;
                }
                ParsedExtension::KeyUsage(usage) => read.key_usage = Some(KeyUsage::read(usage)),
                ParsedExtension::ExtendedKeyUsage(usage) => {
                    read.extended_key_usage = Some(ExtendedKeyUsage::read_all(usage));
                }
                ParsedExtension::ParseError { .. } => {
                    return Err(CertificateError::new("an extension is malformed"));
                }
                _ => {}
            }
        }
        Ok(read)
    }
}
