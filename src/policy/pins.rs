use std::collections::HashSet;

use crate::certificate::{Certificate, Thumbprint};

/// Allowed hashes. The standard library's keyed hash, so that nobody who can choose certificates can choose
/// collisions.
#[derive(Debug, Default)]
pub(super) struct Pins {
    sha1: HashSet<[u8; 20]>,
    sha256: HashSet<[u8; 32]>,
}

impl Pins {
    pub(super) fn contains(&self, hash: Thumbprint) -> bool {
        match hash {
            Thumbprint::Sha1(octets) => has(&self.sha1, &octets),
            Thumbprint::Sha256(octets) => has(&self.sha256, &octets),
        }
    }

    /// Whether a thumbprint of this certificate is among them. Its SHA-1 is asked for only if one is here.
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

/// Comparing so few costs less than one keyed hash.
const FEW: usize = 4;

fn has<const N: usize>(set: &HashSet<[u8; N]>, octets: &[u8; N]) -> bool {
    if set.len() <= FEW { set.iter().any(|one| one == octets) } else { set.contains(octets) }
}

impl Extend<Thumbprint> for Pins {
    fn extend<I: IntoIterator<Item = Thumbprint>>(&mut self, hashes: I) {
        for hash in hashes {
            match hash {
                Thumbprint::Sha1(octets) => self.sha1.insert(octets),
                Thumbprint::Sha256(octets) => self.sha256.insert(octets),
            };
        }
    }
}

impl FromIterator<Thumbprint> for Pins {
    fn from_iter<I: IntoIterator<Item = Thumbprint>>(hashes: I) -> Self {
        let mut pins = Self::default();
        pins.extend(hashes);
        pins
    }
}
