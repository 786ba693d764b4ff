//! Validation of an existing PKI.

use std::fs;
use std::path::Path;

use p12_keystore::{KeyStore, Pkcs12ImportPolicy};
use rcgen::KeyPair;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use time::{Duration, OffsetDateTime};
use x509_parser::prelude::{FromDer, ParsedExtension, X509Certificate};

use super::authority::public_key;
use super::folder::{MARK, MARK_TEXT};

/// Minimum remaining validity of a certificate.
const MIN_REMAINING: Duration = Duration::hours(1);

/// File stems of certificate authorities.
const AUTHORITIES: [&str; 3] = ["ca", "partners-ca", "backend-ca"];

/// File of a leaf's private key.
#[derive(Clone, Copy, Debug)]
enum KeyFile {
    Pem,
    /// `.pfx`, with the password in `.password`.
    Pfx,
}

/// Stem, issuing authority and key file of each leaf. `None`: the issuer has no file.
const LEAVES: [(&str, Option<&str>, KeyFile); 8] = [
    ("server", Some("ca"), KeyFile::Pem),
    ("backend", Some("backend-ca"), KeyFile::Pem),
    ("client", Some("partners-ca"), KeyFile::Pem),
    ("expired", Some("partners-ca"), KeyFile::Pem),
    ("stranger", None, KeyFile::Pem),
    ("impostor", Some("partners-ca"), KeyFile::Pem),
    ("orders", Some("backend-ca"), KeyFile::Pfx),
    ("billing", Some("backend-ca"), KeyFile::Pfx),
];

/// Returns true if all files exist, are readable and belong together, and all certificates except the expired one are
/// valid for at least an hour.
pub(super) fn is_valid(dir: &Path, now: OffsetDateTime) -> bool {
    fs::read(dir.join(MARK)).is_ok_and(|text| text == MARK_TEXT.as_bytes())
        && fs::read_to_string(dir.join("management.token")).is_ok_and(|token| token.trim().len() == 64)
        && AUTHORITIES.iter().all(|stem| {
            certificate(dir, stem).is_some_and(|der| parse(&der).is_some_and(|found| is_current(&found, now)))
        })
        && LEAVES.iter().all(|(stem, issuer, key)| leaf(dir, stem, *issuer, *key, now).is_some())
}

/// Checks a leaf; `None` if it is unusable.
fn leaf(dir: &Path, stem: &str, issuer: Option<&str>, key: KeyFile, now: OffsetDateTime) -> Option<()> {
    let der = certificate(dir, stem)?;
    let found = parse(&der)?;
    let valid = stem == "expired" || is_current(&found, now);
    let signed = match issuer {
        None => true,
        Some(issuer) => {
            let issuer = certificate(dir, issuer)?;
            authority_key_identifier(&found)? == subject_key_identifier(&parse(&issuer)?)?
        }
    };
    let keyed = match key {
        KeyFile::Pem => {
            let pem = fs::read_to_string(dir.join(format!("{stem}.key"))).ok()?;
            public_key(&KeyPair::from_pem(&pem).ok()?) == found.public_key().raw
        }
        KeyFile::Pfx => {
            let pfx = fs::read(dir.join(format!("{stem}.pfx"))).ok()?;
            let password = fs::read_to_string(dir.join(format!("{stem}.password"))).ok()?;
            let store = KeyStore::from_pkcs12(&pfx, password.trim_end(), Pkcs12ImportPolicy::Strict).ok()?;
            let (_, chain) = store.private_key_chain()?;
            chain.certs().first()?.as_der() == der.as_ref()
        }
    };
    (valid && signed && keyed).then_some(())
}

/// Returns true if the certificate is valid now and for at least [`MIN_REMAINING`].
fn is_current(certificate: &X509Certificate<'_>, now: OffsetDateTime) -> bool {
    let validity = certificate.validity();
    validity.not_before.timestamp() <= now.unix_timestamp()
        && validity.not_after.timestamp() >= (now + MIN_REMAINING).unix_timestamp()
}

/// Reads the first certificate in `stem.pem`.
fn certificate(dir: &Path, stem: &str) -> Option<CertificateDer<'static>> {
    CertificateDer::from_pem_file(dir.join(format!("{stem}.pem"))).ok()
}

fn parse(der: &[u8]) -> Option<X509Certificate<'_>> {
    X509Certificate::from_der(der).ok().map(|(_, certificate)| certificate)
}

/// Returns the certificate's subject key identifier.
fn subject_key_identifier<'a>(certificate: &X509Certificate<'a>) -> Option<&'a [u8]> {
    certificate.extensions().iter().find_map(|extension| match extension.parsed_extension() {
        ParsedExtension::SubjectKeyIdentifier(identifier) => Some(identifier.0),
        _ => None,
    })
}

/// Returns the certificate's authority key identifier. It differs in files of another PKI.
fn authority_key_identifier<'a>(certificate: &X509Certificate<'a>) -> Option<&'a [u8]> {
    certificate.extensions().iter().find_map(|extension| match extension.parsed_extension() {
        ParsedExtension::AuthorityKeyIdentifier(identifier) => {
            identifier.key_identifier.as_ref().map(|id| id.0)
        }
        _ => None,
    })
}
