//! Each rule, and combinations of rules.

use rcgen::{DnType, ExtendedKeyUsagePurpose};

mod cached_verdicts;
mod forged_names;
mod subject;
#[cfg(feature = "trust")]
mod trust;
mod unproven;

use super::*;
use crate::pki::{Authority, Issued, Leaf, NOON};
use crate::{
    Certificate,
    certificate::{ExtendedKeyUsage, KeyKind, Thumbprint},
    shared::Shared,
};

const NOW: Timestamp = Timestamp::from_unix(NOON);

fn read(issued: &Issued) -> Certificate {
    Certificate::from_der_chain(&issued.der, issued.chain.iter().map(Vec::as_slice)).unwrap()
}

fn self_signed(leaf: &Leaf) -> Certificate {
    read(&leaf.self_signed())
}

fn orders() -> Certificate {
    self_signed(&Leaf::client("orders").dns("orders.contoso.com"))
}

fn answer(rule: &Rule, certificate: &Certificate) -> (Answer, RejectionKind) {
    let result = rule.judge(certificate, NOW);
    (result.answer, result.kind)
}

#[test]
fn rules_hold_for_a_listed_value_and_fail_with_their_own_kind_otherwise() {
    let orders = orders();
    let subject = |text: &str| Rule::subject([text.parse().unwrap()]);
    let issuer = |text: &str| Rule::issuer([text.parse().unwrap()]);
    let dns = |text: &str| Rule::dns_name([text.parse().unwrap()]);
    let zero = Thumbprint::Sha256([0; 32]);
    use RejectionKind as Kind;
    let table = [
        ("validity", Rule::validity(), None),
        ("subject", subject("CN=orders,O=Contoso"), None),
        ("subject from the other end", subject("O=Contoso, CN=orders"), None),
        ("subject with less", subject("CN=orders"), Some(Kind::Subject)),
        ("subject with more", subject("CN=orders,OU=x,O=Contoso"), Some(Kind::Subject)),
        ("issuer", issuer("CN=orders,O=Contoso"), None),
        ("another issuer", issuer("CN=billing,O=Contoso"), Some(Kind::Issuer)),
        ("common name", Rule::common_name(["Orders"]), None),
        ("another common name", Rule::common_name(["order"]), Some(Kind::CommonName)),
        ("organization", Rule::organization(["contoso"]), None),
        ("another organization", Rule::organization(["Fabrikam"]), Some(Kind::Organization)),
        ("no organizational unit", Rule::organizational_unit(["x"]), Some(Kind::OrganizationalUnit)),
        ("no country", Rule::country(["DE"]), Some(Kind::Country)),
        ("dns name", dns("orders.contoso.com"), None),
        ("dns wildcard", dns("*.contoso.com"), None),
        ("another dns name", dns("billing.contoso.com"), Some(Kind::DnsName)),
        ("sha-1", Rule::thumbprint([zero, orders.sha1_thumbprint()]), None),
        ("sha-256", Rule::thumbprint([zero, orders.sha256_thumbprint()]), None),
        ("another thumbprint", Rule::thumbprint([zero]), Some(Kind::Thumbprint)),
        ("custom", Rule::custom("yes", |_, _| true), None),
        ("custom no", Rule::custom("no", |_, _| false), Some(Kind::Custom)),
    ];
    for (case, rule, rejected) in table {
        let expected = if rejected.is_none() { Answer::Holds } else { Answer::Fails };
        let (answer, kind) = answer(&rule, &orders);
        assert_eq!(answer, expected, "{case}");
        assert!(rejected.is_none_or(|rejected| rejected == kind), "{case}: {kind}");
    }
}

#[test]
fn names_numbers_and_keys_are_compared_by_their_standards() {
    let leaf = Leaf::client("orders")
        .uri("spiffe://contoso.com/orders/eu")
        .email("Orders@Contoso.com")
        .dns("192.0.2.7")
        .serial(0xa1b2);
    let certificate = self_signed(&leaf);
    let two_uris = self_signed(&leaf.uri("https://contoso.com/other"));
    let without = orders();
    use ExtendedKeyUsage as Usage;
    use RejectionKind as Kind;
    let id = |text: &str| Rule::spiffe_id([text.parse().unwrap()]);
    let domain = |text: &str| Rule::spiffe_trust_domain([text.parse().unwrap()]);
    let email = |text: &str| Rule::email([text]);
    let ip = |text: &str| Rule::ip_address([text.parse().unwrap()]);
    let serial = |text: &str| Rule::serial([text.parse().unwrap()]);
    let pin = |certificate: &Certificate| Rule::spki_sha256([certificate.spki_sha256()]);
    let set = |certificate: &Certificate| {
        Rule::member_of(std::collections::HashSet::from([certificate.der().to_vec()]))
    };
    let table = [
        ("uri", Rule::uri(["spiffe://contoso.com/orders/eu"]), &certificate, None),
        ("uri among two", Rule::uri(["https://contoso.com/other"]), &two_uris, None),
        ("uri in another case", Rule::uri(["spiffe://Contoso.com/orders/eu"]), &certificate, Some(Kind::Uri)),
        ("spiffe id", id("spiffe://contoso.com/orders/eu"), &certificate, None),
        ("spiffe id with less", id("spiffe://contoso.com/orders"), &certificate, Some(Kind::SpiffeId)),
        ("no spiffe id", id("spiffe://contoso.com/orders"), &without, Some(Kind::SpiffeId)),
        ("trust domain", domain("contoso.com"), &certificate, None),
        ("part of a trust domain", domain("contoso.co"), &certificate, Some(Kind::SpiffeId)),
        ("parent of a trust domain", domain("com"), &certificate, Some(Kind::SpiffeId)),
        ("email", email("Orders@contoso.COM"), &certificate, None),
        ("email, local part in another case", email("orders@Contoso.com"), &certificate, Some(Kind::Email)),
        ("email without domain", email("Orders"), &certificate, Some(Kind::Email)),
        ("ip address", ip("192.0.2.7"), &certificate, None),
        ("mapped ip address", ip("::ffff:192.0.2.7"), &certificate, Some(Kind::IpAddress)),
        ("serial", serial("a1:b2"), &certificate, None),
        ("another serial", serial("a1b3"), &certificate, Some(Kind::Serial)),
        ("usage", Rule::extended_key_usage([Usage::ServerAuth, Usage::ClientAuth]), &certificate, None),
        ("no such usage", Rule::extended_key_usage([Usage::Any]), &certificate, Some(Kind::ExtendedKeyUsage)),
        ("key", Rule::key([KeyKind::rsa(2048), KeyKind::P256]), &certificate, None),
        ("another key", Rule::key([KeyKind::P384]), &certificate, Some(Kind::Key)),
        ("public key", pin(&certificate), &certificate, None),
        ("another public key", pin(&without), &certificate, Some(Kind::SpkiPin)),
        ("member", set(&certificate), &certificate, None),
        ("not a member", set(&without), &certificate, Some(Kind::NotMember)),
    ];
    for (case, rule, certificate, rejected) in table {
        let expected = if rejected.is_none() { Answer::Holds } else { Answer::Fails };
        let (answer, kind) = answer(&rule, certificate);
        assert_eq!(answer, expected, "{case}");
        assert!(rejected.is_none_or(|rejected| rejected == kind), "{case}: {kind}");
    }
}

/// Missing, unreadable and ambiguous values admit no client, not even through `not`.
#[test]
fn not_admits_no_unreadable_or_ambiguous_value() {
    let named = |parts: &[(DnType, &str)]| self_signed(&Leaf::client("x").subject(parts));
    let contoso = "spiffe://contoso.com/orders";
    let not = |rule| Rule::not(rule);
    let domain = || Rule::spiffe_trust_domain(["contoso.com".parse().unwrap()]);
    let subject = || Rule::subject(["CN=banned,O=Contoso".parse().unwrap()]);
    let teletex = {
        let mut params = rcgen::CertificateParams::default();
        params.distinguished_name = rcgen::DistinguishedName::new();
        let value = rcgen::DnValue::TeletexString("banned#".try_into().unwrap());
        params.distinguished_name.push(DnType::CommonName, value);
        let der = params.self_signed(&rcgen::KeyPair::generate().unwrap()).unwrap();
        Certificate::from_der(der.der()).unwrap()
    };
    for (case, rule, certificate, expected) in [
        ("another name", not(Rule::common_name(["banned"])), orders(), Answer::Holds),
        (
            "the banned name",
            not(Rule::common_name(["banned"])),
            named(&[(DnType::CommonName, "Banned")]),
            Answer::Fails,
        ),
        ("an unreadable name", not(Rule::common_name(["banned"])), teletex.clone(), Answer::CannotTell),
        ("an unreadable subject", not(subject()), teletex, Answer::CannotTell),
        (
            "hidden characters",
            not(subject()),
            named(&[(DnType::CommonName, "ban\u{200b}ned")]),
            Answer::CannotTell,
        ),
        (
            "hidden characters in the common name",
            not(Rule::common_name(["banned"])),
            named(&[(DnType::CommonName, "ban\u{200b}ned")]),
            Answer::CannotTell,
        ),
        (
            "a wildcard of the certificate's own",
            not(Rule::dns_name(["banned.contoso.com".parse().unwrap()])),
            self_signed(&Leaf::client("x").dns("*.contoso.com")),
            Answer::CannotTell,
        ),
        ("no SPIFFE ID", not(domain()), orders(), Answer::Holds),
        ("the banned domain", not(domain()), self_signed(&Leaf::client("x").uri(contoso)), Answer::Fails),
        (
            "the banned domain beside another URI",
            not(domain()),
            self_signed(&Leaf::client("x").uri(contoso).uri("https://x.example")),
            Answer::CannotTell,
        ),
        (
            "a malformed ID",
            not(domain()),
            self_signed(&Leaf::client("x").uri("SPIFFE://contoso.com/a")),
            Answer::CannotTell,
        ),
    ] {
        assert_eq!(answer(&rule, &certificate).0, expected, "{case}");
    }
}

#[test]
fn rsa_keys_must_be_at_least_as_long_as_stated() {
    for (has, demanded, expected) in [
        (KeyKind::rsa(2048), KeyKind::rsa(2048), true),
        (KeyKind::rsa(4096), KeyKind::rsa(3072), true),
        (KeyKind::rsa(1024), KeyKind::rsa(2048), false),
        (KeyKind::P256, KeyKind::rsa(1), false),
        (KeyKind::Ed25519, KeyKind::Ed25519, true),
        (KeyKind::Other, KeyKind::Other, false),
    ] {
        assert_eq!(has.satisfies(demanded), expected, "{has} for {demanded}");
    }
}

#[test]
fn explanation_names_demand_and_value_of_each_rule() {
    let certificate = orders();
    let policy = Policy::builder()
        .thumbprint(certificate.sha256_thumbprint())
        .subject("CN=billing,O=Contoso".parse().unwrap())
        .require(Rule::any([Rule::common_name(["orders"]), Rule::common_name(["billing"])]))
        .build()
        .unwrap();
    let presented = certificate.into();
    let explanation = policy.explain(&presented, NOW);
    let answers: Vec<_> = explanation.rules().iter().map(RuleExplanation::answer).collect();
    assert_eq!(answers, [Answer::Holds, Answer::Holds, Answer::Fails, Answer::Holds]);
    assert_eq!(explanation.verdict(), policy.judge(&presented, NOW));
    let text = explanation.to_string();
    for line in [
        "FAILS: the subject is CN=billing,O=Contoso (it has: CN=orders,O=Contoso)",
        "holds: at least one of",
        "  holds: the only common name is \"orders\" (it has: \"orders\")",
        "  FAILS: the only common name is \"billing\" (it has: \"orders\")",
        "refused: the client certificate's subject is not allowed",
    ] {
        assert!(text.lines().any(|found| found == line), "{line:?} in\n{text}");
    }
    assert_eq!(
        policy.explain(&Presented::Nothing, NOW).to_string(),
        "refused: no client certificate was presented"
    );
}

#[test]
fn groups_combine_three_values() {
    let certificate = orders();
    let rule = |answer| Rule::custom("fixed", move |_, _| answer);
    use Answer::{CannotTell as T, Fails as F, Holds as H};
    for (one, other, all, any) in [
        (H, H, H, H),
        (H, F, F, H),
        (F, H, F, H),
        (F, F, F, F),
        (H, T, T, H),
        (T, H, T, H),
        (F, T, F, T),
        (T, F, F, T),
        (T, T, T, T),
    ] {
        assert_eq!(
            answer(&Rule::all([rule(one), rule(other)]), &certificate).0,
            all,
            "all {one:?} {other:?}"
        );
        assert_eq!(
            answer(&Rule::any([rule(one), rule(other)]), &certificate).0,
            any,
            "any {one:?} {other:?}"
        );
    }
    for (inner, outer) in [(H, F), (F, H), (T, T)] {
        assert_eq!(answer(&Rule::not(rule(inner)), &certificate).0, outer, "not {inner:?}");
    }
}

#[test]
fn undecided_rules_reject() {
    let certificate = orders();
    let thumbprint = certificate.sha256_thumbprint();
    for rule in [
        Rule::custom("undecided", |_, _| Answer::CannotTell),
        Rule::not(Rule::custom("undecided", |_, _| Answer::CannotTell)),
    ] {
        let policy = Policy::builder().thumbprint(thumbprint).require(rule).build().unwrap();
        let rejection = policy.judge(&certificate.clone().into(), NOW).unwrap_err();
        assert_eq!(rejection.kind(), RejectionKind::Undecidable);
    }
}

#[test]
fn missing_and_unreadable_certificates_are_rejected_before_any_rule() {
    let policy =
        Policy::builder().require(Rule::custom("anyone", |_, _| true)).allow_unanchored().build().unwrap();
    let unreadable = Presented::from_der_chain([&b"garbage"[..]]);
    assert_eq!(policy.judge(&Presented::Nothing, NOW).unwrap_err().kind(), RejectionKind::Missing);
    assert_eq!(policy.judge(&unreadable, NOW).unwrap_err().kind(), RejectionKind::Unreadable);
}

#[test]
fn text_that_resembles_a_name_does_not_match() {
    let lying = [(DnType::OrganizationName, "x, CN=admin"), (DnType::CommonName, "foo/O=Contoso")];
    let certificate = self_signed(&Leaf::client("x").subject(&lying));
    for text in ["CN=admin,O=x", "CN=foo,O=Contoso", "CN=foo,O=x", "CN=admin"] {
        let rule = Rule::subject([text.parse().unwrap()]);
        assert_eq!(answer(&rule, &certificate).0, Answer::Fails, "{text}");
    }
    let honest = Rule::subject([r#"CN=foo/O=Contoso, O="x, CN=admin""#.parse().unwrap()]);
    assert_eq!(answer(&honest, &certificate).0, Answer::Holds);
}
