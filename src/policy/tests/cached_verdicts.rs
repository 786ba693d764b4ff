//! Verdicts that are cached, and those that must not be.

use std::panic::{AssertUnwindSafe, catch_unwind};

use super::*;

#[test]
fn validity_is_checked_on_every_request_even_with_a_cached_verdict() {
    let certificate = self_signed(&Leaf::client("orders").from(NOON - 10).until(NOON + 10));
    let policy = Policy::builder().thumbprint(certificate.sha256_thumbprint()).build().unwrap();
    let presented = certificate.into();
    for (at, expected) in [
        (-11, Some(RejectionKind::NotYetValid)),
        (-10, None),
        (0, None),
        (10, None),
        (11, Some(RejectionKind::Expired)),
        (5, None),
        (3_600, Some(RejectionKind::Expired)),
    ] {
        let kind = policy.judge(&presented, NOW.plus(at)).err().map(|rejection| rejection.kind());
        assert_eq!(kind, expected, "at {at}");
    }
}

#[test]
fn cached_verdict_counts_for_its_own_policy_only() {
    let certificate = orders();
    let presented = Presented::from(certificate.clone());
    let open = Policy::builder().thumbprint(certificate.sha256_thumbprint()).build().unwrap();
    for _ in 0..8 {
        assert!(open.judge(&presented, NOW).is_ok());
        let closed = Policy::builder().thumbprint(Thumbprint::Sha256([0; 32])).build().unwrap();
        assert!(closed.judge(&presented, NOW).is_err());
    }
}

#[test]
fn custom_rule_is_evaluated_on_every_request() {
    use std::sync::atomic::{AtomicUsize, Ordering};
    let count = AtomicUsize::new(0);
    let rule = move |_: &Certificate, _| count.fetch_add(1, Ordering::SeqCst) < 2;
    let policy = Policy::builder().require(Rule::custom("twice", rule)).allow_unanchored().build().unwrap();
    let presented = orders().into();
    let admitted: Vec<_> = (0..4).map(|_| policy.judge(&presented, NOW).is_ok()).collect();
    assert_eq!(admitted, [true, true, false, false]);
}

#[test]
fn replaced_policy_is_effective_at_once() {
    let certificate = orders();
    let presented = Presented::from(certificate.clone());
    let open = Policy::builder().thumbprint(certificate.sha256_thumbprint()).build().unwrap();
    let closed = Policy::builder().thumbprint(Thumbprint::Sha256([0; 32])).build().unwrap();
    let shared = Shared::new(open.clone());
    let other_handle = shared.clone();
    for _ in 0..3 {
        assert!(shared.judge(&presented, NOW).is_ok());
        other_handle.replace(closed.clone());
        assert!(shared.judge(&presented, NOW).is_err());
        other_handle.replace(open.clone());
    }
}

struct PanicsOnDrop;

impl Drop for PanicsOnDrop {
    fn drop(&mut self) {
        panic!("the user's code");
    }
}

#[test]
fn replacement_is_complete_when_the_drop_of_the_old_value_panics() {
    let certificate = Certificate::from_der(&Leaf::client("orders").self_signed().der).unwrap();
    let thumbprint = || Rule::thumbprint([certificate.sha256_thumbprint()]);
    let guard = PanicsOnDrop;
    let custom = Rule::custom("guard", move |_, _| {
        let _guard = &guard;
        false
    });
    let rules = Rule::any([thumbprint(), Rule::all([thumbprint(), custom])]);
    let shared = Shared::new(Policy::builder().require(rules).build().unwrap());
    let presented = Presented::from(certificate.clone());
    for _ in 0..2 {
        assert!(shared.judge(&presented, NOW).is_ok(), "the second verdict is cached");
    }

    let other = Policy::builder().thumbprint(Thumbprint::Sha256([0; 32])).build().unwrap();
    assert!(catch_unwind(AssertUnwindSafe(|| shared.replace(other))).is_err());
    assert!(shared.judge(&presented, NOW).is_err());
}
