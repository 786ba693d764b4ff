//! Certificates with their private keys: those of listeners and identities.

use std::convert::Infallible;

use tower_mtls::{
    ClientIdentity,
    certificate::{Clock, SystemClock},
    identity::IdentityError,
    keys::KeyPairError,
};

use super::{
    cache::{Digest, Memo},
    files::Findings,
    unreadable,
};
use crate::config::{FilePath, KeyFiles, Located, quoted};

/// A certificate with its key, and the digest of its files.
#[derive(Clone)]
pub(super) struct LoadedKeyPair {
    pub(super) identity: ClientIdentity,
    pub(super) digest: Digest,
}

/// Reads an identity and sets its name.
pub(super) fn named(
    name: &str,
    files: &KeyFiles,
    memo: &mut Memo<ClientIdentity>,
    findings: &mut Findings,
) -> Option<LoadedKeyPair> {
    let pair = pair(files, memo, findings)?;
    // The name is part of an identity, so each name has its own entry.
    let digest = Digest::of("named", [name.as_bytes(), pair.digest.as_bytes()]);
    let build = || Ok::<_, Infallible>(pair.identity.clone().with_name(name));
    let Ok(identity) = memo.get_or_build(digest, build);
    Some(LoadedKeyPair { identity, digest: pair.digest })
}

/// Reads a pair from either form of files, and warns if the certificate is not valid now.
pub(super) fn pair(
    files: &KeyFiles,
    memo: &mut Memo<ClientIdentity>,
    findings: &mut Findings,
) -> Option<LoadedKeyPair> {
    let pair = match files {
        KeyFiles::Pem { certificate, private_key, password_file: None } => {
            from_pem(certificate, private_key, memo, findings)?
        }
        KeyFiles::Pem { certificate, private_key, password_file: Some(password_file) } => {
            from_encrypted_pem(certificate, private_key, password_file, memo, findings)?
        }
        KeyFiles::Pfx { pfx, password_file } => from_pfx(pfx, password_file, memo, findings)?,
    };
    let identity = &pair.identity;
    let certificate_file = files.certificate();
    let (validity, now) = (identity.certificate().validity(), SystemClock.now());
    if now > validity.not_after {
        let problem = format!("the certificate expired at {}", validity.not_after);
        findings.warning(certificate_file, problem, "renew it: peers reject it");
    } else if now < validity.not_before {
        let problem = format!("the certificate is not valid before {}", validity.not_before);
        findings.warning(certificate_file, problem, "check the clock: peers reject it");
    }
    Some(pair)
}

fn from_pem(
    certificate: &Located<FilePath>,
    private_key: &Located<FilePath>,
    memo: &mut Memo<ClientIdentity>,
    findings: &mut Findings,
) -> Option<LoadedKeyPair> {
    let (chain, key) = (findings.read(certificate), findings.read_secret(private_key));
    let (chain, key) = (chain?, key?);
    let digest = Digest::of("pem", [chain.as_slice(), key.as_slice()]);
    match memo.get_or_build(digest, || ClientIdentity::from_pem(&chain, &key)) {
        Ok(identity) => Some(LoadedKeyPair { identity, digest }),
        Err(error) => {
            report_error(&error, &chain, certificate, private_key, findings);
            None
        }
    }
}

fn from_encrypted_pem(
    certificate: &Located<FilePath>,
    private_key: &Located<FilePath>,
    password_file: &Located<FilePath>,
    memo: &mut Memo<ClientIdentity>,
    findings: &mut Findings,
) -> Option<LoadedKeyPair> {
    let (chain, key) = (findings.read(certificate), findings.read_secret(private_key));
    let password = findings.read_secret(password_file);
    let (chain, key, password) = (chain?, key?, password?);
    let password = as_password(password_file, &password, findings)?;
    let digest = Digest::of("encrypted pem", [chain.as_slice(), key.as_slice(), password.as_bytes()]);
    match memo
        .get_or_build(digest, || ClientIdentity::builder().encrypted_pem(&*chain, &*key, password).build())
    {
        Ok(identity) => Some(LoadedKeyPair { identity, digest }),
        Err(error @ IdentityError::WrongPassword) => {
            let remedy = format!("write the password of {} into this file", quoted(&private_key.written));
            findings.error(password_file, error.to_string(), remedy);
            None
        }
        Err(IdentityError::KeyPair(KeyPairError::KeyNotEncrypted)) => {
            findings.error(password_file, "the key is not encrypted", "remove password_file");
            None
        }
        Err(error) => {
            report_error(&error, &chain, certificate, private_key, findings);
            None
        }
    }
}

/// Reports an error at the file that is at fault.
fn report_error(
    error: &IdentityError,
    chain: &[u8],
    certificate: &Located<FilePath>,
    private_key: &Located<FilePath>,
    findings: &mut Findings,
) {
    let (at, remedy) = match error {
        IdentityError::KeyPair(KeyPairError::CertificatePem(_))
            if unreadable::is_der(certificate, chain, findings) =>
        {
            return;
        }
        IdentityError::KeyPair(KeyPairError::KeyEncrypted) => {
            (private_key, "add password_file with the file of its password")
        }
        IdentityError::KeyPair(KeyPairError::KeyPem(_) | KeyPairError::UnsupportedKey) => {
            (private_key, "name the PEM file of the certificate's private key")
        }
        IdentityError::UnsupportedKeyEncryption(_)
        | IdentityError::TooLarge { .. }
        | IdentityError::TooManyIterations { .. } => {
            (private_key, "encrypt the key again with common parameters")
        }
        IdentityError::KeyPair(KeyPairError::Mismatch) => {
            (private_key, "name the key of the first certificate in the other file")
        }
        _ => (certificate, "name a PEM file with the certificate first and its chain after it"),
    };
    findings.error(at, format!("{}: {error}", quoted(&at.written)), remedy);
}

/// Decodes a password file.
fn as_password<'p>(file: &Located<FilePath>, contents: &'p [u8], findings: &mut Findings) -> Option<&'p str> {
    let Ok(password) = std::str::from_utf8(contents) else {
        findings.error(file, "the password is not UTF-8", "save the file as UTF-8");
        return None;
    };
    // The line break at the end of the file is not part of the password.
    let password = password.strip_suffix('\n').unwrap_or(password);
    Some(password.strip_suffix('\r').unwrap_or(password))
}

fn from_pfx(
    pfx: &Located<FilePath>,
    password_file: &Located<FilePath>,
    memo: &mut Memo<ClientIdentity>,
    findings: &mut Findings,
) -> Option<LoadedKeyPair> {
    let (contents, password) = (findings.read(pfx), findings.read_secret(password_file));
    let (contents, password) = (contents?, password?);
    let password = as_password(password_file, &password, findings)?;
    let digest = Digest::of("pfx", [contents.as_slice(), password.as_bytes()]);
    match memo.get_or_build(digest, || ClientIdentity::from_pfx(&contents, password)) {
        Ok(identity) => Some(LoadedKeyPair { identity, digest }),
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
