//! Paths among several candidates, and the bounds of the search.

use super::{forge::Forge, *};

#[test]
fn another_path_is_tried_where_the_first_is_not_valid() {
    let root = Forge::ca("root").der();
    let leaf = Forge::new("orders").by("issuing").der();
    let good = Forge::ca("issuing").by("root");
    let expired = Forge { not_after: NOON - 1, ..good.clone() }.der();
    let unrooted = Forge::ca("issuing").by("elsewhere").der();
    let lists_only = good.clone().key_usage(2).der();
    let other_key = Forge::ca("issuing").by("root").with_key("other").der();
    let good = good.der();
    for bad in [&expired, &unrooted, &lists_only, &other_key] {
        for chain in [[&leaf, bad, &good], [&leaf, &good, bad]] {
            assert_eq!(verdict(&root, &chain.map(Clone::clone)), ChainVerdict::Trusted);
        }
        assert_ne!(verdict(&root, &[leaf.clone(), bad.clone()]), ChainVerdict::Trusted);
    }
}

#[test]
fn cross_certificates_lead_to_each_root() {
    let leaf = Forge::new("orders").by("issuing").der();
    let sent = vec![
        leaf,
        Forge::ca("issuing").by("new").der(),
        Forge::ca("new").by("old").der(),
        Forge::ca("new").der(),
        Forge::ca("old").by("new").der(),
    ];
    for (root, expected) in [
        ("new", ChainVerdict::Trusted),
        ("old", ChainVerdict::Trusted),
        ("third", ChainVerdict::UnknownIssuer),
    ] {
        assert_eq!(verdict(&Forge::ca(root).der(), &sent), expected, "{root}");
        let (leaf, rest) = sent.split_first().unwrap();
        let shuffled: Vec<_> = [leaf].into_iter().chain(rest.iter().rev()).cloned().collect();
        assert_eq!(verdict(&Forge::ca(root).der(), &shuffled), expected, "{root}, sent in reverse");
    }
}

#[test]
fn path_has_sixteen_certificates_at_most() {
    let names: Vec<_> = (0..18).map(|index| format!("ca-{index}")).collect();
    let chain = |length: usize| {
        let leaf = Forge::new("orders").by(&names[length - 1]).der();
        let cas = (1..length).rev().map(|index| Forge::ca(&names[index]).by(&names[index - 1]).der());
        [leaf].into_iter().chain(cas).collect::<Vec<_>>()
    };
    let root = Forge::ca(&names[0]).der();
    assert_eq!(verdict(&root, &chain(16)), ChainVerdict::Trusted);
    assert_ne!(verdict(&root, &chain(17)), ChainVerdict::Trusted);
}

#[test]
fn search_among_self_made_certificates_is_bounded() {
    // Every CA signs every other one, under one name and under several.
    let keys: Vec<_> = (0..16).map(|index| format!("key-{index}")).collect();
    let same_name = (0..16).map(|index: usize| {
        let signer = &keys[(index + 1) % 16];
        Forge::ca("ca").with_key(&keys[index]).by("ca").signed_with(signer).der()
    });
    let leaf = Forge::new("orders").by("ca").signed_with(&keys[0]).der();
    let same_name: Vec<_> = [leaf].into_iter().chain(same_name).collect();
    let pairs =
        (0..4_u8).flat_map(|from| (0..4_u8).map(move |to| (from, to))).filter(|(from, to)| from != to);
    let dense = pairs.map(|(from, to)| Forge::ca(&format!("n{from}")).by(&format!("n{to}")).der());
    let dense: Vec<_> = [Forge::new("orders").by("n0").der()].into_iter().chain(dense).collect();
    for (case, chain) in [("one name", same_name), ("dense", dense)] {
        for root in [Forge::ca("root"), Forge::ca("ca").with_key("other"), Forge::ca("n3").with_key("other")]
        {
            assert_ne!(verdict(&root.der(), &chain), ChainVerdict::Trusted, "{case}");
        }
    }
    let leaf = Forge::new("orders").by("ca").signed_with("wrong").der();
    let many = (0..40).map(|index| Forge::ca("ca").with_key(&format!("key-{index}")).der());
    let roots: Vec<_> = many.map(|der| Root::read(&der).unwrap()).collect();
    let certificate = Certificate::from_der(&leaf).unwrap();
    let error = super::super::verify(&certificate, std::iter::empty(), &roots, NOW).unwrap_err();
    assert_eq!(error.verdict(), ChainVerdict::Limit, "{error}");
}

#[test]
fn error_names_the_last_certificate_with_an_unknown_issuer() {
    let root = Forge::ca("root").der();
    let leaf = Forge::new("orders").by("issuing").der();
    let issuing = Forge::ca("issuing").by("absent").der();
    assert_eq!(text(&root, std::slice::from_ref(&leaf)), "no root or presented certificate issued it");
    let expected = r#"no root or presented certificate issued CA "CN=issuing""#;
    assert_eq!(text(&root, &[leaf.clone(), issuing]), expected);
    let impostor = Forge::ca("issuing").by("root").signed_with("impostor").der();
    let expected = r#"the signature of CA "CN=issuing" is wrong: a CA with the right name and another key"#;
    assert_eq!(text(&root, &[leaf, impostor]), expected);
}

#[test]
fn damaged_chain_is_rejected_without_a_panic() {
    let root = Forge::ca("root").der();
    let issuing =
        Forge::ca("issuing").by("root").policies(&[1]).constraints(&[(0x82, b"example.com")], &[]).der();
    let leaf = Forge::new("orders").by("issuing").names(&[(0x82, b"a.example.com")]).policies(&[1]).der();
    assert_eq!(verdict(&root, &[leaf.clone(), issuing.clone()]), ChainVerdict::Trusted);
    for at in 0..issuing.len() {
        let mut damaged = issuing.clone();
        damaged[at] ^= 0x01;
        assert_ne!(verdict(&root, &[leaf.clone(), damaged]), ChainVerdict::Trusted, "byte {at}");
        let cut = issuing[..at].to_vec();
        assert_ne!(verdict(&root, &[leaf.clone(), cut]), ChainVerdict::Trusted, "cut at {at}");
        let _ = Root::read(&issuing[..at]);
    }
}
