//! PKCS#12 files of other tools, compared with OpenSSL's results.
//!
//! The files are not part of this repository; the variable TOWER_MTLS_SUITES names their folder.
#![cfg(all(feature = "identity", feature = "aws-lc-rs"))]

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use rustls::{
    crypto::aws_lc_rs::sign::any_supported_type,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
};
use tower_mtls::{ClientIdentity, identity::IdentityError};

/// Password and expected result of each file; None: it opens, with the key and certificate that OpenSSL finds.
const FILES: &[(&str, &str, Option<Expected>)] = &[
    ("cert-aes256cbc-no-key", "cryptography", Some(Expected::NoKey)),
    ("cert-key-aes256cbc", "cryptography", None),
    ("cert-none-key-none", "cryptography", None),
    ("cert-rc2-key-3des", "cryptography", None),
    ("java-truststore", "", Some(Expected::NoKey)),
    ("name-1-pwd", "password", None),
    ("name-2-pwd", "password", None),
    ("name-2-3-pwd", "password", None),
    ("name-3-pwd", "password", None),
    ("name-all-pwd", "password", None),
    ("name-unicode-pwd", "password", None),
    ("no-name-pwd", "password", None),
    ("no-cert-key-aes256cbc", "cryptography", Some(Expected::NoCertificate)),
    ("no-cert-name-2-pwd", "password", Some(Expected::NoKey)),
    ("no-cert-name-3-pwd", "password", Some(Expected::NoKey)),
    ("no-cert-name-all-pwd", "password", Some(Expected::NoKey)),
    ("no-cert-name-unicode-pwd", "password", Some(Expected::NoKey)),
    ("no-cert-no-name-pwd", "password", Some(Expected::NoKey)),
    // Created without a password, which differs from an empty one.
    ("name-1-no-pwd", "", None),
    ("name-2-no-pwd", "", None),
    ("name-2-3-no-pwd", "", None),
    ("name-3-no-pwd", "", None),
    ("name-all-no-pwd", "", None),
    ("name-unicode-no-pwd", "", None),
    ("no-name-no-pwd", "", None),
    ("no-cert-name-2-no-pwd", "", Some(Expected::NoKey)),
    ("no-cert-name-3-no-pwd", "", Some(Expected::NoKey)),
    ("no-cert-name-all-no-pwd", "", Some(Expected::NoKey)),
    ("no-cert-name-unicode-no-pwd", "", Some(Expected::NoKey)),
    ("no-cert-no-name-no-pwd", "", Some(Expected::NoKey)),
    // Also encrypted, which p12-keystore does not support with a key derived from no password.
    ("no-password", "", Some(Expected::Unsupported)),
];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Expected {
    NoKey,
    NoCertificate,
    Unsupported,
}

fn suite() -> Option<PathBuf> {
    let Some(suites) = std::env::var_os("TOWER_MTLS_SUITES") else {
        eprintln!("TOWER_MTLS_SUITES is unset: the PKCS#12 files of other tools are NOT tested");
        return None;
    };
    Some(Path::new(&suites).join("pkcs12"))
}

#[test]
fn files_of_other_tools_open_or_are_refused_for_a_listed_reason() {
    let Some(suite) = suite() else { return };
    for (name, password, expected) in FILES {
        let file = suite.join(format!("{name}.p12"));
        let opened = ClientIdentity::from_pfx(std::fs::read(&file).unwrap(), password);
        match (opened, expected) {
            (Ok(identity), None) => {
                // The certificate that OpenSSL selects for the key.
                let leaf = openssl(&file, password, &["-nokeys", "-clcerts"]);
                let leaf = CertificateDer::from_pem_slice(&leaf).unwrap();
                assert_eq!(identity.certificate().der(), leaf.as_ref(), "{name}");
                let key = openssl(&file, password, &["-nocerts", "-nodes"]);
                let key = any_supported_type(&PrivateKeyDer::from_pem_slice(&key).unwrap()).unwrap();
                assert!(key.public_key().is_some(), "{name}");
                assert_eq!(identity.certified_key().key.public_key(), key.public_key(), "{name}");
            }
            (Err(error), Some(expected)) => {
                let kind = match error {
                    IdentityError::NoKey => Expected::NoKey,
                    IdentityError::NoCertificate => Expected::NoCertificate,
                    IdentityError::Unsupported(_) => Expected::Unsupported,
                    other => panic!("{name}: {other}"),
                };
                assert_eq!(kind, *expected, "{name}");
            }
            (opened, expected) => panic!("{name}: expected {expected:?}, found {opened:?}"),
        }
        let wrong = ClientIdentity::from_pfx(std::fs::read(&file).unwrap(), "not the password").unwrap_err();
        assert_eq!(wrong, IdentityError::WrongPassword, "{name}");
    }
    let listed = std::fs::read_dir(&suite).unwrap().filter(|entry| {
        entry.as_ref().unwrap().path().extension().is_some_and(|extension| extension == "p12")
    });
    assert_eq!(listed.count(), FILES.len(), "every file of the suite has a row");
}

/// OpenSSL's output as PEM.
fn openssl(file: &Path, password: &str, what: &[&str]) -> Vec<u8> {
    let output = Command::new("openssl")
        .args(["pkcs12", "-legacy", "-passin", &format!("pass:{password}"), "-in"])
        .arg(file)
        .args(what)
        .output()
        .expect("openssl is installed");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}
