//! PEM texts (RFC 7468) as found in files: with a byte order mark, in UTF-16, indented, with comments.
//!
//! ```
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let made = rcgen::generate_simple_self_signed(vec![])?;
//! use tower_mtls::keys::pem;
//!
//! let text = format!("\u{feff}# orders\n{}", made.cert.pem());
//! assert_eq!(pem::certificates(text.as_bytes())?, [made.cert.der().clone()]);
//!
//! let error = pem::certificates(text.replace("-----END", "----END").as_bytes()).unwrap_err();
//! assert!(error.to_string().starts_with("line "));
//! # Ok(())
//! # }
//! ```

mod block;
#[cfg(feature = "trust")]
mod in_place;
mod text;

use std::fmt;

use rustls_pki_types::CertificateDer;

pub(crate) use self::block::{Block, blocks};
#[cfg(feature = "trust")]
pub(crate) use self::in_place::decode_in_place;
pub(crate) use self::text::SecretText;
pub use self::text::decode;

/// Error of a PEM text.
///
/// ```
/// use tower_mtls::keys::pem::{self, PemError};
///
/// let text = "# orders\n-----BEGIN TRUSTED CERTIFICATE-----\nAAAA\n-----END TRUSTED CERTIFICATE-----\n";
/// let error: PemError = pem::certificates(text.as_bytes()).unwrap_err();
/// assert_eq!((error.line(), error.label()), (2, Some("TRUSTED CERTIFICATE")));
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PemError {
    line: usize,
    label: Option<String>,
    problem: String,
}

impl PemError {
    pub(crate) fn new(line: usize, problem: impl Into<String>) -> Self {
        Self { line, label: None, problem: problem.into() }
    }

    pub(crate) fn of_block(line: usize, label: &str, problem: &str) -> Self {
        Self { line, label: Some(label.to_owned()), problem: problem.to_owned() }
    }

    /// The line, from 1, at which the invalid block begins.
    pub fn line(&self) -> usize {
        self.line
    }

    /// The label of the invalid block, such as `TRUSTED CERTIFICATE`, if the error concerns one block.
    pub fn label(&self) -> Option<&str> {
        self.label.as_deref()
    }
}

impl fmt::Display for PemError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: ", self.line)?;
        if let Some(label) = &self.label {
            write!(f, "{label} block: ")?;
        }
        f.write_str(&self.problem)
    }
}

impl std::error::Error for PemError {}

/// Reads the certificates of a PEM text in order; at least one. Other blocks, such as a private key, are ignored.
///
/// # Errors
///
/// 1. The text contains no certificate.
/// 2. A block is incomplete, or a line resembles a block's border.
/// 3. There is base64 (40 characters or more) or binary data outside of the blocks.
/// 4. There is a `TRUSTED CERTIFICATE`, OpenSSL's form with trust settings, which would be ignored here.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let made = rcgen::generate_simple_self_signed(vec![])?;
/// use tower_mtls::keys::pem;
///
/// let text = made.cert.pem() + &made.signing_key.serialize_pem();
/// assert_eq!(pem::certificates(text.as_bytes())?, [made.cert.der().clone()]);
/// assert!(pem::certificates(made.signing_key.serialize_pem().as_bytes()).is_err()); // no certificate
/// # Ok(())
/// # }
/// ```
pub fn certificates(text: &[u8]) -> Result<Vec<CertificateDer<'static>>, PemError> {
    let mut certificates = Vec::new();
    for block in blocks(&SecretText::decode(text))? {
        certificates.extend(certificate(&block)?);
    }
    if certificates.is_empty() {
        return Err(missing());
    }
    Ok(certificates)
}

/// Reads the CA certificates of a PEM text in order, each with its line; at least one. Other blocks are errors.
#[cfg(any(feature = "trust", feature = "outbound"))]
pub(crate) fn authorities(text: &[u8]) -> Result<Vec<(usize, CertificateDer<'static>)>, PemError> {
    let mut certificates = Vec::new();
    for block in blocks(&decode(text))? {
        let Some(certificate) = certificate(&block)? else {
            return Err(block.error("not a certificate; remove it, only certificates belong in a CA file"));
        };
        certificates.push((block.line, certificate));
    }
    Ok(certificates)
}

/// Returns the certificate of a block; None for other blocks.
fn certificate(block: &Block<'_>) -> Result<Option<CertificateDer<'static>>, PemError> {
    match block.label {
        "CERTIFICATE" | "X509 CERTIFICATE" => Ok(Some(CertificateDer::from(block.der()?))),
        "TRUSTED CERTIFICATE" => Err(block.error(
            "its trust settings would be ignored; convert it to a plain certificate with `openssl x509 -in OLD -out NEW`",
        )),
        _ => Ok(None),
    }
}

fn missing() -> PemError {
    PemError::new(1, "no certificate (-----BEGIN CERTIFICATE-----) in it")
}

#[cfg(test)]
mod tests {
    use super::*;

    const MARK: &[u8] = b"\xef\xbb\xbf";
    const GOOD: &str = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";

    /// A block of this label, behind the good one.
    fn behind(label: &str) -> String {
        GOOD.to_owned() + &GOOD.replace("CERTIFICATE", label)
    }

    #[test]
    fn broken_pem_names_the_line() {
        for (text, line, message) in [
            (String::new(), 1, "no PEM section"),
            ("hello\n".into(), 1, "no PEM section"),
            ("0\u{82}".into(), 1, "looks like DER"),
            (
                format!("# note\n{GOOD}-----BEGIN CERTIFICATE-----\nAAAA\n"),
                5,
                "CERTIFICATE block: no END line",
            ),
            (format!("-----BEGIN CERTIFICATE-----\nAAAA\n{GOOD}"), 1, "CERTIFICATE block: no END line"),
            (format!("{GOOD}-----END CERTIFICATE-----\n"), 4, "END CERTIFICATE without a BEGIN"),
            (GOOD.replace("AAAA", "A*AA"), 1, "CERTIFICATE block: not valid base64"),
            (GOOD.replace("END CERTIFICATE", "END PRIVATE KEY"), 1, "do not match (END PRIVATE KEY)"),
            (GOOD.replace("CERTIFICATE", "PRIVATE KEY"), 1, "no certificate"),
            (
                behind("TRUSTED CERTIFICATE"),
                4,
                "TRUSTED CERTIFICATE block: its trust settings would be ignored",
            ),
            (format!("{GOOD}{}\n", "MII".repeat(20)), 4, "base64 outside of a block"),
        ] {
            let error = certificates(text.as_bytes()).unwrap_err();
            assert!(error.to_string().contains(message), "{text:?}: {error}");
            assert_eq!(error.line(), line, "{text:?}: {error}");
        }
        assert_eq!(certificates(GOOD.as_bytes()).unwrap().len(), 1);
    }

    #[test]
    fn certificate_behind_text_that_is_not_pem_is_an_error() {
        let units = |unit: fn(u16) -> [u8; 2]| GOOD.encode_utf16().flat_map(unit).collect::<Vec<_>>();
        let [le, be] = [units(u16::to_le_bytes), units(u16::to_be_bytes)];
        let der = b"\x30\x82\x01\x0a\x30\x81\xb1\xa0\x03\x02\x01\x02AAAA".to_vec();
        let base64 = |width: usize| "AB3/+z0".repeat(20).as_bytes()[..width].to_vec();
        for (case, behind, message) in [
            ("UTF-16LE", le.clone(), "not text"),
            ("UTF-16BE", be.clone(), "not text"),
            ("UTF-16LE with a mark", [b"\xff\xfe".as_slice(), &le].concat(), "not text"),
            ("UTF-16BE with a mark", [b"\xfe\xff".as_slice(), &be].concat(), "not text"),
            ("DER", der.clone(), "not text"),
            ("a NUL byte", b"# a\0".to_vec(), "not text"),
            ("76 characters of base64", base64(76), "base64 outside of a block"),
            ("57 characters of base64", base64(57), "base64 outside of a block"),
            ("40 characters of base64", base64(40), "base64 outside of a block"),
            ("base64 with padding", [base64(50), b"==".to_vec()].concat(), "base64 outside of a block"),
            ("a mark and base64", [MARK, &base64(64)].concat(), "base64 outside of a block"),
        ] {
            let error = authorities(&[GOOD.as_bytes(), &behind, b"\n"].concat()).unwrap_err();
            assert!(error.to_string().contains(message), "{case}: {error}");
            assert_eq!(error.line(), 4, "{case}: {error}");
        }
        let before = [der.as_slice(), b"\n", GOOD.as_bytes()].concat();
        assert!(authorities(&before).unwrap_err().to_string().contains("looks like DER"));
        for (mark, units) in [(b"\xff\xfe", &le), (b"\xfe\xff", &be)] {
            let before = [mark, units.as_slice(), GOOD.as_bytes()].concat();
            assert!(authorities(&before).unwrap_err().to_string().contains("not text"), "{mark:?}");
        }
    }

    #[test]
    fn marks_of_joined_files_are_ignored() {
        let marked = [MARK, GOOD.as_bytes()].concat();
        let commented = [MARK, b"# b\n", GOOD.as_bytes()].concat();
        let lines =
            |text: &[u8]| authorities(text).map(|found| found.iter().map(|(line, _)| *line).collect());
        assert_eq!(lines(&[&*marked, &marked, &commented].concat()), Ok(vec![1, 4, 8]));
        // Without the line break between them.
        let joined = [GOOD.trim_end().as_bytes(), &marked].concat();
        assert!(
            lines(&joined).unwrap_err().to_string().starts_with("line 3: a BEGIN or END line is malformed")
        );
        let inside = [&GOOD.as_bytes()[..28], &marked].concat();
        assert!(lines(&inside).is_err());
    }

    #[test]
    fn line_that_resembles_a_border_is_an_error_that_does_not_repeat_it() {
        for border in [
            "----BEGIN CERTIFICATE-----",
            "-----BEGIN CERTIFICATE----",
            "-----BEGIN CERTIFICATE",
            "-----BEGINCERTIFICATE-----",
            "-----begin certificate-----",
            "BEGIN CERTIFICATE-----",
            "\u{2013}\u{2013}BEGIN CERTIFICATE\u{2013}\u{2013}",
            "\u{2014}\u{2014}-END CERTIFICATE-----",
            "- -----BEGIN CERTIFICATE-----",
            "ca: \"-----BEGIN CERTIFICATE-----",
            "-----BEGIN PRIVATE KEY-----c2VjcmV0-----END PRIVATE KEY-----",
        ] {
            let error = certificates(format!("{GOOD}{border}\n").as_bytes()).unwrap_err();
            assert_eq!((error.line(), error.label()), (4, None), "{border}: {error}");
            let error = error.to_string();
            assert!(error.contains("malformed") && !error.contains("c2Vj"), "{border}: {error}");
        }
    }

    #[test]
    fn comments_and_indentation_are_ignored() {
        let comments = [
            "# Autorit\u{e9} de d\u{e9}mo ----BEGIN?",
            "# -----BEGIN CERTIFICATE-----",
            "Bag Attributes\n    friendlyName: one\n    localKeyID: 54 69",
            "Key Attributes: <No Attributes>",
            "subject=CN = root, O = Contoso",
            "Certificate:\n    Data:\n        Version: 3 (0x2)\n            X509v3 Key Usage: critical",
            "---\nServer certificate\n---",
            "--- end of the partners' CAs ---",
            "=====================",
            "==================================================",
            "//////////////////////////////////////////////////",
            "    Serial Number:\n        1f:0d:6c:a2:4b:36:0b:18:c8:ac:54:4a:5f:75:8d:f4:8e:5d:8b:5f",
            "        Modulus:\n            00:b4:31:98:0a:c4:bc:62:c1:88:aa:dc:b0:c8:bb:33:35:19:d5:0c:64:b9",
            "    localKeyID: 54 69 6D 65 20 31 37 30 31 32 33 34 35 36 37 38 39 30 31 32",
            "Modulus=B431980AC4BC62C188AADCB0C8BB333519D50C64B93D41B2",
            "sha256 Fingerprint=CA06F56B258B7A0D4F2B05470939478651151984CA06F56B258B7A0D",
            "subject=/C=DE/O=Contoso/OU=TheDepartmentOfCertificates/CN=root",
            "Aabcdefghijklmnopqrstuvwxyz0123456789ab",
            "a\u{1a}",
        ];
        for comment in comments {
            let text = format!("{comment}\n{GOOD}\n{comment}\n");
            assert_eq!(authorities(text.as_bytes()).unwrap().len(), 1, "{comment}");
        }
        let indented: String = GOOD.lines().map(|line| format!("\t  {line} \r\n")).collect();
        let marked = ["\u{feff}".as_bytes(), indented.as_bytes(), GOOD.as_bytes()].concat();
        let lines: Vec<_> = authorities(&marked).unwrap().into_iter().map(|(line, _)| line).collect();
        assert_eq!(lines, [1, 4]);
    }

    #[test]
    fn ca_file_contains_certificates_only() {
        for (label, expected) in [
            ("CERTIFICATE", None),
            ("X509 CERTIFICATE", None),
            ("TRUSTED CERTIFICATE", Some("line 4: TRUSTED CERTIFICATE block: its trust settings")),
            ("PRIVATE KEY", Some("line 4: PRIVATE KEY block: not a certificate")),
            ("ENCRYPTED PRIVATE KEY", Some("line 4: ENCRYPTED PRIVATE KEY block: not a certificate")),
            ("CERTIFICATE REQUEST", Some("line 4: CERTIFICATE REQUEST block: not a certificate")),
            ("X509 CRL", Some("line 4: X509 CRL block: not a certificate")),
            ("PKCS7", Some("line 4: PKCS7 block: not a certificate")),
            ("GARBAGE", Some("line 4: GARBAGE block: not a certificate")),
        ] {
            let read = authorities(behind(label).as_bytes());
            match expected {
                None => assert_eq!(read.unwrap().len(), 2, "{label}"),
                Some(expected) => {
                    let error = read.unwrap_err();
                    assert!(error.to_string().starts_with(expected), "{label}: {error}");
                    assert_eq!(error.label(), Some(label));
                }
            }
        }
        assert_eq!(certificates(behind("PRIVATE KEY").as_bytes()).unwrap().len(), 1, "beside its key");
    }
}
