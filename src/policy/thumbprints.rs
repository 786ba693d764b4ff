use std::collections::HashSet;

use crate::certificate::{ClientCertificate, Thumbprint};

/// Allowed thumbprints. The standard library's keyed hash, so that nobody who can choose certificates can
/// choose collisions.
#[derive(Debug, Default)]
pub(super) struct Thumbprints {
    sha1: HashSet<[u8; 20]>,
    sha256: HashSet<[u8; 32]>,
}

impl Thumbprints {
    pub(super) fn contains(&self, certificate: &ClientCertificate) -> bool {
        let sha256 = !self.sha256.is_empty() && self.has(certificate.sha256_thumbprint());
        sha256 || !self.sha1.is_empty() && self.has(certificate.sha1_thumbprint())
    }

    pub(super) fn is_empty(&self) -> bool {
        self.sha1.is_empty() && self.sha256.is_empty()
    }

    fn has(&self, thumbprint: Thumbprint) -> bool {
        match thumbprint {
            Thumbprint::Sha1(octets) => self.sha1.contains(&octets),
            Thumbprint::Sha256(octets) => self.sha256.contains(&octets),
        }
    }
}

impl Extend<Thumbprint> for Thumbprints {
    fn extend<I: IntoIterator<Item = Thumbprint>>(&mut self, thumbprints: I) {
        for thumbprint in thumbprints {
            match thumbprint {
                Thumbprint::Sha1(octets) => self.sha1.insert(octets),
                Thumbprint::Sha256(octets) => self.sha256.insert(octets),
            };
        }
    }
}
