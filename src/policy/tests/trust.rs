//! Chains, and the certificates that sign them.

use super::*;

fn judge(root: &Authority, certificate: &ClientCertificate, at: i64) -> Option<RejectionKind> {
    let policy =
        Policy::builder().trust(TrustAnchors::from_pem(root.pem().as_bytes()).unwrap()).build().unwrap();
    policy.judge(&certificate.clone().into(), NOW.plus(at)).err().map(|rejection| rejection.kind())
}

#[test]
fn chains_are_judged_against_the_roots_for_client_authentication() {
    let root = Authority::root("root");
    let issuing = root.intermediate("issuing");
    let impostor = Authority::root("root");
    let client = Leaf::client("orders");
    let without_chain = Issued { chain: Vec::new(), ..issuing.issue(&client) };
    let server_only = client.clone().usages(&[ExtendedKeyUsagePurpose::ServerAuth]);
    let not_trusted = Some(RejectionKind::NotTrusted);
    for (case, issued, expected) in [
        ("by the root", root.issue(&client), None),
        ("by an intermediate", issuing.issue(&client), None),
        ("no usage at all", root.issue(&client.clone().usages(&[])), None),
        ("intermediate not sent", without_chain, not_trusted),
        ("another root of the same name", impostor.issue(&client), not_trusted),
        ("self-signed", client.self_signed(), not_trusted),
        ("for servers only", root.issue(&server_only), Some(RejectionKind::WrongPurpose)),
        ("an authority itself", root.issue(&client.clone().ca()), not_trusted),
    ] {
        let certificate = read(&issued);
        assert_eq!(judge(&root, &certificate, 0), expected, "{case}");
        assert_eq!(judge(&root, &certificate, 1), expected, "{case}, asked again");
    }
}

#[test]
fn a_chain_ends_with_its_intermediate_on_a_connection_that_lives_on() {
    let root = Authority::root("root");
    let issuing = root.intermediate_until("issuing", NOON + 100);
    let certificate = read(&issuing.issue(&Leaf::client("orders")));
    let anchors = TrustAnchors::from_der([root.der()]).unwrap();
    let policy = Policy::builder().trust(anchors).build().unwrap();
    let presented = certificate.into();
    for (at, expected) in [(0, true), (100, true), (101, false), (102, false)] {
        assert_eq!(policy.judge(&presented, NOW.plus(at)).is_ok(), expected, "at {at}");
    }
}

#[test]
fn a_refused_chain_is_not_tried_again_on_every_request_but_is_tried_again() {
    let root = Authority::root("root");
    let leaf = Leaf::client("orders").from(NOON + 30);
    let certificate = read(&root.issue(&leaf));
    let anchors = TrustAnchors::from_der([root.der()]).unwrap();
    let builder = Policy::builder().allow_outside_validity().trust(anchors);
    let policy = builder.build().unwrap();
    let presented = certificate.into();
    for (at, expected) in [(0, false), (59, false), (61, true)] {
        assert_eq!(policy.judge(&presented, NOW.plus(at)).is_ok(), expected, "at {at}");
    }
}

#[test]
fn the_issuers_thumbprint_counts_only_if_it_signed() {
    let root = Authority::root("root");
    let issuing = root.intermediate("issuing");
    let other = root.intermediate("other");
    let client = Leaf::client("orders");
    let issued = issuing.issue(&client);
    let under = |authority: &Authority| Rule::issuer_thumbprint([Thumbprint::sha256_of(authority.der())]);
    let sha1 = Rule::issuer_thumbprint([Thumbprint::sha1_of(issuing.der())]);
    let shown = Issued { chain: vec![other.der().to_vec()], ..issuing.issue(&client) };
    let anchors = TrustAnchors::from_der([root.der()]).unwrap();
    let among = Rule::issuer_thumbprint_among([Thumbprint::sha256_of(root.der())], anchors);
    for (case, rule, certificate, expected) in [
        ("the issuer", under(&issuing), read(&issued), Answer::Holds),
        ("the issuer by SHA-1", sha1, read(&issued), Answer::Holds),
        ("the root above it", under(&root), read(&issued), Answer::CannotTell),
        ("a certificate that is only shown", under(&other), read(&shown), Answer::CannotTell),
        ("an issuer that is not shown", under(&root), read(&root.issue(&client)), Answer::CannotTell),
        ("an issuer among the roots", among, read(&root.issue(&client)), Answer::Holds),
    ] {
        assert_eq!(answer(&rule, &certificate).0, expected, "{case}");
    }
}

#[test]
fn roots_that_cannot_be_read_name_their_line() {
    let good = Authority::root("root");
    let bad = format!("{}-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", good.pem());
    let line = good.pem().lines().count() + 1;
    let error = TrustAnchors::from_pem(bad.as_bytes()).unwrap_err().to_string();
    assert!(error.starts_with(&format!("line {line}:")), "{error}");
    assert_eq!(TrustAnchors::from_der([]).unwrap_err(), TrustError::Empty);
}
