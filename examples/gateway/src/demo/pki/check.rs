//! Whether an earlier demo's PKI still serves.

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

/// How long a certificate must still be valid for the demo to go on using it.
const MARGIN: Duration = Duration::hours(1);

/// The certificate authorities that have a file.
const AUTHORITIES: [&str; 3] = ["ca", "partners-ca", "backend-ca"];

/// Where a leaf's private key is.
#[derive(Clone, Copy, Debug)]
enum Key {
    /// In `.key`.
    Pem,
    /// In `.pfx`, under the password in `.password`.
    Pfx,
}

/// Every leaf, the authority whose key identifier it names, and where its key is.
const LEAVES: [(&str, Option<&str>, Key); 8] = [
    ("server", Some("ca"), Key::Pem),
    ("backend", Some("backend-ca"), Key::Pem),
    ("client", Some("partners-ca"), Key::Pem),
    ("expired", Some("partners-ca"), Key::Pem),
    ("stranger", None, Key::Pem),
    ("impostor", Some("partners-ca"), Key::Pem),
    ("orders", Some("backend-ca"), Key::Pfx),
    ("billing", Some("backend-ca"), Key::Pfx),
];

/// Whether all files are there, readable and of one making, and every certificate that is meant to be valid
/// is so for an hour or more.
pub(super) fn is_good(dir: &Path, now: OffsetDateTime) -> bool {
    fs::read(dir.join(MARK)).is_ok_and(|text| text == MARK_TEXT.as_bytes())
        && fs::read_to_string(dir.join("management.token")).is_ok_and(|token| token.trim().len() == 64)
        && AUTHORITIES.iter().all(|stem| {
            certificate(dir, stem).is_some_and(|der| parse(&der).is_some_and(|found| serves(&found, now)))
        })
        && LEAVES.iter().all(|(stem, issuer, key)| leaf(dir, stem, *issuer, *key, now).is_some())
}

/// `None` if the leaf cannot be used.
fn leaf(dir: &Path, stem: &str, issuer: Option<&str>, key: Key, now: OffsetDateTime) -> Option<()> {
    let der = certificate(dir, stem)?;
    let found = parse(&der)?;
    let valid = stem == "expired" || serves(&found, now);
    let signed = match issuer {
        None => true,
        Some(issuer) => {
            let issuer = certificate(dir, issuer)?;
            named_issuer(&found)? == own_identifier(&parse(&issuer)?)?
        }
    };
    let keyed = match key {
        Key::Pem => {
            let pem = fs::read_to_string(dir.join(format!("{stem}.key"))).ok()?;
            public_key(&KeyPair::from_pem(&pem).ok()?) == found.public_key().raw
        }
        Key::Pfx => {
            let pfx = fs::read(dir.join(format!("{stem}.pfx"))).ok()?;
            let password = fs::read_to_string(dir.join(format!("{stem}.password"))).ok()?;
            let store = KeyStore::from_pkcs12(&pfx, password.trim_end(), Pkcs12ImportPolicy::Strict).ok()?;
            let (_, chain) = store.private_key_chain()?;
            chain.certs().first()?.as_der() == der.as_ref()
        }
    };
    (valid && signed && keyed).then_some(())
}

/// Whether the certificate is valid now and for some time to come.
fn serves(certificate: &X509Certificate<'_>, now: OffsetDateTime) -> bool {
    let validity = certificate.validity();
    validity.not_before.timestamp() <= now.unix_timestamp()
        && validity.not_after.timestamp() >= (now + MARGIN).unix_timestamp()
}

/// The first certificate in `stem.pem`.
fn certificate(dir: &Path, stem: &str) -> Option<CertificateDer<'static>> {
    CertificateDer::from_pem_file(dir.join(format!("{stem}.pem"))).ok()
}

fn parse(der: &[u8]) -> Option<X509Certificate<'_>> {
    X509Certificate::from_der(der).ok().map(|(_, certificate)| certificate)
}

/// The certificate's subject key identifier.
fn own_identifier<'a>(certificate: &X509Certificate<'a>) -> Option<&'a [u8]> {
    certificate.extensions().iter().find_map(|extension| match extension.parsed_extension() {
        ParsedExtension::SubjectKeyIdentifier(identifier) => Some(identifier.0),
        _ => None,
    })
}

/// The certificate's authority key identifier. A file left over from an earlier making names another key.
fn named_issuer<'a>(certificate: &X509Certificate<'a>) -> Option<&'a [u8]> {
    certificate.extensions().iter().find_map(|extension| match extension.parsed_extension() {
        ParsedExtension::AuthorityKeyIdentifier(identifier) => {
            identifier.key_identifier.as_ref().map(|id| id.0)
        }
        _ => None,
    })
}
