//! Certificates and revocation lists of a suite, issued again under keys of this process, so that they can be changed.
//!
//! Every public key becomes one on P-256, and every signature is made by the key that replaces the issuer's. An object
//! that none of the certificates' keys has signed is signed by a key of no certificate.

use std::collections::HashMap;

use rcgen::{KeyPair, PublicKeyData as _, SigningKey as _};
use rustls::crypto::aws_lc_rs::default_provider;

use crate::support::der::{join, parts, split, wrap};

/// AlgorithmIdentifier of ecdsa-with-SHA256.
const ECDSA_SHA256: &[u8] = &[0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x02];

/// Tag and contents.
pub(super) type Field = (u8, Vec<u8>);

/// Keys by the public key that they replace.
pub(super) struct Keys {
    replaced: HashMap<Vec<u8>, KeyPair>,
    /// Subject and public key of each certificate of the suite.
    owners: Vec<(Vec<u8>, Vec<u8>)>,
    stray: KeyPair,
}

/// The public key of the suite that signed an object; None for a key of no certificate.
pub(super) type Signer = Option<Vec<u8>>;

/// A certificate or a revocation list before it is signed.
#[derive(Clone)]
pub(super) struct Unsigned {
    /// Fields of tbsCertificate or tbsCertList.
    pub(super) fields: Vec<Field>,
    /// Contents of the outer AlgorithmIdentifier.
    pub(super) algorithm: Vec<u8>,
    pub(super) signer: Signer,
    /// The certificate's own public key, before it was replaced; None for a list.
    pub(super) key: Signer,
}

impl Keys {
    /// Keys for all public keys of these certificates.
    pub(super) fn of<'a>(certificates: impl IntoIterator<Item = &'a [u8]>) -> Self {
        let mut keys =
            Self { replaced: HashMap::new(), owners: Vec::new(), stray: KeyPair::generate().unwrap() };
        for der in certificates {
            let (fields, _, _) = read(der);
            let at = first_of_certificate(&fields);
            let owner = (fields[at + 4].1.clone(), fields[at + 5].1.clone());
            keys.replaced.entry(owner.1.clone()).or_insert_with(|| KeyPair::generate().unwrap());
            if !keys.owners.contains(&owner) {
                keys.owners.push(owner);
            }
        }
        keys
    }

    /// A certificate under the new keys.
    pub(super) fn certificate(&self, der: &[u8]) -> Unsigned {
        let (mut fields, algorithm, signature) = read(der);
        let at = first_of_certificate(&fields);
        let message = wrap(0x30, &join(&fields));
        let signer = self.signer(&fields[at + 2].1, &message, &algorithm, &signature);
        let replacement = self.replaced[&fields[at + 5].1].subject_public_key_info();
        let key = std::mem::replace(&mut fields[at + 5].1, split(&replacement).1.to_vec());
        Unsigned { key: Some(key), ..unsigned(fields, at + 1, algorithm, signer) }
    }

    /// A revocation list under the new keys.
    pub(super) fn list(&self, der: &[u8]) -> Unsigned {
        let (fields, algorithm, signature) = read(der);
        let at = first_of_list(&fields);
        let message = wrap(0x30, &join(&fields));
        let signer = self.signer(&fields[at + 1].1, &message, &algorithm, &signature);
        unsigned(fields, at, algorithm, signer)
    }

    /// The public key of the suite that verifies a signature, one of the issuer's name first.
    fn signer(&self, issuer: &[u8], message: &[u8], algorithm: &[u8], signature: &[u8]) -> Signer {
        let (named, others): (Vec<_>, Vec<_>) = self.owners.iter().partition(|owner| owner.0 == issuer);
        let found =
            named.into_iter().chain(others).find(|(_, key)| verifies(key, message, algorithm, signature));
        found.map(|(_, key)| key.clone())
    }

    /// True if this public key of the suite is replaced by one of these.
    pub(super) fn has(&self, key: &[u8]) -> bool {
        self.replaced.contains_key(key)
    }

    /// Signs with the key that replaces the signer's.
    pub(super) fn sign(&self, object: &Unsigned) -> Vec<u8> {
        self.sign_message(&wrap(0x30, &join(&object.fields)), &object.algorithm, &object.signer)
    }

    /// Signs an encoded tbsCertificate or tbsCertList.
    pub(super) fn sign_message(&self, message: &[u8], algorithm: &[u8], signer: &Signer) -> Vec<u8> {
        let key = signer.as_ref().and_then(|signer| self.replaced.get(signer)).unwrap_or(&self.stray);
        let mut signature = vec![0];
        signature.extend(key.sign(message).unwrap());
        wrap(0x30, &[message, &wrap(0x30, algorithm), &wrap(0x03, &signature)].concat())
    }
}

/// Replaces the signature algorithm, in both places if they are equal.
fn unsigned(mut fields: Vec<Field>, at: usize, algorithm: Vec<u8>, signer: Signer) -> Unsigned {
    if fields[at].1 == algorithm {
        fields[at].1 = ECDSA_SHA256.to_vec();
    }
    Unsigned { fields, algorithm: ECDSA_SHA256.to_vec(), signer, key: None }
}

/// Fields of the signed part, contents of the AlgorithmIdentifier, and the signature.
fn read(der: &[u8]) -> (Vec<Field>, Vec<u8>, Vec<u8>) {
    let [(_, fields), (_, algorithm), (_, signature)] = &parts(split(der).1)[..] else {
        panic!("a signed object has three parts");
    };
    (parts(fields), algorithm.clone(), signature[1..].to_vec())
}

/// Index of the serial number, which follows the optional version. Signature algorithm, issuer, validity, subject and
/// public key follow in this order.
pub(super) fn first_of_certificate(fields: &[Field]) -> usize {
    usize::from(fields[0].0 == 0xa0)
}

/// Index of the signature algorithm, which follows the optional version. The issuer follows.
pub(super) fn first_of_list(fields: &[Field]) -> usize {
    usize::from(fields[0].0 == 0x02)
}

fn verifies(key: &[u8], message: &[u8], algorithm: &[u8], signature: &[u8]) -> bool {
    let [(_, key_algorithm), (_, key)] = &parts(key)[..] else { return false };
    default_provider().signature_verification_algorithms.all.iter().any(|candidate| {
        candidate.public_key_alg_id().as_ref() == key_algorithm.as_slice()
            && candidate.signature_alg_id().as_ref() == algorithm
            && candidate.verify_signature(&key[1..], message, signature).is_ok()
    })
}

/// Extensions of a certificate as contents of their sequences; empty if there are none.
pub(super) fn extensions(fields: &[Field]) -> Vec<Vec<u8>> {
    let Some((_, list)) = fields.iter().find(|(tag, _)| *tag == 0xa3) else { return Vec::new() };
    parts(split(list).1).into_iter().map(|(_, extension)| extension).collect()
}

/// Replaces the extensions of a certificate.
pub(super) fn set_extensions(fields: &mut Vec<Field>, extensions: &[Vec<u8>]) {
    fields.retain(|(tag, _)| *tag != 0xa3);
    if !extensions.is_empty() {
        let list: Vec<u8> = extensions.iter().flat_map(|extension| wrap(0x30, extension)).collect();
        fields.push((0xa3, wrap(0x30, &list)));
    }
}
