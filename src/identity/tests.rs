use crate::shared::Shared;
use p12_keystore::EncryptionAlgorithm as Encryption;

use super::*;
use crate::pki::{Authority, Issued, Leaf};

fn issued() -> Issued {
    Authority::root("root").intermediate("issuing").issue(&Leaf::client("orders"))
}

#[test]
fn modern_and_legacy_pfx_files_open_with_their_chain() {
    let issued = issued();
    for encryption in [
        Encryption::PbeWithHmacSha256AndAes256,
        Encryption::PbeWithShaAnd3KeyTripleDesCbc,
        Encryption::PbeWithShaAnd40BitRc4Cbc,
    ] {
        let pfx = issued.pfx_with("secret", encryption);
        let identity = ClientIdentity::from_pfx(&pfx, "secret").unwrap();
        assert_eq!(identity.certificate().der(), issued.der, "{encryption:?}");
        assert_eq!(identity.certificate().chain().collect::<Vec<_>>(), issued.chain, "{encryption:?}");
        assert_eq!(ClientIdentity::from_pfx(&pfx, "Secret").unwrap_err(), IdentityError::WrongPassword);
    }
}

#[test]
fn key_is_exported_by_build_with_key_only() {
    let issued = issued();
    let pfx = issued.pfx("secret");
    let open = |password| ClientIdentity::builder().pfx(&pfx, password).build_with_key();
    let (identity, key) = open("secret").unwrap();
    assert_eq!(identity.certificate().der(), issued.der);
    let pem = pem::Pem::new("PRIVATE KEY", key.secret_der());
    assert!(ClientIdentity::from_pem(issued.chain_pem(), pem::encode(&pem)).is_ok());
    assert_eq!(open("other").unwrap_err(), IdentityError::WrongPassword);

    let signer = identity.certified_key().key.clone();
    let builder = || ClientIdentity::builder().signer([&issued.der], signer.clone());
    assert!(builder().build().is_ok());
    assert_eq!(builder().build_with_key().unwrap_err(), IdentityError::KeyNotExportable);
}

#[test]
fn pem_chain_and_key_must_belong_together() {
    let (one, other) = (issued(), issued());
    let identity = ClientIdentity::from_pem(one.chain_pem().as_bytes(), one.key_pem().as_bytes()).unwrap();
    assert_eq!(identity.certificate().der(), one.der);
    assert_eq!(identity.certificate().chain().len(), 1);
    let encrypted = "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n";
    let two_keys = one.key_pem() + &other.key_pem();
    for (case, chain, key, message) in [
        ("another key", one.chain_pem(), other.key_pem(), "does not belong"),
        ("no key", one.chain_pem(), one.chain_pem(), "no private key"),
        ("no certificate", one.key_pem(), one.key_pem(), "no certificate"),
        ("an encrypted key", one.chain_pem(), encrypted.into(), "encrypted"),
        ("two keys", one.chain_pem(), two_keys, "second private key"),
        ("garbage", "x".into(), "y".into(), "no PEM section"),
    ] {
        let error = ClientIdentity::from_pem(chain.as_bytes(), key.as_bytes()).unwrap_err().to_string();
        assert!(error.contains(message), "{case}: {error}");
    }
}

#[test]
fn limits_apply_before_any_key_is_derived() {
    let pfx = issued().pfx("secret");
    let open =
        |password, limits| ClientIdentity::builder().pfx(&pfx, password).with_pfx_limits(limits).build();
    let size = PfxLimits::default().with_size(pfx.len() - 1);
    let error = open("wrong", size).unwrap_err();
    assert!(matches!(error, IdentityError::TooLarge { .. }), "{error}");
    // The file requires 10,000 iterations each for its certificates, its key and its MAC.
    let few = PfxLimits::default().with_iterations(29_999);
    let error = open("wrong", few).unwrap_err();
    assert!(matches!(error, IdentityError::TooManyIterations { iterations: 30_000, .. }), "{error}");
    let enough = PfxLimits::default().with_iterations(30_000);
    assert!(open("secret", enough).is_ok());
}

/// A key encrypted inside of an encrypted part: the outer iteration counts are small, the inner one is not.
#[test]
fn work_inside_of_an_encrypted_part_is_counted() {
    use pkcs5::{der::Encode, pbes2};
    let element = |tag: u8, parts: &[&[u8]]| {
        let content = parts.concat();
        let length = u16::try_from(content.len()).unwrap().to_be_bytes();
        [&[tag, 0x82], &length[..], &content].concat()
    };
    let oid = |bytes: &[u8]| element(6, &[bytes]);
    let encryption = |iterations: u32| {
        let parameters =
            pbes2::Parameters::generate_pbkdf2_sha256_aes256cbc(iterations, &[7; 16], [9; 16]).unwrap();
        let name = oid(&[42, 134, 72, 134, 247, 13, 1, 5, 13]);
        (element(0x30, &[&name, &parameters.to_der().unwrap()]), parameters)
    };
    let data = oid(&[42, 134, 72, 134, 247, 13, 1, 7, 1]);
    let of = |bags: &[u8]| {
        let (cheap, parameters) = encryption(100);
        let content = element(0x80, &[&parameters.encrypt("secret", bags).unwrap()]);
        let info = element(0x30, &[&data, &cheap, &content]);
        let encrypted = element(0x30, &[&[2, 1, 0], &info]);
        let encrypted_data = oid(&[42, 134, 72, 134, 247, 13, 1, 7, 6]);
        let safe = element(0x30, &[&encrypted_data, &element(0xa0, &[&encrypted])]);
        let safes = element(4, &[&element(0x30, &[&safe])]);
        element(0x30, &[&[2, 1, 3], &element(0x30, &[&data, &element(0xa0, &[&safes])])])
    };
    let (costly, _) = encryption(300_000);
    let key = element(0x30, &[&costly, &element(4, &[&[0; 32]])]);
    let bag = |kind: u8, value: &[u8]| {
        element(0x30, &[&oid(&[42, 134, 72, 134, 247, 13, 1, 12, 10, 1, kind]), &element(0xa0, &[value])])
    };
    let (shrouded, secret) = (bag(2, &key), bag(5, &key));
    let poison = bag(2, &element(0x30, &[&[5, 0]]));

    let three = element(0x30, &[&shrouded, &shrouded, &shrouded]);
    let error = ClientIdentity::from_pfx(of(&three), "secret").unwrap_err();
    assert!(matches!(error, IdentityError::TooManyIterations { iterations: 900_100, .. }), "{error}");
    let poisoned = element(0x30, &[&shrouded, &shrouded, &shrouded, &poison]);
    let error = ClientIdentity::from_pfx(of(&poisoned), "secret").unwrap_err();
    assert!(matches!(error, IdentityError::Malformed { .. }), "{error}");
    let error = ClientIdentity::from_pfx(of(&element(0x30, &[&secret])), "secret").unwrap_err();
    assert!(matches!(error, IdentityError::Unsupported(_)), "{error}");
}

#[test]
fn damaged_pfx_is_an_error_at_every_byte_and_never_a_panic() {
    let pfx = issued().pfx_with("secret", Encryption::PbeWithShaAnd40BitRc4Cbc);
    let none = PfxLimits::default().with_iterations(0);
    let open = |pfx: &[u8]| ClientIdentity::builder().pfx(pfx, "secret").with_pfx_limits(none).build();
    for at in 0..pfx.len() {
        assert!(open(&pfx[..at]).is_err(), "cut at {at}");
        let mut damaged = pfx.clone();
        damaged[at] ^= 0xff;
        assert!(open(&damaged).is_err(), "damaged at {at}");
    }
    for (bytes, message) in [
        (&b""[..], "byte 0"),
        (b"-----BEGIN CERTIFICATE-----", "byte 0"),
        (&[0x30, 0x80, 0x02, 0x01, 0x03, 0, 0], "indefinite"),
    ] {
        let error = ClientIdentity::from_pfx(bytes, "secret").unwrap_err().to_string();
        assert!(error.contains(message), "{error}");
    }
}

#[test]
fn debug_shows_the_name_and_no_key() {
    let issued = issued();
    let identity = ClientIdentity::from_pfx(issued.pfx("pass-word"), "pass-word").unwrap();
    let shown = format!("{identity:?} {:?}", Shared::new(identity.clone()));
    assert!(shown.contains("CN=orders,O=Contoso"), "{shown}");
    assert!(!shown.contains("pass-word"));
    let key: String = issued.key.serialize_der().iter().map(|byte| format!("{byte}, ")).collect();
    assert!(!shown.contains(&key[40..80]));
}

#[test]
fn pfx_with_another_certificate_is_an_error() {
    let (one, other) = (issued(), issued());
    let mixed = Issued { der: other.der.clone(), chain: other.chain, key: one.key };
    let error = ClientIdentity::from_pfx(mixed.pfx("secret"), "secret").unwrap_err();
    assert_eq!(error, IdentityError::NoCertificate);
    assert_eq!(
        ClientIdentity::from_pem(other.der.as_slice(), b"").unwrap_err().to_string().split(':').next(),
        Some("certificate")
    );
}
