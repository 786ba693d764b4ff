//! Keys of client certificates whose signatures a handshake can verify.

use rustls::crypto::WebPkiSupportedAlgorithms;

use crate::certificate::{KeyKind, RSA_BITS_MAX, RSA_BITS_MIN, key_algorithm, key_algorithm_name};

/// Returns the name of a key, a DER-encoded SubjectPublicKeyInfo, if none of the algorithms verifies its signatures.
pub(super) fn unverifiable(algorithms: &WebPkiSupportedAlgorithms, spki: &[u8]) -> Option<String> {
    let kind = KeyKind::read(spki);
    let is_length_supported =
        !matches!(kind, KeyKind::Rsa { bits } if !(RSA_BITS_MIN..=RSA_BITS_MAX).contains(&bits));
    let identifier = key_algorithm(spki);
    let mut candidates = algorithms.mapping.iter().flat_map(|(_, candidates)| candidates.iter());
    let has_algorithm =
        candidates.any(|candidate| identifier == Some(candidate.public_key_alg_id().as_ref()));
    if has_algorithm && is_length_supported {
        return None;
    }
    Some(match kind {
        KeyKind::Rsa { bits } => format!("RSA of {bits} bits"),
        KeyKind::Ed448 | KeyKind::Other => key_algorithm_name(spki),
        other => other.to_string(),
    })
}

#[cfg(all(test, feature = "aws-lc-rs"))]
mod tests {
    use rcgen::{KeyPair, PublicKeyData, RsaKeySize};

    use super::*;

    fn element(tag: u8, content: &[u8]) -> Vec<u8> {
        let length = content.len();
        let head = match length {
            0..=0x7f => vec![tag, length as u8],
            0x80..=0xff => vec![tag, 0x81, length as u8],
            _ => vec![tag, 0x82, (length >> 8) as u8, length as u8],
        };
        [&head, content].concat()
    }

    #[test]
    fn keys_of_the_provider_are_verifiable_and_others_are_named() {
        let algorithms = rustls::crypto::aws_lc_rs::default_provider().signature_verification_algorithms;
        for algorithm in [
            &rcgen::PKCS_ECDSA_P256_SHA256,
            &rcgen::PKCS_ECDSA_P384_SHA384,
            &rcgen::PKCS_ECDSA_P521_SHA512,
            &rcgen::PKCS_ED25519,
        ] {
            let key = KeyPair::generate_for(algorithm).unwrap();
            assert_eq!(unverifiable(&algorithms, &key.subject_public_key_info()), None, "{algorithm:?}");
        }
        let rsa = KeyPair::generate_rsa_for(&rcgen::PKCS_RSA_SHA256, RsaKeySize::_2048).unwrap();
        assert_eq!(unverifiable(&algorithms, &rsa.subject_public_key_info()), None);

        let rsa = |bytes: usize| {
            let modulus = element(2, &[&[0, 0x80][..], &vec![7; bytes - 1]].concat());
            element(0x30, &[&modulus[..], &[2, 3, 1, 0, 1]].concat())
        };
        let oid = |oid: &[u8]| element(6, oid);
        let of = |parts: &[Vec<u8>]| element(0x30, &parts.concat());
        let (null, pkcs1) = (vec![5, 0], oid(&[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 1]));
        let pss = of(&[oid(&[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 10])]);
        let ec = |curve: &[u8]| of(&[oid(&[0x2a, 0x86, 0x48, 0xce, 0x3d, 2, 1]), oid(curve)]);
        for (algorithm, key, expected) in [
            (of(&[pkcs1.clone(), null.clone()]), rsa(256), None),
            (of(&[pkcs1.clone(), null.clone()]), rsa(128), Some("RSA of 1024 bits")),
            (of(&[pkcs1, null]), rsa(1_025), Some("RSA of 8200 bits")),
            (pss, rsa(256), Some("RSASSA-PSS")),
            (of(&[oid(&[0x2b, 0x65, 0x71])]), vec![7; 57], Some("Ed448")),
            (ec(&[0x2b, 0x81, 4, 0, 10]), vec![4; 65], Some("secp256k1")),
            (ec(&[0x2b, 0x24, 3, 3, 2, 8, 1, 1, 7]), vec![4; 65], Some("brainpool (1.3.36.3.3.2.8.1.1.7)")),
        ] {
            let spki = of(&[algorithm.clone(), element(3, &[&[0], &key[..]].concat())]);
            let named = unverifiable(&algorithms, &spki);
            assert_eq!(named.as_deref(), expected, "{algorithm:x?}");
        }
    }
}
