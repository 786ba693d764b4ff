//! Verdicts that a trust set and a certificate keep.

use super::*;
use crate::{
    certificate::Timestamp,
    pki::{Authority, Issued, Leaf, NOON},
};

const NOW: Timestamp = Timestamp::from_unix(NOON);

fn read(issued: &Issued) -> Certificate {
    Certificate::from_der_chain(&issued.der, issued.chain.iter().map(Vec::as_slice)).unwrap()
}

#[test]
fn accepted_chain_is_remembered_for_other_connections_with_its_end() {
    let root = Authority::root("root");
    let roots = TrustAnchors::from_der([root.der()]).unwrap();
    let accepted = read(&root.issue(&Leaf::client("orders").until(NOON + 10)));
    let rejected = read(&Authority::root("other").issue(&Leaf::client("orders")));
    assert!(roots.judge(&accepted.clone().into(), NOW).is_ok());
    assert!(roots.judge(&rejected.clone().into(), NOW).is_err());
    let known = |roots: &TrustAnchors, certificate: &Certificate| {
        roots.0.accepted.get(&AcceptedChains::key(certificate), NOW)
    };
    assert_eq!(known(&roots, &accepted), Some(NOW.plus(10)));
    assert_eq!(known(&roots, &rejected), None);
    let requirements = ChainRequirements::new().minimum_rsa_bits(4_096);
    assert_eq!(known(&roots.with_requirements(requirements), &accepted), None, "another trust set");
}

#[test]
fn rejection_is_remembered_on_its_connection_for_every_trust_set() {
    let sets: Vec<_> = (0..20)
        .map(|index| TrustAnchors::from_der([Authority::root(&format!("root-{index}")).der()]).unwrap())
        .collect();
    let certificate = read(&Authority::root("other").issue(&Leaf::client("orders")));
    for set in &sets {
        assert_eq!(set.verdict(&certificate, NOW).map(|known| known.0), Some(ChainVerdict::UnknownIssuer));
    }
    for set in &sets {
        let known = VerdictCache::of_chain(&certificate).get(set.0.generation, NOW);
        assert_eq!(known, Some(ChainVerdict::UnknownIssuer.code()));
    }
}
