//! Certificates written field by field, with any extension and any signature.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
};

use rcgen::{KeyPair, PublicKeyData, SigningKey};

use crate::pki::NOON;

/// A DER element of short or long length.
pub(super) fn der(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
    let content = parts.concat();
    let length = content.len();
    let head = match length {
        0..=0x7f => vec![tag, length as u8],
        0x80..=0xff => vec![tag, 0x81, length as u8],
        _ => vec![tag, 0x82, (length >> 8) as u8, length as u8],
    };
    [head, content].concat()
}

pub(super) fn sequence(parts: &[&[u8]]) -> Vec<u8> {
    der(0x30, parts)
}

/// A Name of one common name, as UTF8String; empty for an empty text.
pub(super) fn name(text: &str) -> Vec<u8> {
    name_of(0x0c, text)
}

pub(super) fn name_of(tag: u8, text: &str) -> Vec<u8> {
    if text.is_empty() {
        return sequence(&[]);
    }
    let attribute = sequence(&[&[6, 3, 0x55, 4, 3], &der(tag, &[text.as_bytes()])]);
    sequence(&[&der(0x31, &[&attribute])])
}

pub(super) const ECDSA_SHA256: &[u8] = &[0x30, 10, 6, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3, 2];
pub(super) const CLIENT_AUTH: &[u8] = &[6, 8, 0x2b, 6, 1, 5, 5, 7, 3, 2];
pub(super) const SERVER_AUTH: &[u8] = &[6, 8, 0x2b, 6, 1, 5, 5, 7, 3, 1];
pub(super) const ANY_PURPOSE: &[u8] = &[6, 4, 0x55, 0x1d, 0x25, 0];

/// The P-256 key of a name, the same on each call.
pub(super) fn key(name: &str) -> Arc<KeyPair> {
    static KEYS: Mutex<Option<HashMap<String, Arc<KeyPair>>>> = Mutex::new(None);
    let mut keys = KEYS.lock().unwrap();
    let keys = keys.get_or_insert_default();
    Arc::clone(keys.entry(name.into()).or_insert_with(|| Arc::new(KeyPair::generate().unwrap())))
}

/// A certificate to write. Its key is that of its subject, and its issuer signs it, by name.
#[derive(Clone)]
pub(super) struct Forge {
    pub(super) version: Option<u8>,
    pub(super) serial: Vec<u8>,
    pub(super) inner_algorithm: Vec<u8>,
    pub(super) algorithm: Vec<u8>,
    pub(super) issuer: Vec<u8>,
    pub(super) subject: Vec<u8>,
    pub(super) not_before: i64,
    pub(super) not_after: i64,
    pub(super) spki: Vec<u8>,
    pub(super) signer: Arc<KeyPair>,
    /// Content of the OID, criticality and value.
    pub(super) extensions: Vec<(Vec<u8>, bool, Vec<u8>)>,
}

impl Forge {
    /// A self-signed certificate of version 3 without extensions, valid for a day around noon.
    pub(super) fn new(subject: &str) -> Self {
        Self {
            version: Some(2),
            serial: vec![1],
            inner_algorithm: ECDSA_SHA256.into(),
            algorithm: ECDSA_SHA256.into(),
            issuer: name(subject),
            subject: name(subject),
            not_before: NOON - 1_000,
            not_after: NOON + 1_000,
            spki: key(subject).subject_public_key_info(),
            signer: key(subject),
            extensions: Vec::new(),
        }
    }

    pub(super) fn ca(subject: &str) -> Self {
        Self::new(subject).extension(19, true, sequence(&[&[1, 1, 0xff]]))
    }

    pub(super) fn by(mut self, issuer: &str) -> Self {
        self.issuer = name(issuer);
        self.signer = key(issuer);
        self
    }

    /// Replaces the key: that of another name.
    pub(super) fn with_key(mut self, of: &str) -> Self {
        self.spki = key(of).subject_public_key_info();
        self
    }

    /// Replaces the signing key: that of another name.
    pub(super) fn signed_with(mut self, of: &str) -> Self {
        self.signer = key(of);
        self
    }

    /// Adds or replaces an extension of the arc id-ce.
    pub(super) fn extension(mut self, number: u8, is_critical: bool, value: Vec<u8>) -> Self {
        let oid = vec![0x55, 0x1d, number];
        self.extensions.retain(|(other, ..)| *other != oid);
        self.extensions.push((oid, is_critical, value));
        self
    }

    pub(super) fn path_length(self, length: u8) -> Self {
        self.extension(19, true, sequence(&[&[1, 1, 0xff], &[2, 1, length]]))
    }

    /// The first byte of the bits: digitalSignature is 0x80, keyCertSign 0x04.
    pub(super) fn key_usage(self, bits: u8) -> Self {
        self.extension(15, true, vec![3, 2, 0, bits])
    }

    pub(super) fn purposes(self, purposes: &[&[u8]]) -> Self {
        self.extension(37, false, sequence(purposes))
    }

    /// Names by tag and content.
    pub(super) fn names(self, names: &[(u8, &[u8])]) -> Self {
        let names: Vec<_> = names.iter().map(|(tag, content)| der(*tag, &[content])).collect();
        self.extension(17, false, sequence(&[&names.concat()]))
    }

    /// Permitted and excluded bases by tag and content.
    pub(super) fn constraints(self, permitted: &[(u8, &[u8])], excluded: &[(u8, &[u8])]) -> Self {
        let subtrees = |tag, bases: &[(u8, &[u8])]| {
            let bases: Vec<_> = bases.iter().map(|(tag, base)| sequence(&[&der(*tag, &[base])])).collect();
            if bases.is_empty() { Vec::new() } else { der(tag, &[&bases.concat()]) }
        };
        let value = sequence(&[&subtrees(0xa0, permitted), &subtrees(0xa1, excluded)]);
        self.extension(30, true, value)
    }

    /// Policies 1.2.N; 0 is anyPolicy.
    pub(super) fn policies(self, policies: &[u8]) -> Self {
        let list: Vec<_> = policies.iter().map(|policy| sequence(&[&policy_oid(*policy)])).collect();
        self.extension(32, true, sequence(&[&list.concat()]))
    }

    pub(super) fn mappings(self, pairs: &[(u8, u8)]) -> Self {
        let list: Vec<_> =
            pairs.iter().map(|(from, to)| sequence(&[&policy_oid(*from), &policy_oid(*to)])).collect();
        self.extension(33, true, sequence(&[&list.concat()]))
    }

    /// requireExplicitPolicy and inhibitPolicyMapping.
    pub(super) fn policy_constraints(self, explicit: Option<u8>, mapping: Option<u8>) -> Self {
        let number = |tag, value: Option<u8>| value.map_or(Vec::new(), |value| vec![tag, 1, value]);
        let value = sequence(&[&number(0x80, explicit), &number(0x81, mapping)]);
        self.extension(36, true, value)
    }

    pub(super) fn inhibit_any_policy(self, skip: u8) -> Self {
        self.extension(54, true, vec![2, 1, skip])
    }

    /// The part that is signed.
    pub(super) fn body(&self) -> Vec<u8> {
        let version = self.version.map_or(Vec::new(), |version| der(0xa0, &[&[2, 1, version]]));
        let extensions = self.extensions.iter().map(|(oid, is_critical, value)| {
            let critical: &[u8] = if *is_critical { &[1, 1, 0xff] } else { &[] };
            sequence(&[&der(6, &[oid]), critical, &der(4, &[value])])
        });
        let extensions = match self.extensions.as_slice() {
            [] => Vec::new(),
            _ => der(0xa3, &[&sequence(&[&extensions.collect::<Vec<_>>().concat()])]),
        };
        sequence(&[
            &version,
            &der(2, &[&self.serial]),
            &self.inner_algorithm,
            &self.issuer,
            &sequence(&[&time(self.not_before), &time(self.not_after)]),
            &self.subject,
            &self.spki,
            &extensions,
        ])
    }

    /// The certificate, signed by its issuer.
    pub(super) fn der(&self) -> Vec<u8> {
        let body = self.body();
        self.with_signature(&self.signer.sign(&body).unwrap())
    }

    pub(super) fn with_signature(&self, signature: &[u8]) -> Vec<u8> {
        sequence(&[&self.body(), &self.algorithm, &der(3, &[&[0], signature])])
    }
}

/// The encoding of a policy's OID: 1.2.N, or anyPolicy for 0.
pub(super) fn policy_oid(policy: u8) -> Vec<u8> {
    if policy == 0 { vec![6, 4, 0x55, 0x1d, 0x20, 0] } else { vec![6, 2, 0x2a, policy] }
}

fn time(unix: i64) -> Vec<u8> {
    let at = time::OffsetDateTime::from_unix_timestamp(unix).unwrap();
    let text = format!(
        "{:04}{:02}{:02}{:02}{:02}{:02}Z",
        at.year(),
        u8::from(at.month()),
        at.day(),
        at.hour(),
        at.minute(),
        at.second()
    );
    der(0x18, &[text.as_bytes()])
}
