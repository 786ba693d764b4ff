//! Chains and issuers.

use rcgen::{CertificateParams, IsCa, Issuer, KeyPair, KeyUsagePurpose};

use super::*;
use crate::pki::pem_of;

/// The kind of rejection by a policy with these roots alone, and by the roots.
fn judge(root: &Authority, certificate: &Certificate, at: i64) -> Option<RejectionKind> {
    let roots = TrustAnchors::from_pem(root.pem().as_bytes()).unwrap();
    let policy = Policy::builder().trust(roots.clone()).build().unwrap();
    let (presented, now) = (certificate.clone().into(), NOW.plus(at));
    let [by_policy, by_roots] = [policy.judge(&presented, now), roots.judge(&presented, now)]
        .map(|judged| judged.err().map(|rejection| rejection.kind()));
    assert_eq!(by_policy, by_roots);
    by_policy
}

#[test]
fn roots_judge_what_was_presented() {
    let root = Authority::root("root");
    let roots = TrustAnchors::from_der([root.der()]).unwrap();
    let presented = |leaf: Leaf| Presented::from(read(&root.issue(&leaf)));
    let client = Leaf::client("orders");
    let lasting = presented(client.clone().until(NOON + 10));
    let before_1970 = Timestamp::from_unix(-1);
    for (case, presented, now, expected) in [
        ("nothing", &Presented::Nothing, NOW, Some(RejectionKind::Missing)),
        ("garbage", &Presented::from_der_chain([&b"x"[..]]), NOW, Some(RejectionKind::Unreadable)),
        ("early", &presented(client.from(NOON + 1)), NOW, Some(RejectionKind::NotYetValid)),
        ("valid", &lasting, NOW, None),
        ("valid, asked again", &lasting, NOW, None),
        ("in its last second", &lasting, NOW.plus(10), None),
        ("expired", &lasting, NOW.plus(11), Some(RejectionKind::Expired)),
        ("before 1970", &lasting, before_1970, Some(RejectionKind::Undecidable)),
    ] {
        let judged = roots.judge(presented, now).err().map(|rejection| rejection.kind());
        assert_eq!(judged, expected, "{case}");
    }
}

#[test]
fn chains_are_verified_against_the_roots_for_client_authentication() {
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
        ("a CA certificate", root.issue(&client.clone().ca()), None),
        ("a self-signed CA certificate", client.clone().ca().self_signed(), not_trusted),
    ] {
        let certificate = read(&issued);
        assert_eq!(judge(&root, &certificate, 0), expected, "{case}");
        assert_eq!(judge(&root, &certificate, 1), expected, "{case}, asked again");
    }
}

#[test]
fn rejection_of_an_untrusted_chain_prints_the_reason() {
    let root = Authority::root("root");
    let client = Leaf::client("orders");
    let anchors = TrustAnchors::from_der([root.der()]).unwrap();
    let policy = Policy::builder().trust(anchors.clone()).build().unwrap();
    let server_only = client.clone().usages(&[ExtendedKeyUsagePurpose::ServerAuth]);
    for (issued, expected) in [
        (
            Authority::root("root").issue(&client),
            "no chain leads from the client certificate to a trusted root: a signature in the chain is wrong: a CA with \
             the right name and another key",
        ),
        (
            Authority::root("other").issue(&client),
            "no chain leads from the client certificate to a trusted root: no root or presented certificate issued it",
        ),
        (root.issue(&server_only), "the client certificate is not meant for client authentication"),
    ] {
        let presented = read(&issued).into();
        assert_eq!(policy.judge(&presented, NOW).unwrap_err().to_string(), expected);
        assert_eq!(anchors.judge(&presented, NOW).unwrap_err().to_string(), expected);
    }
}

#[test]
fn chain_expires_with_its_intermediate_on_an_open_connection() {
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
fn rejected_chain_is_verified_again_after_a_minute() {
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
fn chain_with_a_wrong_key_usage_is_rejected() {
    use KeyUsagePurpose::{CrlSign, DigitalSignature, KeyAgreement, KeyCertSign, KeyEncipherment};
    let root = Authority::root("root");
    let client = Leaf::client("orders");
    let under = |usages: &[KeyUsagePurpose]| root.intermediate_for("issuing", usages).issue(&client);
    let leaf = |usages: &[KeyUsagePurpose]| root.issue(&client.clone().key_usages(usages));
    let crl_root = Authority::root_for("root", &[CrlSign]);
    let self_signed = client.clone().key_usages(&[DigitalSignature]).self_signed();
    let other = Authority::root("other");
    let rejected = Some(RejectionKind::KeyUsage);
    for (case, root, issued, expected) in [
        ("a CA without the extension", &root, under(&[]), None),
        ("a CA with keyCertSign", &root, under(&[KeyCertSign]), None),
        ("a CA for signatures", &root, under(&[DigitalSignature]), rejected),
        ("a CA for revocation lists", &root, under(&[CrlSign]), rejected),
        ("a root for revocation lists", &crl_root, crl_root.issue(&client), rejected),
        ("a leaf for signatures", &root, leaf(&[DigitalSignature, KeyEncipherment]), None),
        ("a leaf for key agreement", &root, leaf(&[KeyAgreement]), None),
        ("a leaf for encryption", &root, leaf(&[KeyEncipherment]), rejected),
        ("a leaf for certificates", &root, leaf(&[KeyCertSign]), rejected),
        ("another root", &other, leaf(&[DigitalSignature]), Some(RejectionKind::NotTrusted)),
    ] {
        let certificate = read(&issued);
        assert_eq!(judge(root, &certificate, 0), expected, "{case}");
        assert_eq!(judge(root, &certificate, 1), expected, "{case}, asked again");
    }
    let own = TrustAnchors::from_der([self_signed.der.as_slice()]).unwrap();
    let (answer, _) = answer(&Rule::trust(own), &read(&self_signed));
    assert_eq!(answer, Answer::Holds, "a self-signed certificate that is listed itself signs no other");
}

#[test]
fn listed_self_signed_leaf_signs_no_other_certificate() {
    for is_ca in [IsCa::NoCa, IsCa::ExplicitNoCa] {
        let (own_key, leaf_key) = (KeyPair::generate().unwrap(), KeyPair::generate().unwrap());
        let mut params = CertificateParams::default();
        params.is_ca = is_ca;
        let own = params.self_signed(&own_key).unwrap().der().to_vec();
        let minted =
            CertificateParams::default().signed_by(&leaf_key, &Issuer::new(params, own_key)).unwrap();
        let minted = Issued { der: minted.der().to_vec(), chain: vec![], key: leaf_key };
        let rule = Rule::trust(TrustAnchors::from_der([own.as_slice()]).unwrap());
        let (answer, _) = answer(&rule, &read(&minted));
        assert_eq!(answer, Answer::Fails, "{is_ca:?}");
    }
}

#[test]
fn next_path_is_tried_if_a_key_usage_rejects_the_first() {
    let root = Authority::root("root");
    let good = root.intermediate_for("issuing", &[KeyUsagePurpose::KeyCertSign]);
    let bad = good.reissued_by(&root, "issuing", &[KeyUsagePurpose::CrlSign]);
    for chain in [[&bad, &good], [&good, &bad]] {
        let chain = chain.map(|authority| authority.der().to_vec()).to_vec();
        let issued = Issued { chain, ..good.issue(&Leaf::client("orders")) };
        assert_eq!(judge(&root, &read(&issued), 0), None);
    }
}

#[test]
fn root_outside_its_validity_period_is_rejected_unless_allowed() {
    let root = Authority::root_between("root", NOON + 10, NOON + 20);
    let valid = root.renewed("root", NOON, NOON + 36_500);
    let issued = root.intermediate("issuing").issue(&Leaf::client("orders"));
    let one = TrustAnchors::from_der([root.der()]).unwrap();
    let both = TrustAnchors::from_der([root.der(), valid.der()]).unwrap();
    let both_added = TrustAnchors::from_der([valid.der()]).unwrap().union(&one);
    let allowed = one.clone().allow_expired_ca();
    let expired = Some(RejectionKind::ExpiredCa);
    let strangers = Authority::root("root").issue(&Leaf::client("orders"));
    let judge = |anchors: &TrustAnchors, certificate: &Certificate, at: i64| {
        let policy = Policy::builder().trust(anchors.clone()).build().unwrap();
        policy.judge(&certificate.clone().into(), NOW.plus(at)).err().map(|rejection| rejection.kind())
    };
    for (case, at, expected) in [
        ("before", 0, expired),
        ("the first second", 10, None),
        ("the last second", 20, None),
        ("after", 21, expired),
    ] {
        assert_eq!(judge(&one, &read(&issued), at), expected, "{case}");
        assert_eq!(judge(&both, &read(&issued), at), None, "{case}, renewed");
        assert_eq!(judge(&both_added, &read(&issued), at), None, "{case}, renewed in another file");
        assert_eq!(judge(&allowed, &read(&issued), at), None, "{case}, allowed");
        let stranger = judge(&allowed, &read(&strangers), at);
        assert_eq!(stranger, Some(RejectionKind::NotTrusted), "{case}, another root's");
    }
}

#[test]
fn chain_expires_with_its_root_on_an_open_connection() {
    let root = Authority::root_between("root", NOON, NOON + 100);
    let certificate = read(&root.issue(&Leaf::client("orders")));
    let anchors = TrustAnchors::from_der([root.der()]).unwrap();
    let strict = Policy::builder().trust(anchors.clone()).build().unwrap();
    let lenient = Policy::builder().trust(anchors.allow_expired_ca()).build().unwrap();
    let presented = certificate.into();
    for (at, expected) in [(0, true), (100, true), (101, false), (102, false)] {
        assert_eq!(strict.judge(&presented, NOW.plus(at)).is_ok(), expected, "at {at}");
        assert!(lenient.judge(&presented, NOW.plus(at)).is_ok(), "at {at}, allowed");
    }
}

#[test]
fn pinned_issuer_must_be_valid_and_allowed_to_sign() {
    let root = Authority::root_between("root", NOON, NOON + 100);
    let for_lists = Authority::root_for("lists", &[KeyUsagePurpose::CrlSign]);
    let anchors = |authority: &Authority| TrustAnchors::from_der([authority.der()]).unwrap();
    let issued = |authority: &Authority| read(&authority.issue(&Leaf::client("orders")));
    let rule = |authority: &Authority, anchors| {
        Rule::issuer_thumbprint_among([Thumbprint::sha256_of(authority.der())], anchors)
    };
    for (case, rule, certificate, at, expected) in [
        ("valid", rule(&root, anchors(&root)), issued(&root), 100, Answer::Holds),
        ("expired", rule(&root, anchors(&root)), issued(&root), 101, Answer::CannotTell),
        ("allowed", rule(&root, anchors(&root).allow_expired_ca()), issued(&root), 101, Answer::Holds),
        ("for lists", rule(&for_lists, anchors(&for_lists)), issued(&for_lists), 0, Answer::CannotTell),
    ] {
        assert_eq!(rule.judge(&certificate, NOW.plus(at)).answer, expected, "{case}");
    }
}

#[test]
fn explanation_names_the_problem_of_a_chain() {
    let root = Authority::root("root");
    let old = Authority::root_between("old", NOON - 100, NOON - 1);
    let client = Leaf::client("orders");
    let lists = root.intermediate_for("issuing", &[KeyUsagePurpose::CrlSign]);
    let encipherment = client.clone().key_usages(&[KeyUsagePurpose::KeyEncipherment]);
    for (root, issued, found, verdict) in [
        (
            &root,
            lists.issue(&client),
            r#"the key usage of CA "CN=issuing,O=Contoso" lacks keyCertSign"#,
            "refused: a key usage in",
        ),
        (
            &root,
            root.issue(&encipherment),
            "neither digitalSignature nor keyAgreement",
            "refused: a key usage in",
        ),
        (
            &old,
            old.issue(&client),
            r#"root "CN=old,O=Contoso" expired at 2025-12-31T23:59:59Z"#,
            "refused: the CA at the end of",
        ),
    ] {
        let policy = Policy::builder().trust(TrustAnchors::from_der([root.der()]).unwrap()).build().unwrap();
        let explanation = policy.explain(&read(&issued).into(), NOW).to_string();
        assert!(explanation.contains(found), "{explanation}");
        assert!(explanation.contains(verdict), "{explanation}");
    }
}

#[test]
fn issuer_thumbprint_counts_only_if_its_key_signed() {
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

#[test]
fn leaf_among_roots_is_an_error_that_names_it() {
    let root = Authority::root("root");
    let signed = |params: CertificateParams| {
        let (ca_key, key) = (KeyPair::generate().unwrap(), KeyPair::generate().unwrap());
        let mut ca = CertificateParams::default();
        ca.distinguished_name.push(rcgen::DnType::CommonName, "ca");
        params.signed_by(&key, &Issuer::new(ca, ca_key)).unwrap().der().to_vec()
    };
    let mut signing = CertificateParams::default();
    signing.is_ca = IsCa::NoCa;
    signing.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    let mut explicit = signing.clone();
    explicit.is_ca = IsCa::ExplicitNoCa;
    let client = Leaf::client("orders");
    for (case, der, is_leaf) in [
        ("a client certificate", root.issue(&client).der, true),
        (
            "a server certificate",
            root.issue(&client.clone().usages(&[ExtendedKeyUsagePurpose::ServerAuth])).der,
            true,
        ),
        ("keyCertSign with CA:FALSE", signed(explicit), true),
        ("keyCertSign without basicConstraints", signed(signing), false),
        ("a self-signed client certificate", client.self_signed().der, false),
        ("a self-signed CA", client.clone().ca().self_signed().der, false),
        ("an intermediate", root.intermediate("issuing").der().to_vec(), false),
    ] {
        let read = TrustAnchors::from_der([root.der(), der.as_slice()]);
        assert_eq!(matches!(read, Err(TrustError::Leaf { index: 1, line: None, .. })), is_leaf, "{case}");
        assert_eq!(read.is_err(), is_leaf, "{case}");
    }
    let issued = root.issue(&client);
    let pem = format!("{}# orders\n{}", root.pem(), pem_of(&issued.der));
    let line = root.pem().lines().count() + 2;
    let expected = format!(
        "line {line}: \"{}\" is not a CA certificate; list the CA that issued it, or pin it by its thumbprint",
        read(&issued).subject()
    );
    assert_eq!(TrustAnchors::from_pem(pem).unwrap_err().to_string(), expected);
    let error = TrustAnchors::from_der([issued.der.as_slice()]).unwrap_err().to_string();
    assert!(error.starts_with("certificate 1: "), "{error}");
}
