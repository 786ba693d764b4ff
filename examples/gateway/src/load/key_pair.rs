//! Certificates with their private keys: the listener's, and the identities.

use tower_mtls::{ClientIdentity, Clock, IdentityError, KeyPairError, SystemClock};

use super::files::Findings;
use crate::config::{FilePath, KeyFiles, Located, quoted};

/// Reads a pair from either form of files, and warns if its certificate is not valid now.
pub(super) fn identity(files: &KeyFiles, findings: &mut Findings) -> Option<ClientIdentity> {
    let identity = match files {
        KeyFiles::Pem { certificate, private_key } => from_pem(certificate, private_key, findings)?,
        KeyFiles::Pfx { pfx, password_file } => from_pfx(pfx, password_file, findings)?,
    };
    let certificate_file = files.certificate();
    let (validity, now) = (identity.certificate().validity(), SystemClock.now());
    if now > validity.not_after {
        let problem = format!("the certificate has expired at {}", validity.not_after);
        findings.warning(certificate_file, problem, "renew it: peers will refuse it");
    } else if now < validity.not_before {
        let problem = format!("the certificate is not valid before {}", validity.not_before);
        findings.warning(certificate_file, problem, "check the clock: peers will refuse it");
    }
    Some(identity)
}

fn from_pem(
    certificate: &Located<FilePath>,
    private_key: &Located<FilePath>,
    findings: &mut Findings,
) -> Option<ClientIdentity> {
    let (chain, key) = (findings.read(certificate), findings.read_secret(private_key));
    let error = match ClientIdentity::from_pem(&chain?, &key?) {
        Ok(identity) => return Some(identity),
        Err(error) => error,
    };
    let (at, remedy) = match &error {
        IdentityError::KeyPair(
            KeyPairError::KeyPem(_) | KeyPairError::KeyEncrypted | KeyPairError::UnsupportedKey,
        ) => (private_key, "name the PEM file of the certificate's private key"),
        IdentityError::KeyPair(KeyPairError::Mismatch) => {
            (private_key, "name the key that belongs to the first certificate of the other file")
        }
        _ => (certificate, "name a PEM file with the certificate first and its chain after it"),
    };
    findings.error(at, format!("{}: {error}", quoted(&at.written)), remedy);
    None
}

fn from_pfx(
    pfx: &Located<FilePath>,
    password_file: &Located<FilePath>,
    findings: &mut Findings,
) -> Option<ClientIdentity> {
    let (contents, password) = (findings.read(pfx), findings.read_secret(password_file));
    let (contents, password) = (contents?, password?);
    let Ok(password) = std::str::from_utf8(&password) else {
        findings.error(password_file, "the password is not UTF-8", "save the file as UTF-8");
        return None;
    };
    // Editors end a file with a line break that is not part of the password.
    let password = password.strip_suffix('\n').unwrap_or(password);
    let password = password.strip_suffix('\r').unwrap_or(password);
    match ClientIdentity::from_pfx(&contents, password) {
        Ok(identity) => Some(identity),
        Err(error @ IdentityError::WrongPassword) => {
            let remedy = format!("write the password of {} into this file", quoted(&pfx.written));
            findings.error(password_file, error.to_string(), remedy);
            None
        }
        Err(error) => {
            let remedy = "name a .pfx (PKCS#12) file with one certificate and its key";
            findings.error(pfx, format!("{}: {error}", quoted(&pfx.written)), remedy);
            None
        }
    }
}
