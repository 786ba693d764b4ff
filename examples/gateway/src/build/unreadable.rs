//! Certificate files in unsupported formats, with the command that converts them.

use std::{fmt, fs};

use tower_mtls::keys::pem::PemError;
use x509_parser::{certificate::X509Certificate, prelude::FromDer};

use super::files::Findings;
use crate::config::{FilePath, Located, quoted};

const TRUSTED: &str = "TRUSTED CERTIFICATE";

/// Reports a CA file that cannot be parsed. `pem` is the PEM part of the error, if any.
pub(super) fn on_authorities(
    file: &Located<FilePath>,
    text: &[u8],
    error: &dyn fmt::Display,
    pem: Option<&PemError>,
    findings: &mut Findings,
) {
    let named = quoted(&file.written);
    match pem {
        Some(error) if error.label() == Some(TRUSTED) => {
            let line = error.line();
            let problem =
                format!("{named}: line {line}: {TRUSTED} block: its trust settings would be ignored");
            let remedy = if is_as_read(file, text) && is_one_plain_block(text) {
                conversion(file, "", "plain")
            } else {
                "convert each block separately with openssl x509, and name all files in ca".to_owned()
            };
            findings.error(file, problem, remedy);
        }
        Some(_) if is_der(file, text, findings) => {}
        _ => findings.error(file, format!("{named}: {error}"), "name a PEM file of CA certificates"),
    }
}

/// Reports a certificate in DER. Returns true if it is one.
pub(super) fn is_der(file: &Located<FilePath>, text: &[u8], findings: &mut Findings) -> bool {
    let is_der = X509Certificate::from_der(text).is_ok();
    if is_der {
        let problem = format!("{}: is DER, not PEM", quoted(&file.written));
        findings.error(file, problem, conversion(file, "-inform der ", "pem"));
    }
    is_der
}

/// Remedy: the command that converts this file to another one with a further extension.
fn conversion(file: &FilePath, form: &str, extension: &str) -> String {
    let path = file.resolved.display().to_string();
    let (old, new) = (in_shell(&path), in_shell(&format!("{path}.{extension}")));
    format!("run openssl x509 {form}-in {old} -out {new} and name that file")
}

/// Quotes a text for a shell.
fn in_shell(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

/// Whether the file is exactly this text, without a byte order mark and in no other encoding.
fn is_as_read(file: &FilePath, text: &[u8]) -> bool {
    fs::metadata(&file.resolved).is_ok_and(|metadata| metadata.len() == text.len() as u64)
}

/// Whether OpenSSL reads the whole text: one block, not indented.
fn is_one_plain_block(text: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(text) else { return false };
    let lines = text.lines().map(str::trim_end);
    let borders: Vec<_> = lines.filter(|line| line.contains("-----")).collect();
    let expected = ["BEGIN", "END"].map(|word| format!("-----{word} {TRUSTED}-----"));
    borders == expected && !text.lines().any(|line| line.starts_with([' ', '\t']))
}
