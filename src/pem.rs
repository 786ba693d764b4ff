//! PEM files (RFC 7468), decoded by `rustls-pki-types`, with the line of whatever is wrong.

use std::fmt;

use rustls_pki_types::{
    CertificateDer,
    pem::{self, PemObject, SectionKind},
};

/// A text that is not the PEM that was expected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PemError {
    line: usize,
    problem: String,
}

impl PemError {
    pub(crate) fn new(line: usize, problem: impl Into<String>) -> Self {
        Self { line, problem: problem.into() }
    }

    /// The line, from 1, at which the wrong section begins.
    pub fn line(&self) -> usize {
        self.line
    }
}

impl fmt::Display for PemError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: {}", self.line, self.problem)
    }
}

impl std::error::Error for PemError {}

/// One decoded section.
pub(crate) struct Section {
    pub(crate) line: usize,
    pub(crate) kind: SectionKind,
    pub(crate) der: Vec<u8>,
}

/// Larger files are refused: no bundle of certificates comes near it.
const LARGEST: usize = 4 * 1024 * 1024;

/// All sections of a PEM text in order. Text between sections is ignored, as RFC 7468 demands.
pub(crate) fn sections(pem: &[u8]) -> Result<Vec<Section>, PemError> {
    if pem.len() > LARGEST {
        return Err(PemError::new(1, format!("larger than {LARGEST} bytes")));
    }
    let mut sections = Vec::new();
    let mut open: Option<(usize, usize)> = None;
    let mut at = 0;
    for (index, line) in pem.split_inclusive(|octet| *octet == b'\n').enumerate() {
        let number = index + 1;
        let start = at;
        at += line.len();
        if line.starts_with(b"-----BEGIN ") {
            if let Some((_, begun)) = open {
                return Err(PemError::new(begun, "this section has no END line"));
            }
            open = Some((start, number));
        } else if line.starts_with(b"-----END ") {
            let Some((begin, begun)) = open.take() else {
                return Err(PemError::new(number, "END without a BEGIN line before it"));
            };
            sections.extend(section(&pem[begin..at], begun)?);
        }
    }
    match open {
        Some((_, begun)) => Err(PemError::new(begun, "this section has no END line")),
        None if sections.is_empty() => {
            let der = pem.first() == Some(&0x30);
            let hint = if der {
                "; the file looks like DER, convert it with `openssl x509 -inform der`"
            } else {
                ""
            };
            Err(PemError::new(1, format!("no PEM section (-----BEGIN ...-----) in it{hint}")))
        }
        None => Ok(sections),
    }
}

/// None for a kind of section that nobody here reads.
fn section(pem: &[u8], line: usize) -> Result<Option<Section>, PemError> {
    match <(SectionKind, Vec<u8>)>::from_pem_slice(pem) {
        Ok((kind, der)) => Ok(Some(Section { line, kind, der })),
        Err(pem::Error::NoItemsFound) => Ok(None),
        Err(pem::Error::Base64Decode(_)) => Err(PemError::new(line, "this section is not valid base64")),
        Err(_) => Err(PemError::new(line, "this section's BEGIN and END lines do not match")),
    }
}

/// The certificates of a PEM text in order; at least one, each with the line on which it begins.
pub(crate) fn certificates(pem: &[u8]) -> Result<Vec<(usize, CertificateDer<'static>)>, PemError> {
    let certificates: Vec<_> = sections(pem)?
        .into_iter()
        .filter(|section| section.kind == SectionKind::Certificate)
        .map(|section| (section.line, CertificateDer::from(section.der)))
        .collect();
    if certificates.is_empty() {
        return Err(PemError::new(1, "no certificate (-----BEGIN CERTIFICATE-----) in it"));
    }
    Ok(certificates)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn broken_pem_names_the_line() {
        let good = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        for (text, line, message) in [
            (String::new(), 1, "no PEM section"),
            ("hello\n".into(), 1, "no PEM section"),
            ("0\u{82}".into(), 1, "looks like DER"),
            (format!("# note\n{good}-----BEGIN CERTIFICATE-----\nAAAA\n"), 5, "no END"),
            (format!("-----BEGIN CERTIFICATE-----\nAAAA\n{good}"), 1, "no END"),
            (format!("{good}-----END CERTIFICATE-----\n"), 4, "without a BEGIN"),
            (good.replace("AAAA", "A*AA"), 1, "base64"),
            (good.replace("END CERTIFICATE", "END PRIVATE KEY"), 1, "do not match"),
            (good.replace("CERTIFICATE", "PRIVATE KEY"), 1, "no certificate"),
        ] {
            let error = certificates(text.as_bytes()).unwrap_err();
            assert!(error.to_string().contains(message), "{text:?}: {error}");
            assert_eq!(error.line(), line, "{text:?}: {error}");
        }
        assert_eq!(certificates(good.as_bytes()).unwrap().len(), 1);
    }
}
