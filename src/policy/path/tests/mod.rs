//! Paths that RFC 5280 accepts and rejects, by step.

mod building;
mod constraints;
mod forge;
mod policies;
mod revocation;
#[cfg(feature = "aws-lc-rs")]
mod signatures;
mod steps;

use super::{PathError, Root, ValidPath};
use crate::{
    certificate::{Certificate, Timestamp},
    pki::NOON,
    policy::{ChainRequirements, ChainVerdict},
};

const NOW: Timestamp = Timestamp::from_unix(NOON);

/// Verifies a chain, leaf first, against a root, which may also be the last certificate.
fn verify_with(
    root: &[u8],
    chain: &[Vec<u8>],
    requirements: ChainRequirements,
    now: Timestamp,
) -> Result<ValidPath, PathError> {
    let certificate = Certificate::from_der(&chain[0]).unwrap();
    let mut root = Root::read(root).unwrap();
    root.requirements = requirements.into();
    super::verify(&certificate, chain[1..].iter().map(Vec::as_slice), &[root], now)
}

fn verify(root: &[u8], chain: &[Vec<u8>]) -> Result<ValidPath, PathError> {
    verify_with(root, chain, ChainRequirements::new(), NOW)
}

fn verdict(root: &[u8], chain: &[Vec<u8>]) -> ChainVerdict {
    verify(root, chain).map_or_else(|error| error.verdict(), |_| ChainVerdict::Trusted)
}

fn text(root: &[u8], chain: &[Vec<u8>]) -> String {
    verify(root, chain).map_or_else(|error| error.to_string(), |_| "valid".into())
}
