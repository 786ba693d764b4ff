//! Rules for client certificates, and policy documents.

use super::*;

#[test]
fn rules_without_proof_need_allow_unanchored() {
    let cases: &[(&str, Option<&str>)] = &[
        ("", Some("no rule besides validity")),
        ("validity = true", Some("no rule besides validity")),
        ("validity = false", Some("has no rule;")),
        ("validity = false\nallow_unanchored = true", Some("has no rule;")),
        ("allow_unanchored = true", None),
        ("issuer = \"CN=a\"", Some("can be forged")),
        ("dns_name = \"a.b\"\nallow_unanchored = false", Some("can be forged")),
        ("issuer = \"CN=a\"\nallow_unanchored = true", None),
        ("issuer = \"CN=a\"\nthumbprint = \"aa\"", None),
        ("thumbprint_file = \"f\"", None),
        ("trust = \"t\"\nvalidity = true", None),
    ];
    for (rules, expected) in cases {
        let text = format!(
            "{LISTENER}\ntrust.t.ca = \"ca.pem\"\n[[routes]]\npath = \"/\"\nupstream = \"http://b\"\n\
             [routes.client_certificate]\n{rules}\n"
        );
        let (_, found) = parsed(&text);
        match expected {
            None => assert_eq!(found, [], "{rules}"),
            Some(word) => {
                assert_eq!(found.len(), 1, "{rules}: {found:#?}");
                assert_eq!((found[0].line, found[0].key.as_str()), (6, "routes[1].client_certificate"));
                assert!(found[0].to_string().contains(word), "{rules}: {}", found[0]);
            }
        }
    }
}

#[test]
fn rules_without_effect_are_warnings() {
    for (rules, expected) in [
        ("trust = 't'\ncommon_name = 'orders-client'", &[][..]),
        ("thumbprint = 'aa'\nvalidity = false", &[]),
        (
            "trust = 't'\nvalidity = false",
            &[
                "etc/gateway.toml:8: warning: routes[1].client_certificate.validity: has no effect beside trust, which \
                 judges the dates of the whole chain; remove it",
            ],
        ),
        (
            "trust = 't'\ncommon_name = ['one', 'Cn = two', 'CN=three']",
            &[
                "etc/gateway.toml:8: warning: routes[1].client_certificate.common_name: \"Cn = two\" begins with CN=; \
                 write \"two\"",
                "etc/gateway.toml:8: warning: routes[1].client_certificate.common_name: \"CN=three\" begins with CN=; \
                 write \"three\"",
            ],
        ),
    ] {
        let (config, found) = parsed(&format!(
            "{LISTENER}\ntrust.t.ca = 'ca.pem'\n[[routes]]\npath = '/'\nupstream = 'http://b'\n\
             [routes.client_certificate]\n{rules}\n"
        ));
        assert!(config.is_some(), "{rules}");
        assert_eq!(found.iter().map(ToString::to_string).collect::<Vec<_>>(), expected, "{rules}");
    }
}

#[test]
fn policy_document_excludes_rules_but_trust_mode_and_allow_unanchored() {
    let route = "[[routes]]\npath = \"/\"\nupstream = \"https://back\"\n[routes.client_certificate]\npolicy = \"p.xml\"\n";
    let text = |rest: &str| format!("{LISTENER}\n{route}{rest}\n[trust.t]\nca = \"ca.pem\"\n");
    let (config, found) = parsed(&text("trust = \"t\"\nmode = \"shadow\"\nallow_unanchored = true"));
    // An anonymous route is noted when the document has been read: it may choose an identity.
    assert_eq!(found, []);
    let config = config.unwrap();
    let rules = config.routes[0].client_certificate.as_ref().unwrap();
    let policy = rules.policy.as_ref().unwrap();
    assert_eq!((&*policy.resolved, policy.line), (Path::new("etc/p.xml"), 6));
    assert!(rules.allow_unanchored && !config.trust["t"].revocation.is_off(), "nothing is stated");

    let rest = "validity = true\nissuer = \"CN=a\"\nsubject = \"CN=a\"\ncommon_name = \"a\"\ndns_name = \"a\"\n\
                thumbprint = \"a\"\nthumbprint_file = \"a\"\nin_store = true";
    let (_, found) = parsed(&text(rest));
    let lines: Vec<_> = found.iter().map(|finding| finding.line).collect();
    assert_eq!(lines, (7..=14).collect::<Vec<_>>(), "{found:#?}");
    assert!(
        found.iter().all(|finding| finding.problem.starts_with("has no effect beside policy")),
        "{found:#?}"
    );

    let (_, found) = parsed(&format!(
        "{LISTENER}\n[management]\naddress = \"127.0.0.1:1\"\n\
        [management.client_certificate]\nallow_unanchored = true\npolicy = \"p.xml\"\n{route}"
    ));
    assert!(found.iter().any(|finding| finding.key == "management.client_certificate.policy"), "{found:#?}");
}

#[test]
fn apis_allow_unanchored_is_read() {
    let route = "[[routes]]\npath = \"/\"\nupstream = \"http://b\"\n[store]\npath = \"s\"\n";
    for (key, expected) in [
        ("", Ok(false)),
        ("allow_unanchored = false", Ok(false)),
        ("allow_unanchored = true", Ok(true)),
        ("allow_unanchored = \"true\"", Err("apis.allow_unanchored")),
        ("allow_unanchord = true", Err("apis.allow_unanchord")),
    ] {
        let (config, found) = parsed(&format!("{LISTENER}\n{route}[apis]\n{key}\n"));
        let found = found.into_iter().find(crate::config::Diagnostic::is_error);
        match expected {
            Ok(allowed) => {
                assert_eq!(config.map(|config| config.apis.allow_unanchored), Some(allowed), "{key}")
            }
            Err(named) => assert_eq!(found.map(|error| error.key).as_deref(), Some(named), "{key}"),
        }
    }
}
