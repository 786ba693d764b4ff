//! Tests of the throw-away PKI.

use std::collections::{BTreeMap, HashSet};
use std::fs;
use std::path::Path;
use std::sync::Arc;

use p12_keystore::{KeyStore, Pkcs12ImportPolicy};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::WebPkiClientVerifier;
use rustls::{CertificateError, Error, RootCertStore};
use time::{Duration, OffsetDateTime};
use x509_parser::prelude::{FromDer, X509Certificate};

use super::{PkiError, PkiState, ensure};
use crate::scratch::Scratch;

const PUBLIC: [&str; 12] = [
    ".gitignore",
    "backend-ca.pem",
    "backend.pem",
    "billing.pem",
    "ca.pem",
    "client.pem",
    "expired.pem",
    "impostor.pem",
    "orders.pem",
    "partners-ca.pem",
    "server.pem",
    "stranger.pem",
];

const SECRET: [&str; 11] = [
    "backend.key",
    "billing.password",
    "billing.pfx",
    "client.key",
    "expired.key",
    "impostor.key",
    "management.token",
    "orders.password",
    "orders.pfx",
    "server.key",
    "stranger.key",
];

const LEAVES: [&str; 8] =
    ["server", "backend", "client", "expired", "stranger", "impostor", "orders", "billing"];

/// Creation time of the PKI.
const NOW: OffsetDateTime = match OffsetDateTime::from_unix_timestamp(1_935_817_689) {
    Ok(now) => now,
    Err(_) => panic!("out of range"),
};

fn created() -> Scratch {
    let scratch = Scratch::new();
    assert_eq!(ensure(scratch.path(), NOW).unwrap(), PkiState::Created);
    scratch
}

fn contents(dir: &Path) -> BTreeMap<String, Vec<u8>> {
    fs::read_dir(dir)
        .unwrap()
        .map(|entry| {
            let entry = entry.unwrap();
            (entry.file_name().into_string().unwrap(), fs::read(entry.path()).unwrap())
        })
        .collect()
}

fn chain(dir: &Path, stem: &str) -> Vec<CertificateDer<'static>> {
    CertificateDer::pem_file_iter(dir.join(format!("{stem}.pem"))).unwrap().collect::<Result<_, _>>().unwrap()
}

/// Verifies `stem.pem` as a server that trusts `authority.pem`.
fn verdict(dir: &Path, stem: &str, authority: &str) -> Result<(), Error> {
    let mut roots = RootCertStore::empty();
    roots.add(chain(dir, authority).remove(0)).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build().unwrap();
    let presented = chain(dir, stem);
    let now = UnixTime::since_unix_epoch(std::time::Duration::from_secs(NOW.unix_timestamp() as u64));
    verifier.verify_client_cert(&presented[0], &presented[1..], now).map(|_| ())
}

#[test]
fn folder_contains_exactly_the_documented_files() {
    let scratch = created();
    let mut expected: Vec<&str> = PUBLIC.iter().chain(&SECRET).copied().collect();
    expected.sort_unstable();
    assert_eq!(contents(scratch.path()).into_keys().collect::<Vec<_>>(), expected);
}

#[cfg(unix)]
#[test]
fn folder_and_secrets_are_readable_by_the_owner_only() {
    use std::os::unix::fs::PermissionsExt;

    let scratch = created();
    let mode = |name: &str| fs::metadata(scratch.path().join(name)).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(""), 0o700);
    for name in SECRET {
        assert_eq!(mode(name), 0o600, "{name}");
    }
    for name in PUBLIC {
        assert_ne!(mode(name) & 0o400, 0, "{name}");
    }
    fs::set_permissions(scratch.path(), fs::Permissions::from_mode(0o755)).unwrap();
    assert_eq!(ensure(scratch.path(), NOW).unwrap(), PkiState::Reused);
    assert_eq!(mode(""), 0o700, "an open folder is made private again");
}

#[test]
fn second_start_changes_nothing() {
    let scratch = created();
    let before = contents(scratch.path());
    assert_eq!(ensure(scratch.path(), NOW + Duration::days(89)).unwrap(), PkiState::Reused);
    assert_eq!(contents(scratch.path()), before);
}

#[test]
fn pki_that_expires_within_the_hour_is_replaced() {
    let scratch = created();
    let later = NOW + Duration::days(90) - Duration::minutes(59);
    assert_eq!(ensure(scratch.path(), later).unwrap(), PkiState::Replaced);
    assert_eq!(ensure(scratch.path(), later).unwrap(), PkiState::Reused);
}

#[test]
fn pki_from_the_future_is_replaced() {
    let scratch = created();
    assert_eq!(ensure(scratch.path(), NOW - Duration::hours(2)).unwrap(), PkiState::Replaced);
}

#[test]
fn pki_with_a_missing_or_damaged_file_is_replaced() {
    let scratch = created();
    for name in PUBLIC.iter().chain(&SECRET) {
        fs::remove_file(scratch.path().join(name)).unwrap();
        assert_eq!(ensure(scratch.path(), NOW).unwrap(), PkiState::Replaced, "{name} missing");
        fs::write(scratch.path().join(name), "spoilt").unwrap();
        assert_eq!(ensure(scratch.path(), NOW).unwrap(), PkiState::Replaced, "{name} spoilt");
    }
}

#[test]
fn pki_with_files_of_another_pki_is_replaced() {
    let scratch = created();
    let other = created();
    for (case, files) in [
        ("a CA", &["partners-ca.pem"][..]),
        ("a leaf with its key", &["client.pem", "client.key"]),
        ("an identity", &["orders.pem", "orders.pfx", "orders.password"]),
        ("an identity without its certificate", &["orders.pfx", "orders.password"]),
        ("a password", &["billing.password"]),
    ] {
        for file in files {
            fs::copy(other.path().join(file), scratch.path().join(file)).unwrap();
        }
        assert_eq!(ensure(scratch.path(), NOW).unwrap(), PkiState::Replaced, "{case}");
    }
}

#[test]
fn other_files_in_the_folder_are_kept() {
    let scratch = created();
    fs::write(scratch.path().join("gateway.toml"), "mine").unwrap();
    fs::remove_file(scratch.path().join("client.key")).unwrap();
    assert_eq!(ensure(scratch.path(), NOW).unwrap(), PkiState::Replaced);
    assert_eq!(fs::read(scratch.path().join("gateway.toml")).unwrap(), b"mine");
}

#[test]
fn empty_folder_is_accepted() {
    let scratch = Scratch::new();
    fs::create_dir(scratch.path()).unwrap();
    assert_eq!(ensure(scratch.path(), NOW).unwrap(), PkiState::Created);
}

#[test]
fn folder_with_other_files_is_rejected_and_not_changed() {
    let others_ca = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap().cert.pem();
    for (name, text) in [
        ("notes.txt", "mine"),
        (".gitignore", "/target/\n"),
        ("ca.pem", others_ca.as_str()),
        ("ca.pem", "spoilt"),
    ] {
        let scratch = Scratch::new();
        fs::create_dir(scratch.path()).unwrap();
        fs::write(scratch.path().join(name), text).unwrap();
        let before = contents(scratch.path());
        let error = ensure(scratch.path(), NOW).unwrap_err();
        assert!(matches!(error, PkiError::NotADemoFolder(_)), "{name}: {error}");
        assert!(error.to_string().contains(&scratch.path().display().to_string()), "{error}");
        assert!(error.to_string().contains("--dir"), "{error}");
        assert_eq!(contents(scratch.path()), before, "{name}");
    }
}

#[test]
fn path_that_is_not_a_folder_is_an_error_with_the_remedy() {
    let scratch = Scratch::new();
    fs::write(scratch.path(), "a file").unwrap();
    for dir in [scratch.path().to_owned(), scratch.path().join("below")] {
        let error = ensure(&dir, NOW).unwrap_err();
        assert!(matches!(error, PkiError::NotAFolder(_)), "{error:?}");
        assert!(error.to_string().starts_with(&format!("{} is not a folder", dir.display())), "{error}");
        assert!(error.to_string().contains("--dir"), "{error}");
    }
}

#[test]
fn unwritable_file_is_named_with_the_remedy() {
    let scratch = created();
    let path = scratch.path().join("client.pem");
    fs::remove_file(&path).unwrap();
    fs::create_dir(&path).unwrap();
    let error = ensure(scratch.path(), NOW).unwrap_err().to_string();
    assert!(error.starts_with(&format!("cannot write {}: ", path.display())), "{error}");
    assert!(error.contains("--dir"), "{error}");
    assert!(has_no_temporary_files(scratch.path()));
}

/// Returns true if no temporary file is left.
fn has_no_temporary_files(dir: &Path) -> bool {
    fs::read_dir(dir).unwrap().all(|entry| entry.unwrap().path().extension().is_none_or(|kind| kind != "tmp"))
}

#[test]
fn partners_ca_admits_only_the_client() {
    let scratch = created();
    let dir = scratch.path();
    assert_eq!(verdict(dir, "client", "partners-ca"), Ok(()));
    for (stem, matches) in [
        ("expired", (|error| matches!(error, CertificateError::ExpiredContext { .. })) as fn(_) -> bool),
        ("stranger", |error| matches!(error, CertificateError::UnknownIssuer)),
        ("impostor", |error| matches!(error, CertificateError::BadSignature)),
        ("orders", |error| matches!(error, CertificateError::UnknownIssuer)),
        ("server", |error| matches!(error, CertificateError::InvalidPurposeContext { .. })),
    ] {
        match verdict(dir, stem, "partners-ca") {
            Err(Error::InvalidCertificate(error)) => assert!(matches(error.clone()), "{stem}: {error:?}"),
            other => panic!("{stem}: {other:?}"),
        }
    }
}

#[test]
fn upstreams_ca_admits_only_the_identities() {
    let scratch = created();
    for (stem, admitted) in
        [("orders", true), ("billing", true), ("client", false), ("server", false), ("backend", false)]
    {
        assert_eq!(verdict(scratch.path(), stem, "backend-ca").is_ok(), admitted, "{stem}");
    }
}

#[test]
fn impostor_differs_from_the_client_only_by_the_key() {
    let scratch = created();
    let client = chain(scratch.path(), "client").remove(0);
    let impostor = chain(scratch.path(), "impostor");
    let partners = chain(scratch.path(), "partners-ca").remove(0);
    let parse = |der| X509Certificate::from_der(der).unwrap().1;
    let (client, partners) = (parse(&client), parse(&partners));
    let (leaf, authority) = (parse(&impostor[0]), parse(&impostor[1]));
    assert_eq!(leaf.subject().as_raw(), client.subject().as_raw());
    assert_eq!(leaf.issuer().as_raw(), partners.subject().as_raw());
    assert_eq!(authority.subject().as_raw(), partners.subject().as_raw());
    assert_ne!(authority.public_key().raw, partners.public_key().raw);
    // Organization first as it is encoded, so that it prints as CN=Partners CA, O=Contoso.
    assert_eq!(partners.subject().to_string(), "O=Contoso, CN=Partners CA");
}

#[test]
fn serial_numbers_are_unique() {
    let scratch = created();
    let serials: HashSet<Vec<u8>> = LEAVES
        .iter()
        .chain(&["ca", "partners-ca", "backend-ca"])
        .map(|stem| {
            let der = chain(scratch.path(), stem).remove(0);
            X509Certificate::from_der(&der).unwrap().1.raw_serial().to_vec()
        })
        .collect();
    assert_eq!(serials.len(), 11);
}

#[test]
fn identity_opens_only_with_its_password() {
    let scratch = created();
    let read = |name: &str| fs::read(scratch.path().join(name)).unwrap();
    for (stem, subject) in
        [("orders", "O=Contoso, CN=orders-gateway"), ("billing", "O=Contoso, CN=billing-gateway")]
    {
        let pfx = read(&format!("{stem}.pfx"));
        let password = String::from_utf8(read(&format!("{stem}.password"))).unwrap();
        assert_eq!(password.len(), 33);
        assert!(KeyStore::from_pkcs12(&pfx, "wrong", Pkcs12ImportPolicy::Strict).is_err());
        let store = KeyStore::from_pkcs12(&pfx, password.trim_end(), Pkcs12ImportPolicy::Strict).unwrap();
        let (alias, chain) = store.private_key_chain().unwrap();
        assert_eq!(alias, stem);
        assert_eq!(chain.certs().len(), 2);
        assert_eq!(chain.certs()[0].subject(), subject);
        assert_eq!(chain.certs()[1].subject(), "O=Contoso, CN=Upstreams CA");
    }
    assert_ne!(read("orders.password"), read("billing.password"));
}

#[cfg(unix)]
#[test]
fn folder_of_another_user_is_rejected_and_not_changed() {
    let scratch = Scratch::new();
    fs::create_dir(scratch.path()).unwrap();
    let is_root = rustix::process::geteuid().is_root();
    if is_root {
        std::os::unix::fs::chown(scratch.path(), Some(65_534), None).unwrap();
    }
    // For other users than root, the root folder belongs to another user.
    let dir = if is_root { scratch.path() } else { Path::new("/") };
    let error = ensure(dir, NOW).unwrap_err();
    assert!(matches!(error, PkiError::OtherOwner(_)), "{error}");
    assert!(error.to_string().contains("--dir"), "{error}");
    assert!(contents(scratch.path()).is_empty());
}

#[cfg(unix)]
#[test]
fn link_is_replaced_and_not_followed() {
    let scratch = created();
    let outside = Scratch::new();
    fs::write(outside.path(), "mine").unwrap();
    let config = scratch.path().join("gateway.toml");
    std::os::unix::fs::symlink(outside.path(), &config).unwrap();
    super::write_public(scratch.path(), "gateway.toml", "new").unwrap();
    assert_eq!(fs::read_to_string(outside.path()).unwrap(), "mine");
    assert_eq!(fs::read_to_string(&config).unwrap(), "new");
    assert!(fs::symlink_metadata(&config).unwrap().is_file());
}
