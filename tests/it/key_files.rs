//! Key files as OpenSSL writes them: encrypted PEM, and unusual .pfx files.
#![cfg(all(feature = "identity", feature = "aws-lc-rs"))]

use std::{path::Path, process::Command};

use tower_mtls::{
    ClientIdentity,
    identity::{IdentityError, PfxLimits},
};

use crate::support::{
    Folder,
    pki::{Authority, Leaf},
};

/// A folder with `chain.pem` and the unencrypted `plain.key`.
struct KeyFiles(Folder);

impl KeyFiles {
    fn new() -> Self {
        let folder = Folder::new();
        let issued = Authority::root("root").issue(&Leaf::client("orders"));
        std::fs::write(folder.path().join("chain.pem"), issued.chain_pem()).unwrap();
        std::fs::write(folder.path().join("plain.key"), issued.key_pem()).unwrap();
        Self(folder)
    }

    /// The output of an OpenSSL command in the folder.
    fn openssl(&self, arguments: &str) -> Vec<u8> {
        let output = Command::new("openssl")
            .args(arguments.split(' '))
            .current_dir(self.0.path())
            .output()
            .expect("these tests need openssl");
        assert!(output.status.success(), "{arguments}: {}", String::from_utf8_lossy(&output.stderr));
        output.stdout
    }

    fn read(&self, file: impl AsRef<Path>) -> Vec<u8> {
        std::fs::read(self.0.path().join(file)).unwrap()
    }

    fn open(&self, key: &[u8], password: &str) -> Result<ClientIdentity, IdentityError> {
        ClientIdentity::builder().encrypted_pem(&self.read("chain.pem"), key, password).build()
    }
}

#[test]
fn encrypted_keys_open_with_their_password_only() {
    let folder = KeyFiles::new();
    for encryption in [
        "-v2 aes-256-cbc",
        "-v2 aes-128-cbc -v2prf hmacWithSHA512",
        "-v2 aes-256-cbc -v2prf hmacWithSHA1 -iter 100000",
        "-v2 des3",
        "-scrypt",
        "-v1 PBE-SHA1-3DES",
    ] {
        let key = folder.openssl(&format!("pkcs8 -topk8 -in plain.key -passout pass:sécret {encryption}"));
        let identity = folder.open(&key, "sécret").unwrap_or_else(|error| panic!("{encryption}: {error}"));
        assert_eq!(identity.certificate().subject().to_string(), "CN=orders,O=Contoso", "{encryption}");
        for wrong in ["secret", "", "sécret "] {
            assert_eq!(folder.open(&key, wrong).unwrap_err(), IdentityError::WrongPassword, "{encryption}");
        }
        let error = ClientIdentity::from_pem(folder.read("chain.pem"), &key).unwrap_err();
        assert!(error.to_string().contains("give its password"), "{error}");
    }
}

#[test]
fn malformed_encrypted_keys_are_refused_with_a_precise_reason() {
    let folder = KeyFiles::new();
    let encrypted = folder.openssl("pkcs8 -topk8 -in plain.key -passout pass:secret");
    folder.openssl("genrsa -out rsa.key 2048");
    let old = folder.openssl("rsa -in rsa.key -aes128 -traditional -passout pass:secret");
    let others = folder.openssl("pkcs8 -topk8 -in rsa.key -passout pass:secret");
    let two = [encrypted.clone(), encrypted.clone()].concat();
    let damaged = String::from_utf8(encrypted.clone()).unwrap().replace("MI", "!!");
    let cut = String::from_utf8(encrypted).unwrap().replace("-----END", "----END");
    for (case, key, message) in [
        ("a plain key", folder.read("plain.key"), "is not encrypted"),
        ("two keys", two, "not exactly one encrypted private key"),
        ("OpenSSL's own encryption", old, "openssl pkcs8 -topk8"),
        ("base64 that is none", damaged.into(), "not valid base64"),
        ("a damaged END line", cut.into(), "malformed"),
        ("the key of another certificate", others, "does not belong"),
    ] {
        let error = folder.open(&key, "secret").unwrap_err().to_string();
        assert!(error.contains(message), "{case}: {error}");
        assert!(!error.contains("secret"), "{case}: {error}");
    }
}

#[test]
fn derivation_of_an_encrypted_key_is_limited_in_advance() {
    let folder = KeyFiles::new();
    let bomb = folder.openssl("pkcs8 -topk8 -in plain.key -passout pass:secret -iter 3000000");
    let error = folder.open(&bomb, "secret").unwrap_err();
    assert!(matches!(error, IdentityError::TooManyIterations { iterations: 3_000_000, .. }), "{error}");
    let small = PfxLimits::default().with_size(64);
    let key = folder.openssl("pkcs8 -topk8 -in plain.key -passout pass:secret");
    let chain = folder.read("chain.pem");
    let builder = ClientIdentity::builder().encrypted_pem(&chain, &key, "secret");
    let error = builder.with_pfx_limits(small).build().unwrap_err();
    assert!(matches!(error, IdentityError::TooLarge { .. }), "{error}");
}

#[test]
fn private_keys_of_all_kinds_are_read() {
    let folder = KeyFiles::new();
    for (make, key) in [
        (
            "genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:2048 -out made.key",
            "rsa -in made.key -traditional",
        ),
        ("genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:2048 -out made.key", "pkey -in made.key"),
        ("ecparam -name prime256v1 -genkey -noout -out made.key", "ec -in made.key"),
        ("genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-384 -out made.key", "pkey -in made.key"),
        ("genpkey -algorithm ED25519 -out made.key", "pkey -in made.key"),
    ] {
        folder.openssl(make);
        let chain = folder.openssl("req -new -x509 -key made.key -subj /CN=made -days 1");
        let key = folder.openssl(key);
        let identity =
            ClientIdentity::from_pem(&chain, &key).unwrap_or_else(|error| panic!("{make}: {error}"));
        assert_eq!(identity.certificate().subject().to_string(), "CN=made", "{make}");
    }
}

#[test]
fn pfx_passwords_in_any_script_open_and_beyond_the_basic_plane_are_refused_with_a_precise_reason() {
    let folder = KeyFiles::new();
    for (password, is_read) in [("pässwörd", true), ("密码", true), ("🔑 and 𝒌𝒆𝒚", false)] {
        std::fs::write(folder.0.path().join("password"), password).unwrap();
        folder.openssl(
            "pkcs12 -export -in chain.pem -inkey plain.key -out made.pfx -passout file:password -name orders",
        );
        let pfx = folder.read("made.pfx");
        match ClientIdentity::from_pfx(&pfx, password) {
            Ok(identity) => {
                assert!(is_read, "{password}");
                assert_eq!(identity.certificate().subject().to_string(), "CN=orders,O=Contoso");
            }
            Err(error) => {
                assert!(!is_read && error.to_string().contains("another password"), "{password}: {error}");
            }
        }
        assert_eq!(ClientIdentity::from_pfx(&pfx, "other").unwrap_err(), IdentityError::WrongPassword);
    }
}

#[test]
fn several_keys_and_indefinite_lengths_are_refused_with_a_precise_reason() {
    let folder = KeyFiles::new();
    folder.openssl("pkcs12 -export -in chain.pem -inkey plain.key -out made.pfx -passout pass:secret");
    let mut ber = folder.read("made.pfx");
    // The outermost SEQUENCE with an indefinite length, as Windows and NSS write it.
    let header = 2 + usize::from(ber[1] & 0x7f);
    ber.splice(1..header, [0x80]);
    ber.extend([0, 0]);
    let error = ClientIdentity::from_pfx(&ber, "secret").unwrap_err().to_string();
    assert!(error.contains("BER with indefinite lengths; convert it with"), "{error}");
}
