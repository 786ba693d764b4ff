//! Policies that prove nothing: warnings and errors.

use super::*;

#[test]
fn combinations_that_prove_nothing_yield_warnings() {
    let name: NamePattern = "CN=orders".parse().unwrap();
    let pin = Policy::builder().require(Rule::spki_sha256([[0; 32]]));
    for (case, builder, expected) in [
        ("a pin", pin, vec![]),
        (
            "an issuer beside a pinned key",
            Policy::builder().require(Rule::spki_sha256([[0; 32]])).issuer(name.clone()),
            vec![PolicyWarning::IssuerWithoutChain],
        ),
        #[cfg(feature = "trust")]
        (
            "an exclusion by chain",
            Policy::builder().require(Rule::spki_sha256([[0; 32]])).require(Rule::not(Rule::trust(
                TrustAnchors::from_der([Authority::root("root").der()]).unwrap(),
            ))),
            vec![PolicyWarning::ExclusionByChain],
        ),
        #[cfg(feature = "trust")]
        (
            "a chain at any time",
            Policy::builder()
                .trust(TrustAnchors::from_der([Authority::root("root").der()]).unwrap())
                .allow_outside_validity(),
            vec![],
        ),
        (
            "an exclusion by thumbprint",
            Policy::builder()
                .require(Rule::spki_sha256([[0; 32]]))
                .require(Rule::not(Rule::thumbprint([Thumbprint::Sha256([0; 32])]))),
            vec![PolicyWarning::ExclusionByHash],
        ),
        (
            "an issuer alone, at any time",
            Policy::builder().issuer(name).allow_unanchored().allow_outside_validity(),
            vec![
                PolicyWarning::Unanchored,
                PolicyWarning::OutsideValidity,
                PolicyWarning::IssuerWithoutChain,
            ],
        ),
    ] {
        assert_eq!(builder.build().unwrap().warnings(), expected, "{case}");
    }
}

#[test]
fn policies_that_prove_nothing_are_errors_at_build() {
    let name: NamePattern = "CN=orders".parse().unwrap();
    let zero = Thumbprint::Sha256([0; 32]);
    let anchored = || Rule::thumbprint([zero]);
    for (case, builder, expected) in [
        ("nothing", Policy::builder(), PolicyError::Empty),
        (
            "nothing, validity off",
            Policy::builder().allow_outside_validity().allow_unanchored(),
            PolicyError::Empty,
        ),
        (
            "names alone",
            Policy::builder().subject(name.clone()).issuer(name.clone()),
            PolicyError::Unanchored,
        ),
        ("custom alone", Policy::builder().require(Rule::custom("x", |_, _| true)), PolicyError::Unanchored),
        ("not", Policy::builder().require(Rule::not(anchored())), PolicyError::Unanchored),
        (
            "one way without an anchor",
            Policy::builder().require(Rule::any([anchored(), Rule::subject([name.clone()])])),
            PolicyError::Unanchored,
        ),
        ("no thumbprints", Policy::builder().thumbprints([]), PolicyError::EmptyList { rule: "thumbprint" }),
        (
            "empty any",
            Policy::builder().thumbprint(zero).require(Rule::not(Rule::any([]))),
            PolicyError::EmptyList { rule: "any" },
        ),
        (
            "empty all",
            Policy::builder().thumbprint(zero).require(Rule::all([])),
            PolicyError::EmptyList { rule: "all" },
        ),
    ] {
        assert_eq!(builder.build().unwrap_err(), expected, "{case}");
    }
    let both_ways = Rule::any([anchored(), Rule::all([Rule::subject([name.clone()]), anchored()])]);
    assert!(Policy::builder().require(both_ways).build().is_ok());
    assert!(Policy::builder().subject(name).allow_unanchored().build().is_ok());
    assert!(Policy::builder().allow_unanchored().build().is_ok(), "any currently valid certificate");
}
