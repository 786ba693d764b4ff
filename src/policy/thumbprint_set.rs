use std::collections::HashSet;

use crate::certificate::{Certificate, Thumbprint};

/// A set of thumbprints. Uses the standard library's keyed hash, so that clients cannot choose collisions.
#[derive(Debug, Default)]
pub(super) struct ThumbprintSet {
    sha1: HashSet<[u8; 20]>,
    sha256: HashSet<[u8; 32]>,
}

impl ThumbprintSet {
    pub(super) fn contains(&self, hash: Thumbprint) -> bool {
        match hash {
            Thumbprint::Sha1(hash) => contains(&self.sha1, &hash),
            Thumbprint::Sha256(hash) => contains(&self.sha256, &hash),
        }
    }

    /// Returns true if a thumbprint of this certificate is in the set. SHA-1 is computed only if the set has one.
    pub(super) fn contain_certificate(&self, certificate: &Certificate) -> bool {
        self.contains(certificate.sha256_thumbprint())
            || !self.sha1.is_empty() && self.contains(certificate.sha1_thumbprint())
    }

    pub(super) fn len(&self) -> usize {
        self.sha1.len() + self.sha256.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Up to this size, comparing all entries costs less than one keyed hash.
const MAX_LINEAR: usize = 4;

fn contains<const N: usize>(set: &HashSet<[u8; N]>, hash: &[u8; N]) -> bool {
    if set.len() <= MAX_LINEAR { set.iter().any(|one| one == hash) } else { set.contains(hash) }
}

impl Extend<Thumbprint> for ThumbprintSet {
    fn extend<I: IntoIterator<Item = Thumbprint>>(&mut self, thumbprints: I) {
        for thumbprint in thumbprints {
            match thumbprint {
                Thumbprint::Sha1(hash) => self.sha1.insert(hash),
                Thumbprint::Sha256(hash) => self.sha256.insert(hash),
            };
        }
    }
}

impl FromIterator<Thumbprint> for ThumbprintSet {
    fn from_iter<I: IntoIterator<Item = Thumbprint>>(hashes: I) -> Self {
        let mut pins = Self::default();
        pins.extend(hashes);
        pins
    }
}
