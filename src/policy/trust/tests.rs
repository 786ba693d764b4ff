//! Verdicts that a trust set and a certificate keep.

use super::*;
use crate::{
    certificate::{Certificate, Timestamp},
    pki::{Authority, Issued, Leaf, NOON},
    policy::{RevocationList, RevocationMode},
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

#[test]
fn set_without_revocation_is_created_once_and_has_its_own_verdicts() {
    let root = Authority::root("root");
    let certificate = read(&root.issue(&Leaf::client("orders").serial(7)));
    let list = RevocationList::read(root.crl(1, &[7], (NOON - 10, NOON + 10))).unwrap();
    let roots = TrustAnchors::from_der([root.der()]).unwrap();
    let listing = roots.with_revocation(Revocation::new(RevocationMode::Soft, list));
    let off = listing.clone().without_revocation();
    assert_eq!(off.0.generation, listing.clone().without_revocation().0.generation);
    assert_eq!(off.0.generation, off.clone().without_revocation().0.generation);
    for _ in 0..2 {
        assert_eq!(listing.verdict(&certificate, NOW).map(|known| known.0), Some(ChainVerdict::Revoked));
        assert_eq!(off.verdict(&certificate, NOW).map(|known| known.0), Some(ChainVerdict::Trusted));
    }
}

#[cfg(feature = "apim")]
#[test]
fn revocation_is_declared_by_lists_or_as_off_for_every_root() {
    let set = |name: &str| TrustAnchors::from_der([Authority::root(name).der()]).unwrap();
    let listing = set("listing").with_revocation(Revocation::new(RevocationMode::Soft, []));
    let off = set("off").without_revocation();
    let undeclared = set("undeclared");
    for (case, set, declares, checks) in [
        ("undeclared", undeclared.clone(), false, false),
        ("off", off.clone(), true, false),
        ("lists", listing.clone(), true, true),
        ("lists, then off", listing.clone().without_revocation(), true, false),
        ("lists and off", listing.clone().union(&off), true, true),
        ("lists and undeclared", listing.union(&undeclared), false, true),
        ("off and undeclared", off.union(&undeclared), false, false),
    ] {
        assert_eq!((set.declares_revocation(), set.checks_revocation()), (declares, checks), "{case}");
    }
}
