//! Verification of a list's signature, once.

use std::{
    ops::Range,
    sync::{Mutex, OnceLock, PoisonError},
};

use sha2::{Digest, Sha256};

use super::super::path::signature::Signed;

/// Keys that did not sign a list. Authorities with one name have few keys.
const MAX_OTHER_KEYS: usize = 16;

/// The signature of a list. A list is signed by one key: once this is found, the encoding is dropped.
pub(super) struct Proof {
    /// SubjectPublicKeyInfo of the key that signed the list.
    key: OnceLock<Box<[u8]>>,
    /// None as soon as `key` is known.
    unverified: Mutex<Option<Unverified>>,
}

pub(super) struct Unverified {
    pub(super) der: Vec<u8>,
    pub(super) message: Range<usize>,
    pub(super) algorithm: Range<usize>,
    pub(super) signature: Range<usize>,
    /// SHA-256 of keys that did not sign the list.
    pub(super) other_keys: Vec<[u8; 32]>,
}

impl Proof {
    pub(super) fn new(unverified: Unverified) -> Self {
        Self { key: OnceLock::new(), unverified: Mutex::new(Some(unverified)) }
    }

    pub(super) fn is_verified(&self) -> bool {
        self.key.get().is_some()
    }

    pub(super) fn key(&self) -> Option<&[u8]> {
        self.key.get().map(AsRef::as_ref)
    }

    /// Returns true if the key signed the list. `verify` runs at most once for each key; its result must depend on its
    /// arguments only.
    pub(super) fn is_signed_by(
        &self,
        spki: &[u8],
        verify: &mut dyn FnMut(&Signed<'_>, &[u8]) -> bool,
    ) -> bool {
        if let Some(key) = self.key.get() {
            return **key == *spki;
        }
        let mut guard = self.unverified.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(unverified) = guard.as_mut() else {
            // Another thread has just found the key.
            return self.key.get().is_some_and(|key| **key == *spki);
        };
        let digest: [u8; 32] = Sha256::digest(spki).into();
        if unverified.other_keys.contains(&digest) {
            return false;
        }
        let part = |range: &Range<usize>| unverified.der.get(range.clone()).unwrap_or_default();
        let signed = Signed {
            message: part(&unverified.message),
            algorithm: part(&unverified.algorithm),
            signature: part(&unverified.signature),
        };
        if verify(&signed, spki) {
            self.key.get_or_init(|| spki.into());
            *guard = None;
            return true;
        }
        if unverified.other_keys.len() == MAX_OTHER_KEYS {
            unverified.other_keys.remove(0);
        }
        unverified.other_keys.push(digest);
        false
    }
}
