//! Certificate policies along a path (RFC 9618).

use super::{forge::Forge, *};

/// Policies of the upper CA, the lower CA and the leaf; 0 is anyPolicy.
fn chain(
    upper: impl FnOnce(Forge) -> Forge,
    lower: impl FnOnce(Forge) -> Forge,
    leaf: impl FnOnce(Forge) -> Forge,
) -> Vec<Vec<u8>> {
    let upper = upper(Forge::ca("upper").by("root"));
    let lower = lower(Forge::ca("lower").by("upper"));
    let leaf = leaf(Forge::new("orders").by("lower"));
    vec![leaf.der(), lower.der(), upper.der()]
}

fn is_valid(chain: &[Vec<u8>], requirements: ChainRequirements) -> bool {
    let root = Forge::ca("root").der();
    let valid = verify_with(&root, chain, requirements, NOW);
    let verdict = valid.as_ref().map_or_else(PathError::verdict, |_| ChainVerdict::Trusted);
    assert!(matches!(verdict, ChainVerdict::Trusted | ChainVerdict::Policy), "{valid:?}");
    valid.is_ok()
}

fn explicit(policies: &[&str]) -> ChainRequirements {
    let requirements = ChainRequirements::new().require_explicit_policy(true);
    if policies.is_empty() { requirements } else { requirements.policies(policies).unwrap() }
}

const ONE: fn(Forge) -> Forge = |forge| forge.policies(&[1]);
const TWO: fn(Forge) -> Forge = |forge| forge.policies(&[2]);
const ANY: fn(Forge) -> Forge = |forge| forge.policies(&[0]);
const NONE: fn(Forge) -> Forge = |forge| forge;

#[test]
fn explicit_policy_must_be_in_every_certificate() {
    for (case, chain, any, one, two) in [
        ("the same", chain(ONE, ONE, ONE), true, true, false),
        ("none in the leaf", chain(ONE, ONE, NONE), false, false, false),
        ("none in a CA", chain(ONE, NONE, ONE), false, false, false),
        ("another in the leaf", chain(ONE, ONE, TWO), false, false, false),
        ("any in the CAs", chain(ANY, ANY, ONE), true, true, false),
        ("any in all", chain(ANY, ANY, ANY), true, true, true),
        ("any in the leaf", chain(ONE, ONE, ANY), true, true, false),
        ("any between", chain(ONE, ANY, ONE), true, true, false),
        ("one of two", chain(|forge| forge.policies(&[1, 2]), ANY, TWO), true, false, true),
    ] {
        assert_eq!(is_valid(&chain, explicit(&[])), any, "{case}");
        assert_eq!(is_valid(&chain, explicit(&["1.2.1"])), one, "{case}, 1.2.1");
        assert_eq!(is_valid(&chain, explicit(&["1.2.2"])), two, "{case}, 1.2.2");
        assert_eq!(is_valid(&chain, explicit(&["1.2.1", "1.2.2"])), any, "{case}, both");
        assert_eq!(is_valid(&chain, explicit(&["2.5.29.32.0"])), any, "{case}, anyPolicy");
        assert!(is_valid(&chain, ChainRequirements::new()), "{case}, not required");
    }
}

#[test]
fn policies_are_mapped_unless_inhibited() {
    let map = |from, to| move |forge: Forge| forge.policies(&[from]).mappings(&[(from, to)]);
    for (case, chain, one, three) in [
        ("mapped", chain(map(1, 2), TWO, TWO), true, false),
        ("not followed", chain(map(1, 2), ONE, ONE), false, false),
        ("twice", chain(map(1, 2), map(2, 3), |forge| forge.policies(&[3])), true, false),
        ("from anyPolicy", chain(|forge| forge.policies(&[0]).mappings(&[(1, 2)]), TWO, TWO), true, false),
        (
            "from another policy",
            chain(|forge| forge.policies(&[1, 3]).mappings(&[(3, 2)]), TWO, TWO),
            false,
            true,
        ),
        (
            "to two",
            chain(
                |forge| forge.policies(&[1]).mappings(&[(1, 2), (1, 3)]),
                |forge| forge.policies(&[3]),
                ANY,
            ),
            true,
            false,
        ),
    ] {
        assert_eq!(is_valid(&chain, explicit(&["1.2.1"])), one, "{case}");
        assert_eq!(is_valid(&chain, explicit(&["1.2.3"])), three, "{case}, 1.2.3");
        let inhibited = explicit(&["1.2.1"]).inhibit_policy_mapping(true);
        assert!(!is_valid(&chain, inhibited), "{case}, inhibited");
    }
    let inhibited =
        |skip| chain(move |forge| forge.policies(&[1]).policy_constraints(None, Some(skip)), map(1, 2), TWO);
    assert!(!is_valid(&inhibited(0), explicit(&[])), "by the upper CA");
    assert!(is_valid(&inhibited(1), explicit(&[])), "from the next certificate on");
}

#[test]
fn any_policy_is_inhibited_after_the_certificates_to_skip() {
    let upper = |skip| move |forge: Forge| forge.policies(&[1]).inhibit_any_policy(skip);
    assert!(!is_valid(&chain(upper(0), ANY, ONE), explicit(&[])));
    assert!(is_valid(&chain(upper(1), ANY, ONE), explicit(&[])));
    assert!(!is_valid(&chain(upper(1), ANY, ANY), explicit(&[])));
    assert!(is_valid(&chain(upper(2), ANY, ANY), explicit(&[])));
    assert!(!is_valid(&chain(ONE, ANY, ONE), explicit(&[]).inhibit_any_policy(true)));
    assert!(is_valid(&chain(ONE, ONE, ONE), explicit(&[]).inhibit_any_policy(true)));

    // A self-issued CA may still use it.
    let rollover = Forge::ca("upper").with_key("new").by("upper").policies(&[0]).der();
    let leaf = Forge::new("orders").by("upper").signed_with("new").policies(&[1]).der();
    let upper = upper(0)(Forge::ca("upper").by("root")).der();
    assert!(is_valid(&[leaf, rollover, upper], explicit(&[])));
}

#[test]
fn ca_requires_an_explicit_policy_after_the_certificates_to_skip() {
    let upper = |skip| move |forge: Forge| forge.policies(&[1]).policy_constraints(Some(skip), None);
    for (skip, is_required) in [(0, true), (1, true), (2, true), (3, false)] {
        let chain = chain(upper(skip), NONE, NONE);
        assert_eq!(is_valid(&chain, ChainRequirements::new()), !is_required, "skip {skip}");
    }
    let leaf = |forge: Forge| forge.policy_constraints(Some(0), None);
    assert!(!is_valid(&chain(NONE, NONE, leaf), ChainRequirements::new()), "by the leaf itself");
    let accepted = ChainRequirements::new().policies(["1.2.2"]).unwrap();
    assert!(!is_valid(&chain(upper(0), ONE, ONE), accepted.clone()), "a policy that is not accepted");
    assert!(is_valid(&chain(NONE, NONE, NONE), accepted), "not required");
}

#[test]
fn large_graph_is_validated_in_bounded_time() {
    let policies: Vec<u8> = (1..=127).collect();
    // Each policy is mapped to two, so that a tree would double with each certificate.
    let pairs: Vec<_> =
        policies.iter().flat_map(|policy| [(*policy, *policy), (*policy, policy % 127 + 1)]).collect();
    let names: Vec<_> = (0..15).map(|index| format!("policy-{index}")).collect();
    let mut chain: Vec<_> = names
        .iter()
        .enumerate()
        .map(|(index, name)| {
            let issuer = index.checked_sub(1).map_or("root", |above| &names[above]);
            Forge::ca(name).by(issuer).policies(&policies).mappings(&pairs).der()
        })
        .collect();
    chain.push(Forge::new("orders").by(&names[14]).policies(&[1]).der());
    chain.reverse();
    // 15 certificates map 120 to 120 to 127 and 1 to 8.
    assert!(is_valid(&chain, explicit(&["1.2.120"])));
    assert!(!is_valid(&chain, explicit(&["1.2.100"])));
}

#[test]
fn error_names_the_chain() {
    let root = Forge::ca("root").der();
    let error = verify_with(&root, &chain(ONE, TWO, TWO), explicit(&[]), NOW).unwrap_err().to_string();
    assert_eq!(error, r#"no certificate policy is valid for the chain to CA "CN=lower""#);
}
