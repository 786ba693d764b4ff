//! Signature algorithms and keys.

use aws_lc_rs::{
    encoding::AsDer,
    rand::SystemRandom,
    rsa::{KeyPair as RsaKeyPair, KeySize},
    signature::{self, KeyPair as _, RsaPssSaltLength, RsaSignatureEncoding},
};
use rcgen::{KeyPair, PublicKeyData};

use super::{
    forge::{Forge, der, sequence},
    *,
};
use crate::policy::SignatureAlgorithm;

const SHA256: &[u8] = &[0x30, 11, 6, 9, 0x60, 0x86, 0x48, 1, 0x65, 3, 4, 2, 1];
const SHA1: &[u8] = &[0x30, 7, 6, 5, 0x2b, 14, 3, 2, 26];
const ED25519: &[u8] = &[0x30, 5, 6, 3, 0x2b, 0x65, 0x70];

/// An AlgorithmIdentifier of id-RSASSA-PSS.
fn pss(hash: &[u8], mask_hash: &[u8], salt: u8) -> Vec<u8> {
    let mgf1 = [6, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 8];
    let salt = if salt < 0x80 { vec![2, 1, salt] } else { vec![2, 2, 0, salt] };
    let parameters =
        sequence(&[&der(0xa0, &[hash]), &der(0xa1, &[&sequence(&[&mgf1, mask_hash])]), &der(0xa2, &[&salt])]);
    sequence(&[&[6, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 10], &parameters])
}

fn rsa_sign(key: &RsaKeyPair, encoding: &'static dyn signature::RsaEncoding, message: &[u8]) -> Vec<u8> {
    let mut signature = vec![0; key.public_modulus_len()];
    key.sign(encoding, &SystemRandom::new(), message, &mut signature).unwrap();
    signature
}

fn spki(key: &RsaKeyPair) -> Vec<u8> {
    AsDer::<aws_lc_rs::encoding::PublicKeyX509Der<'_>>::as_der(key.public_key()).unwrap().as_ref().to_vec()
}

#[test]
fn pss_salts_of_20_bytes_and_of_the_longest_length_are_verified() {
    static SALT_20: RsaSignatureEncoding =
        signature::RSA_PSS_SHA256.with_pss_salt_length(RsaPssSaltLength::Custom(20));
    static SALT_222: RsaSignatureEncoding =
        signature::RSA_PSS_SHA256.with_pss_salt_length(RsaPssSaltLength::Custom(222));
    static SALT_100: RsaSignatureEncoding =
        signature::RSA_PSS_SHA256.with_pss_salt_length(RsaPssSaltLength::Custom(100));
    let key = RsaKeyPair::generate(KeySize::Rsa2048).unwrap();
    let root = Forge { spki: spki(&key), ..Forge::ca("root") }.der();
    let trusted = ChainVerdict::Trusted;
    let wrong = ChainVerdict::Signature;
    let unsupported = ChainVerdict::Algorithm;
    for (case, encoding, algorithm, expected) in [
        ("32", &signature::RSA_PSS_SHA256, pss(SHA256, SHA256, 32), trusted),
        ("20", &SALT_20, pss(SHA256, SHA256, 20), trusted),
        ("222", &SALT_222, pss(SHA256, SHA256, 222), trusted),
        ("20, stated as 32", &SALT_20, pss(SHA256, SHA256, 32), wrong),
        ("32, stated as 20", &signature::RSA_PSS_SHA256, pss(SHA256, SHA256, 20), wrong),
        ("100", &SALT_100, pss(SHA256, SHA256, 100), unsupported),
        ("a mask over SHA-1", &signature::RSA_PSS_SHA256, pss(SHA256, SHA1, 32), unsupported),
        ("SHA-1", &signature::RSA_PSS_SHA256, pss(SHA1, SHA1, 20), unsupported),
    ] {
        let leaf = Forge { inner_algorithm: algorithm.clone(), algorithm, ..Forge::new("orders").by("root") };
        let signature = rsa_sign(&key, encoding, &leaf.body());
        assert_eq!(verdict(&root, &[leaf.with_signature(&signature)]), expected, "{case}");
        let mut damaged = signature;
        damaged[7] ^= 1;
        assert_ne!(verdict(&root, &[leaf.with_signature(&damaged)]), trusted, "{case}, damaged");
    }
}

#[test]
fn algorithms_of_the_provider_are_verified() {
    use rcgen::{
        CertificateParams, Issuer, PKCS_ECDSA_P256_SHA256, PKCS_ECDSA_P384_SHA384, PKCS_ECDSA_P521_SHA512,
        PKCS_ED25519, PKCS_RSA_SHA256, PKCS_RSA_SHA512, RsaKeySize,
    };
    let rsa = |algorithm| KeyPair::generate_rsa_for(algorithm, RsaKeySize::_2048).unwrap();
    let key = |algorithm| KeyPair::generate_for(algorithm).unwrap();
    for (name, ca_key) in [
        ("rsa-pkcs1-sha256", rsa(&PKCS_RSA_SHA256)),
        ("rsa-pkcs1-sha512", rsa(&PKCS_RSA_SHA512)),
        ("ecdsa-sha256", key(&PKCS_ECDSA_P256_SHA256)),
        ("ecdsa-sha384", key(&PKCS_ECDSA_P384_SHA384)),
        ("ecdsa-sha512", key(&PKCS_ECDSA_P521_SHA512)),
        ("ed25519", key(&PKCS_ED25519)),
    ] {
        let mut params = CertificateParams::default();
        params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        params.not_before = time::OffsetDateTime::from_unix_timestamp(NOON - 10).unwrap();
        let root = params.self_signed(&ca_key).unwrap();
        let mut leaf = CertificateParams::default();
        leaf.not_before = params.not_before;
        let leaf = leaf.signed_by(&KeyPair::generate().unwrap(), &Issuer::new(params, ca_key)).unwrap();
        let (root, chain) = (root.der().to_vec(), [leaf.der().to_vec()]);
        assert_eq!(verdict(&root, &chain), ChainVerdict::Trusted, "{name}");
        let algorithm: SignatureAlgorithm = name.parse().unwrap();
        for accepted in ["rsa-pkcs1-sha256", "ecdsa-sha256", "ed25519"] {
            let accepted: SignatureAlgorithm = accepted.parse().unwrap();
            let requirements = ChainRequirements::new().signature_algorithms([accepted]);
            let verified = verify_with(&root, &chain, requirements, NOW);
            assert_eq!(verified.is_ok(), accepted == algorithm, "{name}, {accepted}");
        }
    }
}

#[test]
fn key_that_is_too_short_or_not_supported_is_named() {
    // RFC 8410, 10.1, with a modulus of 1024 bits, and other kinds of keys.
    let modulus = [&[0, 0x80][..], &[7; 127]].concat();
    let rsa = sequence(&[&der(2, &[&modulus]), &[2, 3, 1, 0, 1]]);
    let rsa_algorithm = [0x30, 13, 6, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 1, 5, 0];
    let ed448 = [0x30, 5, 6, 3, 0x2b, 0x65, 0x71];
    let curve = |oid: &[u8]| sequence(&[&[6, 7, 0x2a, 0x86, 0x48, 0xce, 0x3d, 2, 1], &der(6, &[oid])]);
    let key = |algorithm: &[u8], key: &[u8]| sequence(&[algorithm, &der(3, &[&[0], key])]);
    let root = Forge::ca("root").der();
    for (spki, expected) in [
        (key(&rsa_algorithm, &rsa), "has 1024 bits; RSA keys need 2048"),
        (key(&ed448, &[7; 57]), "is not supported: Ed448"),
        (key(&curve(&[0x2b, 0x81, 4, 0, 10]), &[4; 65]), "is not supported: secp256k1"),
        (
            key(&curve(&[0x2b, 0x24, 3, 3, 2, 8, 1, 1, 7]), &[4; 65]),
            "is not supported: brainpool (1.3.36.3.3.2.8.1.1.7)",
        ),
    ] {
        let leaf = Forge { spki: spki.clone(), ..Forge::new("orders").by("root") }.der();
        assert_eq!(text(&root, &[leaf]), format!("the key of the client certificate {expected}"));
        let short = Forge { spki, ..Forge::ca("root") }.der();
        let listed = Forge::ca("root").der();
        assert_eq!(text(&short, &[listed]), format!("the key of root \"CN=root\" {expected}"));
    }
    let rsa = KeyPair::generate_rsa_for(&rcgen::PKCS_RSA_SHA256, rcgen::RsaKeySize::_2048).unwrap();
    let issuing = Forge { spki: rsa.subject_public_key_info(), ..Forge::ca("issuing").by("root") };
    let algorithm = [0x30, 13, 6, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 11, 5, 0];
    let leaf = Forge {
        inner_algorithm: algorithm.to_vec(),
        algorithm: algorithm.to_vec(),
        signer: rsa.into(),
        ..Forge::new("orders").by("issuing")
    };
    let chain = [leaf.der(), issuing.der()];
    assert_eq!(verdict(&root, &chain), ChainVerdict::Trusted);
    let requirements = ChainRequirements::new().minimum_rsa_bits(3_072);
    let error = verify_with(&root, &chain, requirements, NOW).unwrap_err().to_string();
    assert_eq!(error, "the key of CA \"CN=issuing\" has 2048 bits; RSA keys need 3072");
}

#[test]
fn signature_with_an_algorithm_that_is_not_supported_is_named() {
    let root = Forge::ca("root").der();
    let sha1 = vec![0x30, 13, 6, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 5, 5, 0];
    let ecdsa_sha1 = vec![0x30, 9, 6, 7, 0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 1];
    for (algorithm, name) in
        [(sha1, "sha1WithRSAEncryption (SHA-1)"), (ecdsa_sha1, "ecdsa-with-SHA1 (SHA-1)")]
    {
        let leaf = Forge { inner_algorithm: algorithm.clone(), algorithm, ..Forge::new("orders").by("root") };
        let expected = format!("the signature algorithm of the client certificate is not supported: {name}");
        assert_eq!(text(&root, &[leaf.der()]), expected);
    }
    let leaf = Forge {
        inner_algorithm: ED25519.into(),
        algorithm: ED25519.into(),
        ..Forge::new("orders").by("root")
    };
    assert_eq!(verdict(&root, &[leaf.der()]), ChainVerdict::Signature, "a key of another kind");
}
