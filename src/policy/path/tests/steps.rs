//! Steps of section 6.1 other than constraints, policies and signatures.

use super::{
    forge::{ANY_PURPOSE, CLIENT_AUTH, Forge, SERVER_AUTH, der, name, name_of, sequence},
    *,
};

/// root > issuing > orders, with changes to each.
fn chain(
    root: impl FnOnce(Forge) -> Forge,
    issuing: impl FnOnce(Forge) -> Forge,
    leaf: impl FnOnce(Forge) -> Forge,
) -> (Vec<u8>, Vec<Vec<u8>>) {
    let root = root(Forge::ca("root"));
    let issuing = issuing(Forge::ca("issuing").by("root"));
    let leaf = leaf(Forge::new("orders").by("issuing"));
    (root.der(), vec![leaf.der(), issuing.der()])
}

const SAME: fn(Forge) -> Forge = |forge| forge;

#[test]
fn valid_path_ends_with_its_first_certificate_to_expire() {
    let at = |end: i64| move |forge: Forge| Forge { not_after: NOON + end, ..forge };
    for (root, issuing, leaf) in [(10, 20, 30), (20, 10, 30), (20, 30, 10)] {
        let (root, chain) = chain(at(root), at(issuing), at(leaf));
        assert_eq!(verify(&root, &chain).map(|path| path.until), Ok(NOW.plus(10)));
        let path = verify_with(&root, &chain, ChainRequirements::new(), NOW.plus(10));
        assert!(path.is_ok(), "the last second");
        let path = verify_with(&root, &chain, ChainRequirements::new(), NOW.plus(11));
        assert!(path.is_err());
    }
}

#[test]
fn each_step_rejects_its_violation_and_names_the_certificate() {
    use ChainVerdict as V;
    let expired = |forge: Forge| Forge { not_after: NOON - 1, ..forge };
    let early = |forge: Forge| Forge { not_before: NOON + 1, ..forge };
    let old = |forge: Forge| Forge { version: None, extensions: Vec::new(), ..forge };
    let second = |forge: Forge| Forge { version: Some(1), extensions: Vec::new(), ..forge };
    let no_ca = |forge: Forge| forge.extension(19, true, sequence(&[]));
    let unknown = |forge: Forge| forge.extension(99, true, vec![5, 0]);
    let ignored = |forge: Forge| forge.extension(99, false, vec![5, 0]);
    let critical_key_id = |forge: Forge| forge.extension(14, true, vec![4, 1, 7]);
    let usage = |bits: u8| move |forge: Forge| forge.key_usage(bits);
    let purpose = |purpose: &'static [u8]| move |forge: Forge| forge.purposes(&[purpose]);
    let constrained = |forge: Forge| forge.constraints(&[(0x82, b"example.com")], &[]);
    for (case, (root, chain), expected, part) in [
        ("nothing changed", chain(SAME, SAME, SAME), V::Trusted, "valid"),
        (
            "expired leaf",
            chain(SAME, SAME, expired),
            V::Expired,
            "the client certificate expired at 2025-12-31T23",
        ),
        ("expired CA", chain(SAME, expired, SAME), V::Expired, "CA \"CN=issuing\" expired at 2025-12-31T23"),
        (
            "early CA",
            chain(SAME, early, SAME),
            V::NotYetValid,
            "CA \"CN=issuing\" is not valid before 2026-01-01T00",
        ),
        ("expired root", chain(expired, SAME, SAME), V::RootOutsideValidity, "root \"CN=root\" expired at"),
        (
            "CA of version 1",
            chain(SAME, old, SAME),
            V::Version,
            "CA \"CN=issuing\" is not of X.509 version 3",
        ),
        ("CA of version 2", chain(SAME, second, SAME), V::Version, "is not of X.509 version 3"),
        ("root of version 1", chain(old, SAME, SAME), V::Trusted, "valid"),
        ("leaf of version 1", chain(SAME, SAME, old), V::Trusted, "valid"),
        ("CA that is none", chain(SAME, no_ca, SAME), V::LeafAsCa, "CA \"CN=issuing\" is not a CA"),
        ("root that is none", chain(no_ca, SAME, SAME), V::LeafAsCa, "root \"CN=root\" is not a CA"),
        (
            "unknown critical extension",
            chain(SAME, SAME, unknown),
            V::CriticalExtension,
            "extension 2.5.29.99",
        ),
        ("in a CA", chain(SAME, unknown, SAME), V::CriticalExtension, "CA \"CN=issuing\" has the critical"),
        ("in a root", chain(unknown, SAME, SAME), V::CriticalExtension, "root \"CN=root\" has the critical"),
        ("unknown extension", chain(ignored, ignored, ignored), V::Trusted, "valid"),
        ("critical key identifier", chain(SAME, critical_key_id, SAME), V::CriticalExtension, "2.5.29.14"),
        ("CA for certificates", chain(usage(4), usage(4), SAME), V::Trusted, "valid"),
        (
            "CA for lists",
            chain(SAME, usage(2), SAME),
            V::CaKeyUsage,
            "the key usage of CA \"CN=issuing\" lacks",
        ),
        (
            "root for lists",
            chain(usage(2), SAME, SAME),
            V::CaKeyUsage,
            "the key usage of root \"CN=root\" lacks",
        ),
        ("leaf for signatures", chain(SAME, SAME, usage(0x80)), V::Trusted, "valid"),
        ("leaf for agreement", chain(SAME, SAME, usage(0x08)), V::Trusted, "valid"),
        ("leaf for encryption", chain(SAME, SAME, usage(0x20)), V::LeafKeyUsage, "neither digitalSignature"),
        ("leaf without a use", chain(SAME, SAME, usage(0)), V::LeafKeyUsage, "neither digitalSignature"),
        ("clients", chain(SAME, purpose(CLIENT_AUTH), purpose(CLIENT_AUTH)), V::Trusted, "valid"),
        ("all purposes", chain(SAME, purpose(ANY_PURPOSE), purpose(ANY_PURPOSE)), V::Trusted, "valid"),
        ("servers", chain(SAME, SAME, purpose(SERVER_AUTH)), V::WrongPurpose, "extKeyUsage lacks clientAuth"),
        (
            "CA for servers",
            chain(SAME, purpose(SERVER_AUTH), SAME),
            V::WrongPurpose,
            "CA \"CN=issuing\" is not meant",
        ),
        (
            "root for servers",
            chain(purpose(SERVER_AUTH), SAME, SAME),
            V::WrongPurpose,
            "root \"CN=root\" is not",
        ),
        (
            "constraints in a leaf",
            chain(SAME, SAME, constrained),
            V::NameConstraint,
            "which only CA certificates",
        ),
    ] {
        assert_eq!(verdict(&root, &chain), expected, "{case}");
        assert!(text(&root, &chain).contains(part), "{case}: {}", text(&root, &chain));
    }
}

#[test]
fn malformed_certificate_names_its_field() {
    let twice = |mut forge: Forge| {
        forge.extensions.extend(forge.extensions.clone());
        forge
    };
    let other_algorithm =
        |forge: Forge| Forge { inner_algorithm: vec![0x30, 5, 6, 3, 0x2b, 0x65, 0x70], ..forge };
    let utf8_name =
        |text: &[u8]| sequence(&[&der(0x31, &[&sequence(&[&[6, 3, 85, 4, 3], &der(12, &[text])])])]);
    // A name of an unknown form.
    let point = sequence(&[&sequence(&[&der(0xa0, &[&der(0xa0, &[&[0x89, 1, b'a']])])])]);
    let qualified = sequence(&[&sequence(&[&[6, 1, 0x2a], &sequence(&[])])]);
    for (case, change, part) in [
        (
            "algorithm",
            &other_algorithm as &dyn Fn(Forge) -> Forge,
            "its two signature algorithms, which differ",
        ),
        ("extension", &twice, "an extension that appears twice"),
        ("version", &|forge| Forge { version: Some(0), ..forge }, "its version"),
        ("BMPString", &|forge| Forge { subject: name_of(0x1e, "abc"), ..forge }, "its subject"),
        ("UTF8String", &|forge| Forge { issuer: utf8_name(&[0xff]), ..forge }, "its issuer"),
        ("BOOLEAN in a name", &|forge| Forge { subject: name_of(1, "a"), ..forge }, "its subject"),
        ("directory name", &|forge| forge.names(&[(0xa4, &utf8_name(&[0xff]))]), "its subjectAltName"),
        ("serial", &|forge| Forge { serial: Vec::new(), ..forge }, "its serialNumber"),
        ("redundant zero", &|forge| Forge { serial: vec![0, 1], ..forge }, "its serialNumber"),
        ("string in BER", &|forge| Forge { issuer: name_of(0x2c, "\x0c\x01a"), ..forge }, "its issuer"),
        ("key usage", &|forge| forge.extension(15, true, vec![3, 1]), "its keyUsage"),
        ("purposes", &|forge| forge.purposes(&[]), "its extKeyUsage"),
        ("points", &|forge| forge.extension(31, false, point.clone()), "its cRLDistributionPoints"),
        ("names", &|forge| forge.names(&[(0x87, &[1, 2, 3])]), "its subjectAltName"),
        ("other name", &|forge| forge.names(&[(0xa0, &[6, 1, 0x2a])]), "its subjectAltName"),
        ("registered ID", &|forge| forge.names(&[(0x88, &[0x2a, 0x80])]), "its subjectAltName"),
        ("unknown form", &|forge| forge.names(&[(0x89, b"a")]), "its subjectAltName"),
        ("constraints", &|forge| forge.constraints(&[], &[]), "its nameConstraints"),
        (
            "range",
            &|forge| forge.constraints(&[(0x87, &[10, 0, 0, 0, 255, 0, 255, 0])], &[]),
            "its nameConstraints",
        ),
        ("policy", &|forge| forge.policies(&[1, 1]), "its certificatePolicies"),
        ("qualifier", &|forge| forge.extension(32, false, qualified.clone()), "its certificatePolicies"),
        ("mapping", &|forge| forge.mappings(&[(0, 1)]), "its policyMappings"),
        ("mapped to any", &|forge| forge.mappings(&[(1, 0)]), "its policyMappings"),
        ("policy constraints", &|forge| forge.policy_constraints(None, None), "its policyConstraints"),
        ("inhibition", &|forge| forge.extension(54, true, vec![2, 1, 0x80]), "its inhibitAnyPolicy"),
    ] {
        let (root, chain) = chain(SAME, change, SAME);
        let expected = format!("certificate 1 of those sent along cannot be read: {part}");
        assert_eq!(text(&root, &chain), expected, "{case}");
    }
}

#[test]
fn names_are_chained_by_section_7_1() {
    for (case, subject, issuer, is_same) in [
        ("case", name("Contoso Issuing"), name("CONTOSO issuing"), true),
        ("string type", name_of(0x13, "Contoso"), name("Contoso"), true),
        ("spaces", name("Contoso  Issuing "), name("Contoso Issuing"), true),
        ("composition", name("Gr\u{fc}n"), name("Gru\u{308}n"), true),
        ("BMPString", name_of(0x1e, "\0C\0o\0n"), name("con"), true),
        ("UniversalString", name_of(0x1c, "\0\0\0C\0\0\0o"), name("co"), true),
        ("TeletexString", name_of(0x14, "Contoso"), name("Contoso"), true),
        ("another name", name("Contoso"), name("Contos"), false),
        ("another BMPString", name_of(0x1e, "\0C\0o\0n"), name("co"), false),
        ("NUL", name("Contoso"), name("Contoso\0"), false),
        ("an empty name", name(""), name(""), false),
    ] {
        let (root, chain) = chain(
            SAME,
            |forge| Forge { subject: subject.clone(), ..forge },
            |forge| Forge { issuer: issuer.clone(), ..forge },
        );
        let expected = if is_same { ChainVerdict::Trusted } else { ChainVerdict::UnknownIssuer };
        assert_eq!(verdict(&root, &chain), expected, "{case}");
    }
}

#[test]
fn path_length_counts_intermediates_that_are_not_self_issued() {
    let root = |length: Option<u8>| {
        let root = Forge::ca("root");
        match length {
            Some(length) => root.path_length(length),
            None => root,
        }
        .der()
    };
    let leaf = Forge::new("orders").by("lower").der();
    let lower = Forge::ca("lower").by("upper").der();
    let upper = |length: u8| Forge::ca("upper").by("root").path_length(length).der();
    let rollover = Forge::ca("upper").with_key("new").by("upper").der();
    let lower_by_new = Forge::ca("lower").by("upper").signed_with("new").der();
    for (case, root, chain, is_valid) in [
        ("unlimited root", root(None), vec![leaf.clone(), lower.clone(), upper(1)], true),
        ("upper CA without room", root(None), vec![leaf.clone(), lower.clone(), upper(0)], false),
        ("root with room", root(Some(2)), vec![leaf.clone(), lower.clone(), upper(9)], true),
        ("root with too little room", root(Some(1)), vec![leaf.clone(), lower, upper(9)], false),
        ("self-issued", root(None), vec![leaf, lower_by_new, rollover, upper(1)], true),
        ("CA as a leaf", root(Some(1)), vec![Forge::ca("lower").by("upper").der(), upper(0)], true),
    ] {
        let expected = if is_valid { ChainVerdict::Trusted } else { ChainVerdict::PathLength };
        assert_eq!(verdict(&root, &chain), expected, "{case}");
    }
}

#[test]
fn ca_certificate_is_a_client_certificate_if_its_key_usage_permits_it() {
    let root = Forge::ca("root").der();
    let signing = Forge::ca("issuing").by("root").key_usage(0x84).der();
    let only_ca = Forge::ca("issuing").by("root").key_usage(0x04).der();
    for (case, root, leaf, expected) in [
        ("under a root", &root, signing.clone(), ChainVerdict::Trusted),
        ("without key usage", &root, Forge::ca("issuing").by("root").der(), ChainVerdict::Trusted),
        ("for certificates only", &root, only_ca.clone(), ChainVerdict::LeafKeyUsage),
        ("listed", &signing, signing.clone(), ChainVerdict::Trusted),
        ("listed and self-signed", &root, root.clone(), ChainVerdict::Trusted),
        ("listed, for certificates only", &only_ca, only_ca.clone(), ChainVerdict::LeafKeyUsage),
        ("self-signed", &root, Forge::ca("other").der(), ChainVerdict::UnknownIssuer),
    ] {
        assert_eq!(verdict(root, &[leaf]), expected, "{case}");
    }
}
