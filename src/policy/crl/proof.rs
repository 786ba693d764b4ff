//! Verification of a list's signature, once, and its index.

use std::{
    ops::Range,
    sync::{Mutex, MutexGuard, OnceLock, PoisonError},
};

use sha2::{Digest, Sha256};

use super::{
    super::path::signature::Signed,
    entries::{self, Entries},
    serials::Serials,
};
use crate::certificate::DistinguishedName;

/// Keys that did not sign a list. Authorities with one name have few keys.
const MAX_OTHER_KEYS: usize = 16;

/// The entries of a list, as its encoding until the key is found that signed it, and as an index from then on: both together
/// take twice the memory.
pub(super) struct Proof {
    verified: OnceLock<Verified>,
    /// None as soon as `verified` is set.
    unverified: Mutex<Option<Unverified>>,
}

struct Verified {
    /// SubjectPublicKeyInfo of the key that signed the list.
    key: Box<[u8]>,
    serials: Serials,
}

pub(super) struct Unverified {
    pub(super) der: Vec<u8>,
    pub(super) message: Range<usize>,
    pub(super) algorithm: Range<usize>,
    pub(super) signature: Range<usize>,
    /// The content of revokedCertificates.
    pub(super) revoked: Range<usize>,
    pub(super) entries: Entries,
    /// SHA-256 of keys that did not sign the list.
    pub(super) other_keys: Vec<[u8; 32]>,
}

impl Unverified {
    fn part(&self, range: &Range<usize>) -> &[u8] {
        self.der.get(range.clone()).unwrap_or_default()
    }
}

impl Proof {
    pub(super) fn new(unverified: Unverified) -> Self {
        Self { verified: OnceLock::new(), unverified: Mutex::new(Some(unverified)) }
    }

    pub(super) fn is_verified(&self) -> bool {
        self.verified.get().is_some()
    }

    pub(super) fn key(&self) -> Option<&[u8]> {
        self.verified.get().map(|verified| &*verified.key)
    }

    /// Returns true if an entry revokes the certificate with this serial number. Reads all entries of an unverified list.
    pub(super) fn lists(&self, issuer: &DistinguishedName, serial: &[u8]) -> bool {
        let contains = |verified: &Verified| verified.serials.contains(serial);
        if let Some(verified) = self.verified.get() {
            return contains(verified);
        }
        match &*self.lock() {
            Some(unverified) => entries::contains(unverified.part(&unverified.revoked), issuer, serial),
            None => self.verified.get().is_some_and(contains),
        }
    }

    /// Returns true if the key signed the list of this issuer. `verify` runs at most once for each key, unless it returns
    /// None, and its result must depend on its arguments only. None: it verifies no more signatures, and the list counts as
    /// signed by another key.
    pub(super) fn is_signed_by(
        &self,
        issuer: &DistinguishedName,
        spki: &[u8],
        verify: &mut dyn FnMut(&Signed<'_>, &[u8]) -> Option<bool>,
    ) -> bool {
        if let Some(key) = self.key() {
            return key == spki;
        }
        let mut guard = self.lock();
        let Some(unverified) = guard.as_mut() else {
            // Another thread has just found the key.
            return self.key() == Some(spki);
        };
        let digest: [u8; 32] = Sha256::digest(spki).into();
        if unverified.other_keys.contains(&digest) {
            return false;
        }
        let signed = Signed {
            message: unverified.part(&unverified.message),
            algorithm: unverified.part(&unverified.algorithm),
            signature: unverified.part(&unverified.signature),
        };
        let Some(is_signed) = verify(&signed, spki) else { return false };
        if is_signed {
            let serials = unverified.entries.index(unverified.part(&unverified.revoked), issuer);
            self.verified.get_or_init(|| Verified { key: spki.into(), serials });
            *guard = None;
            return true;
        }
        if unverified.other_keys.len() == MAX_OTHER_KEYS {
            unverified.other_keys.remove(0);
        }
        unverified.other_keys.push(digest);
        false
    }

    fn lock(&self) -> MutexGuard<'_, Option<Unverified>> {
        self.unverified.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
