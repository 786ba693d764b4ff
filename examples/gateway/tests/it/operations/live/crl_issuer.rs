//! A CA whose CRL the gateway reads from a file.

use super::world::World;
use crate::support::{
    pki::{self, Authority, Issued, Leaf},
    replace,
};

/// Serial numbers of the certificates of `partner` and `other`.
const PARTNER: u64 = 8;
const OTHER: u64 = 9;

const DAY: i64 = 86_400;

/// The CA of `[trust.listed]`.
pub(super) struct CrlIssuer(Authority);

impl CrlIssuer {
    /// The section of the configuration.
    const TRUST: &str =
        "[trust.listed]\nca = [\"listed.pem\"]\ncrl = [\"listed.crl\"]\nrevocation = \"strict\"\n";

    pub(super) fn new() -> Self {
        Self(Authority::root("Listed CA"))
    }

    /// The caller whose certificate is revoked.
    pub(super) fn partner(&self) -> Issued {
        self.0.issue(&Leaf::client("partner").serial(PARTNER))
    }

    /// Another caller, whose certificate stays valid.
    pub(super) fn other(&self) -> Issued {
        self.0.issue(&Leaf::client("other").serial(OTHER))
    }

    /// Starts a gateway with these routes. The CRL has no entry.
    pub(super) async fn start(&self, routes: &str) -> World {
        let files = [("listed.pem", self.0.pem().as_bytes()), ("listed.crl", &self.crl(1, &[]))];
        World::start_with(&format!("{}{routes}", Self::TRUST), &files).await
    }

    /// Adds the serial number of `partner` to the CRL, and waits until the CRL is effective.
    pub(super) fn revoke(&self, world: &World) {
        world.reload(|| replace(&world.file("listed.crl"), self.crl(2, &[PARTNER])));
    }

    fn crl(&self, number: u64, serials: &[u64]) -> Vec<u8> {
        self.0.crl(number, serials, (pki::now() - DAY, pki::now() + DAY))
    }
}
