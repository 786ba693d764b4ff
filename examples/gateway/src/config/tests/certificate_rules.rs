//! Keys of `[routes.client_certificate]`: values, diagnostics and proof.

use tower_mtls::certificate::ExtendedKeyUsage;

use super::*;

const HASH: &str = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08";
const OTHER_HASH: &str = "60303ae22b998861bce3b28f33eec1be758a213c86c93c076dbe9f558c11c752";
const SHA1: &str = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b";

/// A file with these rules from line 6 on, and further lines below them.
fn with_rules(rules: &str, further: &str) -> String {
    format!(
        "{LISTENER}\ntrust.partners.ca = 'ca.pem'\n[[routes]]\npath = '/'\nupstream = 'http://b'\n\
         [routes.client_certificate]\n{rules}\n{further}\n"
    )
}

fn rules_of(rules: &str) -> CertificateRules {
    let (config, found) = parsed(&with_rules(rules, ""));
    assert_eq!(found, [], "{rules}");
    config.unwrap().routes[0].client_certificate.as_ref().unwrap().value.clone()
}

#[test]
fn every_rule_is_read_as_a_list_and_as_a_single_value() {
    let all = format!(
        "trust = 'partners'\norganizational_unit = ['Orders', 'Billing']\norganization = 'Contoso'\nuri = ['urn:a', 'urn:b']\nspiffe_id = 'spiffe://contoso.com/orders'\n\
         spiffe_trust_domain = ['contoso.com']\nemail = 'orders@contoso.com'\nip_address = ['10.1.2.3', '2001:db8::1']\n\
         serial = '0a:1b'\nextended_key_usage = ['clientAuth', '1.3.6.1.4.1.311.20.2.2']\n\
         issuer_thumbprint = ['{SHA1}', '{HASH}']\nspki_pin = ['spki-sha256:{HASH}', '{OTHER_HASH}']"
    );
    let rules = rules_of(&all).all_of;
    assert_eq!((rules.organizational_unit.len(), rules.organization[0].as_str()), (2, "Contoso"));
    assert_eq!(rules.uri.iter().map(|uri| uri.as_str()).collect::<Vec<_>>(), ["urn:a", "urn:b"]);
    assert_eq!(rules.spiffe_id[0].to_string(), "spiffe://contoso.com/orders");
    assert_eq!(rules.spiffe_trust_domain[0].to_string(), "contoso.com");
    assert_eq!(rules.email[0].as_str(), "orders@contoso.com");
    assert_eq!(rules.ip_address[1].to_string(), "2001:db8::1");
    assert_eq!(rules.serial[0].to_string(), "0A1B");
    assert_eq!(rules.extended_key_usage[0].value, ExtendedKeyUsage::ClientAuth);
    assert_eq!((rules.issuer_thumbprint.len(), rules.spki_pin.len()), (2, 2));
    assert_eq!((rules.spki_pin[0].line, rules.spki_pin[0][0]), (18, 0x9f));
}

#[test]
fn any_of_is_read_inline_and_as_sections() {
    let inline = format!("any_of = [{{ trust = 'partners', uri = 'urn:a' }}, {{ thumbprint = '{SHA1}' }}]");
    let sections = format!(
        "[[routes.client_certificate.any_of]]\ntrust = 'partners'\nuri = 'urn:a'\n\
         [[routes.client_certificate.any_of]]\nthumbprint = '{SHA1}'"
    );
    for text in [inline, sections] {
        let rules = rules_of(&text);
        assert_eq!(rules.all_of, RuleSet::default(), "{text}");
        let [first, second] = &rules.any_of[..] else { panic!("{text}: {rules:?}") };
        assert_eq!(
            (first.key.as_str(), first.uri.len()),
            ("routes[1].client_certificate.any_of[1]", 1),
            "{text}"
        );
        assert_eq!((second.thumbprint.len(), second.trust.is_none()), (1, true), "{text}");
    }
}

#[test]
fn management_rules_have_the_same_keys() {
    let (config, found) = parsed(&with_rules(
        "trust = 'partners'",
        &format!(
            "[management]\naddress = '127.0.0.1:1'\n[management.client_certificate]\nspki_pin = '{HASH}'\n\
             [[management.client_certificate.any_of]]\nemail = 'a@b'\n[[management.client_certificate.any_of]]\nuri = 'urn:a'"
        ),
    ));
    assert_eq!(found, []);
    let management = config.unwrap().management.unwrap();
    let rules = management.client_certificate.unwrap();
    assert_eq!(
        (rules.any_of.len(), rules.any_of[1].key.as_str()),
        (2, "management.client_certificate.any_of[2]")
    );
}

#[test]
fn invalid_values_are_reported_with_line_and_remedy() {
    for (rule, key, problem, remedy) in [
        ("uri = 'orders'", "uri", "\"orders\" has no scheme", "urn:example:orders"),
        ("uri = 'urn:a b'", "uri", "character that is not allowed", "whole URI"),
        (
            "spiffe_id = 'spiffe://Contoso.com/a'",
            "spiffe_id",
            "is not a SPIFFE ID",
            "spiffe://TRUST-DOMAIN/PATH",
        ),
        (
            "spiffe_trust_domain = 'spiffe://a'",
            "spiffe_trust_domain",
            "is not a SPIFFE trust domain",
            "without spiffe://",
        ),
        ("email = 'contoso.com'", "email", "has no @", "orders@contoso.com"),
        ("email = '*@contoso.com'", "email", "has a *", "one address"),
        ("ip_address = '10.0.0.0/8'", "ip_address", "is not an IP address", "ranges are not supported"),
        ("serial = '0x1'", "serial", "is not a serial number", "in hex"),
        ("serial = 17", "serial", "is a number, not a string", "in quotation marks"),
        ("extended_key_usage = 'client'", "extended_key_usage", "is not an extended key usage", "clientAuth"),
        ("issuer_thumbprint = 'aa'", "issuer_thumbprint", "is not a thumbprint", "40 hex digits"),
        ("spki_pin = 'sha256:00'", "spki_pin", "pins a certificate, not a public key", "spki-sha256:HEX"),
        ("spki_pin = 'aa'", "spki_pin", "is not a SHA-256 hash", "base64"),
        ("spki_pin = []", "spki_pin", "is an empty list", "name at least one"),
        ("any_of = []", "any_of", "is an empty list", "at least one alternative"),
        ("any_of = 'x'", "any_of", "is not a list of tables", "[[routes.client_certificate.any_of]]"),
        ("any_of = { uri = 'urn:a' }", "any_of", "is not a list of tables", "any_of = [{ ... }, { ... }]"),
        ("any_of = ['x']", "any_of[1]", "is a string, not a table", "[[routes.client_certificate.any_of]]"),
        ("any_of = [{}]", "any_of[1]", "every certificate matches", "add a rule"),
        (
            "any_of = [{ mode = 'shadow' }]",
            "any_of[1].mode",
            "is not a known key",
            "it belongs to [routes.client_certificate]",
        ),
        ("any_of = [{ any_of = [] }]", "any_of[1].any_of", "is not a known key", "it belongs to"),
        ("any_of = [{ in_store = true }]", "any_of[1].in_store", "needs a store", "add [store]"),
        (
            "any_of = [{ trust = 'partner' }]",
            "any_of[1].trust",
            "is not defined",
            "did you mean \"partners\"?",
        ),
        ("any_of = [{ emial = 'a@b' }]", "any_of[1].emial", "is not a known key", "did you mean email?"),
        ("spki_pins = 'aa'", "spki_pins", "is not a known key", "did you mean spki_pin?"),
        ("fingerprint = 'aa'", "fingerprint", "is not a known key", "did you mean thumbprint?"),
        ("pin = 'aa'", "pin", "is not a known key", "did you mean spki_pin?"),
        ("serial_number = '1'", "serial_number", "is not a known key", "did you mean serial?"),
        ("spiffe = 'x'", "spiffe", "is not a known key", "spiffe_id"),
        ("ou = 'a'", "ou", "is not a known key", "did you mean organizational_unit?"),
        ("organisation = 'a'", "organisation", "is not a known key", "did you mean organization?"),
        ("eku = 'clientAuth'", "eku", "is not a known key", "did you mean extended_key_usage?"),
    ] {
        let (_, found) = parsed(&with_rules(&format!("trust = 'partners'\n{rule}"), ""));
        let [error] = &found[..] else { panic!("{rule}: {found:#?}") };
        let key = format!("routes[1].client_certificate.{key}");
        assert_eq!(
            (error.line, error.key.as_str(), error.is_error()),
            (8, key.as_str(), true),
            "{rule}: {error}"
        );
        assert!(error.problem.contains(problem), "{rule}: {error}");
        assert!(error.remedy.contains(remedy), "{rule}: {error}");
    }
}

#[test]
fn misspelt_anchor_is_one_error() {
    for rules in ["spki = 'aa'\nuri = 'urn:a'", "fingerprint = 'aa'\nuri = 'urn:a'", "any_off = []"] {
        let (_, found) = parsed(&with_rules(rules, ""));
        let [error] = &found[..] else { panic!("{rules}: {found:#?}") };
        assert!(error.remedy.starts_with("did you mean"), "{rules}: {error}");
    }
}

#[test]
fn values_with_another_meaning_than_intended_are_warnings() {
    for (rule, problem, remedy) in [
        ("uri = 'spiffe://a/b'", "several URIs", "write spiffe_id = [\"spiffe://a/b\"]"),
        ("common_name = 'CN=a'", "begins with CN=", "write \"a\""),
        ("organizational_unit = 'OU=a'", "begins with OU=", "write \"a\""),
        ("organization = 'o = a'", "begins with O=", "write \"a\""),
    ] {
        let (config, found) = parsed(&with_rules(&format!("trust = 'partners'\n{rule}"), ""));
        let [warning] = &found[..] else { panic!("{rule}: {found:#?}") };
        assert!(config.is_some() && warning.severity == Severity::Warning, "{rule}: {warning}");
        assert!(warning.problem.contains(problem) && warning.remedy == remedy, "{rule}: {warning}");
    }
}

/// Rules, and the key below `client_certificate` of the only error about their proof.
#[rustfmt::skip]
fn proofs() -> Vec<(String, Option<&'static str>)> {
    let (pin, two) = (format!("spki_pin = '{HASH}'"), format!("spki_pin = ['{HASH}', '{OTHER_HASH}']"));
    let (same, signed) = (format!("spki_pin = ['{HASH}', 'spki-sha256:{HASH}']"), format!("issuer_thumbprint = '{SHA1}'"));
    let other = format!("spki_pin = '{OTHER_HASH}'");
    vec![
        // One key: rules about the certificate's contents prove nothing.
        ("organizational_unit = 'a'".into(), Some("")),
        ("organization = 'a'".into(), Some("")),
        ("uri = 'urn:a'".into(), Some("")),
        ("spiffe_id = 'spiffe://a/b'".into(), Some("")),
        ("spiffe_trust_domain = 'a'".into(), Some("")),
        ("email = 'a@b'".into(), Some("")),
        ("ip_address = '::1'".into(), Some("")),
        ("serial = '1'".into(), Some("")),
        ("extended_key_usage = 'clientAuth'".into(), Some("")),
        ("in_store = false\nserial = '1'".into(), Some("")),
        // Anchors.
        (pin.clone(), None),
        (two.clone(), None),
        (signed.clone(), None),
        ("trust = 'partners'\nemail = 'a@b'".into(), None),
        // Groups: each alternative needs an anchor, unless the rules beside the group have one.
        ("any_of = [{ uri = 'urn:a' }]".into(), Some(".any_of[1]")),
        (format!("any_of = [{{ {pin} }}, {{ uri = 'urn:a' }}]"), Some(".any_of[2]")),
        (format!("any_of = [{{ {pin} }}, {{ {signed} }}, {{ trust = 'partners' }}]"), None),
        ("trust = 'partners'\nany_of = [{ uri = 'urn:a' }, { email = 'a@b' }]".into(), None),
        ("allow_unanchored = true\nany_of = [{ uri = 'urn:a' }]".into(), None),
        // Names beside public keys: one key owner could use the name of another.
        (format!("{pin}\ncommon_name = 'a'"), None),
        (format!("{same}\ncommon_name = 'a'"), None),
        (format!("{two}\ncommon_name = 'a'"), Some(".common_name")),
        (format!("{two}\nemail = 'a@b'"), Some(".email")),
        (format!("{two}\nin_store = false\nemail = 'a@b'"), Some(".email")),
        (format!("{two}\norganizational_unit = 'a'"), Some(".organizational_unit")),
        (format!("{two}\norganization = 'a'"), Some(".organization")),
        (format!("{two}\nserial = '1'"), Some(".serial")),
        (format!("{two}\nextended_key_usage = 'clientAuth'"), None),
        (format!("{two}\ntrust = 'partners'\ncommon_name = 'a'"), None),
        (format!("{two}\n{signed}\ncommon_name = 'a'"), None),
        (format!("{two}\nthumbprint = '{SHA1}'\ncommon_name = 'a'"), None),
        (format!("{two}\nallow_unanchored = true\ncommon_name = 'a'"), Some(".common_name")),
        (format!("any_of = [{{ {pin}, uri = 'urn:a' }}, {{ {other}, uri = 'urn:b' }}]"), None),
        (format!("any_of = [{{ {two}, uri = 'urn:a' }}, {{ trust = 'partners' }}]"), Some(".any_of[1].uri")),
        (format!("common_name = 'a'\nany_of = [{{ {pin} }}, {{ {other} }}]"), Some(".common_name")),
        (format!("common_name = 'a'\nany_of = [{{ {pin} }}, {{ trust = 'partners', {other} }}]"), Some(".common_name")),
        (format!("{two}\nany_of = [{{ uri = 'urn:a' }}, {{ trust = 'partners' }}]"), Some(".any_of[1].uri")),
        (format!("{two}\nany_of = [{{ {pin}, uri = 'urn:a' }}, {{ {other}, uri = 'urn:b' }}]"), None),
    ]
}

#[test]
fn rules_need_an_anchor_and_names_need_proof() {
    for (rules, expected) in proofs() {
        let (_, found) = parsed(&with_rules(&rules, ""));
        match (expected, &found[..]) {
            (None, []) => {}
            (Some(key), [error]) if error.is_error() => {
                assert_eq!(error.key, format!("routes[1].client_certificate{key}"), "{rules}: {error}");
                assert!(!error.remedy.is_empty(), "{rules}: {error}");
            }
            _ => panic!("{rules}: {found:#?}"),
        }
    }
}

#[test]
fn remedy_for_unproven_names_works_as_pasted() {
    let rules = format!("spki_pin = ['{HASH}', '{OTHER_HASH}']\ncommon_name = 'a'");
    let (_, found) = parsed(&with_rules(&rules, ""));
    assert_eq!(
        found[0].to_string(),
        "etc/gateway.toml:8: routes[1].client_certificate.common_name: is not proven by spki_pin: the owner of each of \
         the 2 keys can issue itself a certificate with any name; add trust = \"partners\", or remove common_name"
    );
    rules_of(&format!("{rules}\ntrust = \"partners\""));
    rules_of(rules.lines().next().unwrap());
}

#[test]
fn identity_by_names_needs_more_proof_than_a_public_key() {
    let by = |claim: &str| {
        format!(
            "identity_by = {{ claim = '{claim}', identities = {{ '{SHA1}' = 'a' }} }}\nclient_certificate = {{ RULES }}\n\
             [identities.a]\npfx = 'a'\npassword_file = 'b'"
        )
    };
    let text = |claim: &str, rules: &str| {
        let route =
            format!("{LISTENER}\ntrust.partners.ca = 'c'\n[[routes]]\npath = '/'\nupstream = 'https://b'\n");
        route + &by(claim).replace("RULES", rules)
    };
    let pin = format!("spki_pin = '{HASH}'");
    for (claim, rules, is_error) in [
        ("common_name", pin.clone(), true),
        ("dns_name", format!("any_of = [{{ {pin} }}, {{ trust = 'partners' }}]"), true),
        ("thumbprint", pin.clone(), false),
        ("common_name", format!("{pin}, trust = 'partners'"), false),
        (
            "common_name",
            format!("any_of = [{{ {pin}, trust = 'partners' }}, {{ thumbprint = '{SHA1}' }}]"),
            false,
        ),
    ] {
        let (_, found) = parsed(&text(claim, &rules));
        let errors: Vec<_> = found.iter().filter(|found| found.is_error()).collect();
        assert_eq!(!errors.is_empty(), is_error, "{claim} {rules}: {found:#?}");
        for error in errors {
            assert_eq!(error.key, "routes[1].identity_by.claim", "{claim} {rules}");
            assert!(error.remedy.starts_with("add trust = \"partners\""), "{error}");
        }
    }
}

#[test]
fn pinned_keys_do_not_prove_names_whatever_is_allowed() {
    let two = format!("spki_pin = ['{HASH}', '{OTHER_HASH}']\nsubject = ['CN=orders', 'CN=billing']");
    let mixed = format!(
        "subject = ['CN=orders', 'CN=billing']\nany_of = [{{ trust = 'partners' }}, {{ spki_pin = '{HASH}' }}]"
    );
    for rules in [&two, &mixed] {
        for allowed in ["", "\nallow_unanchored = true"] {
            let (_, found) = parsed(&with_rules(&format!("{rules}{allowed}"), ""));
            let errors: Vec<_> = found.iter().filter(|finding| finding.is_error()).collect();
            assert_eq!(errors.len(), 1, "{rules}{allowed}: {found:?}");
            assert!(errors[0].to_string().contains("is not proven by spki_pin"), "{errors:?}");
        }
    }
}
