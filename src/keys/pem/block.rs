//! The blocks of a PEM text, and the text between them.

use std::io::Read;

use rustls_pki_types::pem;

use super::PemError;

/// Limit of a text in bytes, far above any bundle of certificates.
const LARGEST: usize = 4 * 1024 * 1024;

/// The first byte of a DER certificate or key.
const DER: &[u8] = b"\x30";
/// The byte order mark of UTF-8.
const MARK: &[u8] = b"\xef\xbb\xbf";

/// One block, not decoded yet.
pub(crate) struct Block<'t> {
    /// The line of its BEGIN line, from 1.
    pub(crate) line: usize,
    pub(crate) label: &'t str,
    pub(crate) body: &'t [u8],
}

impl Block<'_> {
    /// Decodes the base64; that of private keys in constant time.
    pub(crate) fn der(&self) -> Result<Vec<u8>, PemError> {
        // The decoder supports few labels, and none at the end of an indented line.
        let (begin, end): (&[u8], &[u8]) = if self.label.ends_with("PRIVATE KEY") {
            (b"-----BEGIN PRIVATE KEY-----\n", b"-----END PRIVATE KEY-----\n")
        } else {
            (b"-----BEGIN CERTIFICATE-----\n", b"-----END CERTIFICATE-----\n")
        };
        match pem::from_buf(&mut begin.chain(self.body).chain(end)) {
            Ok(Some((_, der))) => Ok(der),
            _ => Err(self.error("not valid base64")),
        }
    }

    /// Returns true for an encrypted private key, in PKCS#8 or in OpenSSL's legacy format.
    #[cfg(any(feature = "acceptor", feature = "identity"))]
    pub(crate) fn is_encrypted(&self) -> bool {
        self.label == "ENCRYPTED PRIVATE KEY" || self.is_encrypted_by_header()
    }

    /// Returns true if a header declares OpenSSL's legacy encryption.
    #[cfg(any(feature = "acceptor", feature = "identity"))]
    pub(crate) fn is_encrypted_by_header(&self) -> bool {
        self.body.trim_ascii_start().starts_with(b"Proc-Type: 4,ENCRYPTED")
    }

    /// Creates an error of this block.
    pub(crate) fn error(&self, problem: &str) -> PemError {
        PemError::of_block(self.line, self.label, problem)
    }
}

/// Returns all blocks in order; at least one. Lines can be indented. Text between blocks is ignored, as RFC 7468
/// requires, unless it resembles a part of a block or is binary: a certificate would be skipped silently.
pub(crate) fn blocks(text: &[u8]) -> Result<Vec<Block<'_>>, PemError> {
    blocks_within(text, LARGEST)
}

/// As [`blocks`], with another limit in bytes.
pub(super) fn blocks_within(text: &[u8], limit: usize) -> Result<Vec<Block<'_>>, PemError> {
    if text.len() > limit {
        return Err(PemError::new(1, format!("larger than {limit} bytes")));
    }
    let mut blocks = Vec::new();
    let mut open: Option<(usize, &str, usize)> = None;
    let mut at = 0;
    for (index, line) in text.split_inclusive(|byte| *byte == b'\n').enumerate() {
        let number = index + 1;
        let start = at;
        at += line.len();
        let line = line.trim_ascii();
        // Concatenated files leave their marks in the middle.
        let line = if open.is_none() { line.strip_prefix(MARK).unwrap_or(line) } else { line };
        match (marker(line), open) {
            (Marker::Begin(label), None) => open = Some((number, label, at)),
            (Marker::Begin(_), Some((begun, label, _))) => return Err(unclosed(begun, label)),
            (Marker::End(label), None) => {
                let problem = format!("END {label} without a BEGIN line before it");
                return Err(PemError::new(number, problem));
            }
            (Marker::End(end), Some((begun, label, body))) => {
                if end != label {
                    let problem = format!("its BEGIN and END lines do not match (END {end})");
                    return Err(PemError::of_block(begun, label, &problem));
                }
                blocks.push(Block { line: begun, label, body: &text[body..start] });
                open = None;
            }
            (Marker::Malformed, _) => {
                let problem = "a BEGIN or END line is malformed; write it alone on its line, as in -----BEGIN \
                               CERTIFICATE-----, or begin a comment with #";
                return Err(PemError::new(number, problem));
            }
            (Marker::None, None) if is_stray_base64(line) => {
                let problem = "base64 outside of a block; add its BEGIN line, or begin a comment with #";
                return Err(PemError::new(number, problem));
            }
            (Marker::None, None) if line.iter().any(is_binary) => {
                if blocks.is_empty() && text.starts_with(DER) {
                    return Err(no_section(text));
                }
                let problem = "not text: UTF-16 or DER among PEM; convert each file before they are joined, with \
                               `iconv -f utf-16 -t utf-8` or `openssl x509 -inform der`";
                return Err(PemError::new(number, problem));
            }
            (Marker::None, _) => {}
        }
    }
    match open {
        Some((begun, label, _)) => Err(unclosed(begun, label)),
        None if blocks.is_empty() => Err(no_section(text)),
        None => Ok(blocks),
    }
}

fn no_section(text: &[u8]) -> PemError {
    let hint = match text.starts_with(DER) {
        true => "; the file looks like DER, convert it with `openssl x509 -inform der -in OLD -out NEW`",
        false => "",
    };
    PemError::new(1, format!("no PEM section (-----BEGIN ...-----){hint}"))
}

fn unclosed(line: usize, label: &str) -> PemError {
    PemError::of_block(line, label, "no END line")
}

/// A line as the border of a block.
enum Marker<'t> {
    None,
    Begin(&'t str),
    End(&'t str),
    /// A malformed border.
    Malformed,
}

fn marker(line: &[u8]) -> Marker<'_> {
    // Most lines are base64. Borders have dashes, which can be other characters than ASCII's.
    if line.iter().all(|byte| byte.is_ascii() && *byte != b'-') {
        return Marker::None;
    }
    let label = |prefix: &[u8]| label(line.strip_prefix(prefix)?.strip_suffix(b"-----")?);
    if let Some(label) = label(b"-----BEGIN ") {
        Marker::Begin(label)
    } else if let Some(label) = label(b"-----END ") {
        Marker::End(label)
    } else if is_like_marker(line) {
        Marker::Malformed
    } else {
        Marker::None
    }
}

/// A label, which may be repeated in errors; anything else might be part of a secret.
fn label(text: &[u8]) -> Option<&str> {
    let is_plain = |byte: &u8| byte.is_ascii_uppercase() || byte.is_ascii_digit() || *byte == b' ';
    let text = std::str::from_utf8(text).ok()?;
    ((1..=40).contains(&text.len()) && text.as_bytes().iter().all(is_plain)).then_some(text)
}

/// Returns true if a line resembles a BEGIN or END line: with too few dashes, other dashes, or text around it.
fn is_like_marker(line: &[u8]) -> bool {
    const DASHES: &[char] =
        &['-', '\u{2010}', '\u{2011}', '\u{2012}', '\u{2013}', '\u{2014}', '\u{2015}', '\u{2212}'];
    const NOUNS: &[&str] = &["CERTIFICATE", "KEY", "CRL", "PKCS", "PARAMETERS", "CMS"];
    if line.starts_with(b"#") {
        return false;
    }
    let line = String::from_utf8_lossy(line).to_ascii_uppercase();
    if line.contains("-----BEGIN") || line.contains("-----END") {
        return true;
    }
    let rest = line.trim_start_matches(|character| character == ' ' || DASHES.contains(&character));
    let has_dashes = rest.len() < line.len() || rest.ends_with(DASHES);
    let is_border = rest.starts_with("BEGIN") || rest.starts_with("END");
    has_dashes && is_border && NOUNS.iter().any(|noun| rest.contains(noun))
}

/// Returns true if a line is base64 of a certificate or key, rather than a word, a ruler or hexadecimal with colons.
fn is_stray_base64(line: &[u8]) -> bool {
    let is_base64 = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/');
    let unpadded =
        [b"==".as_slice(), b"="].iter().find_map(|padding| line.strip_suffix(*padding)).unwrap_or(line);
    line.len() >= 40 && unpadded.iter().all(is_base64) && unpadded.iter().any(u8::is_ascii_alphanumeric)
}

/// Returns true if a byte does not occur in text: UTF-16 has NUL bytes, and DER small numbers. DOS ends texts with 0x1a.
fn is_binary(byte: &u8) -> bool {
    byte.is_ascii_control() && !matches!(byte, b'\t' | b'\n' | b'\r' | b'\x0c' | b'\x1a')
}
