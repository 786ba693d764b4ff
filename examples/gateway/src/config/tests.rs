//! Whole files: what is read, and what is said of broken ones.

mod broken;

use std::net::SocketAddr;
use std::time::Duration;

use super::*;

use self::broken::BROKEN;

/// Everything that this version supports.
const FULL: &str = r#"
[listener]
address = "127.0.0.1:8443"
certificate = "server.pem"
private_key = "/keys/server.key"
client_certificate = "request"

[trust.partners]
ca = ["partners-ca.pem", "more.pem"]
revocation = "off"

[identities.orders]
pfx = "orders.pfx"
password_file = "orders.password"

[identities.billing]
certificate = "billing.pem"
private_key = "billing.key"

[upstream_tls]
ca = "backend-ca.pem"

[[routes]]
path = "/orders/"
host = "API.Example.com."
upstream = "https://localhost:9444/api"
preserve_host = true
identity = "orders"
allow_empty_segments = true

[routes.upstream_tls]
ca = ["own-ca.pem"]
verify = "chain"
server_name = "Orders.internal"

[routes.client_certificate]
validity = true
trust = "partners"
issuer = "CN=Issuing CA, O=Contoso"
subject = ["CN=orders-client, O=Contoso"]
common_name = ["orders-client"]
dns_name = ["*.contoso.com"]
thumbprint = ["aa:bb", "cc dd"]
thumbprint_file = "allowed.txt"
allow_unanchored = false
mode = "enforce"

[[routes]]
path = "/"
upstream = "http://localhost:8080"
client_certificate = "none"
[limits]
head_timeout = "500ms"
drain_timeout = "2m"
max_connections = 1_000
max_handshakes = 0x10

[proxy]
forwarded = ["x-forwarded", "forwarded"]
remove_request_headers = ["x-my-identity", "X-Corp-*"]
"#;

/// The least that a file needs, before its routes.
const LISTENER: &str =
    r#"listener = { address = "127.0.0.1:0", certificate = "s.pem", private_key = "s.key" }"#;

fn parsed(text: &str) -> (Option<Config>, Vec<Diagnostic>) {
    let (config, found) = parse(Path::new("etc/gateway.toml"), text);
    assert_eq!(config.is_none(), found.iter().any(Diagnostic::is_error), "{text}\n{found:#?}");
    for diagnostic in &found {
        assert!(!diagnostic.to_string().contains('\n'), "{diagnostic:?}");
        assert!(!diagnostic.to_string().contains("hunter2"), "{diagnostic}");
        assert!((1..=text.lines().count().max(1)).contains(&diagnostic.line), "{diagnostic}");
    }
    (config, found)
}

#[test]
fn every_supported_key_is_read() {
    let (config, found) = parsed(FULL);
    let config = config.unwrap();
    let shown: Vec<_> = found.iter().map(ToString::to_string).collect();
    assert_eq!(
        shown,
        ["etc/gateway.toml:33: warning: routes[1].upstream_tls.verify: any host with a certificate of \
             these CAs can pose as the upstream; write verify = \"full\", or add pin"]
    );
    assert_eq!(config.listener.address.value, SocketAddr::from(([127, 0, 0, 1], 8443)));
    assert_eq!(config.listener.address.line, 3);
    let KeyFiles::Pem { certificate, private_key, password_file: None } = &config.listener.certificate else {
        panic!("{:?}", config.listener)
    };
    assert_eq!(certificate.resolved, Path::new("etc/server.pem"));
    assert_eq!((certificate.written.as_str(), certificate.line), ("server.pem", 4));
    assert_eq!(private_key.resolved, Path::new("/keys/server.key"));
    assert_eq!(private_key.key, "listener.private_key");
    let partners = &config.trust["partners"];
    assert_eq!((partners.key.as_str(), partners.line, partners.ca.len()), ("trust.partners", 8, 2));
    assert!(partners.is_revocation_off);
    assert!(matches!(config.identities["orders"].files, KeyFiles::Pfx { .. }));
    assert!(matches!(config.identities["billing"].files, KeyFiles::Pem { .. }));

    let [orders, root] = &config.routes[..] else { panic!("{:?}", config.routes) };
    assert_eq!((orders.key.as_str(), orders.line), ("routes[1]", 23));
    assert_eq!(orders.path.value, "/orders");
    assert_eq!(orders.host.as_ref().unwrap().value, "api.example.com");
    assert_eq!(orders.upstream.authority, "localhost:9444");
    assert_eq!(orders.upstream.path, "/api");
    assert_eq!(orders.identities(), ["orders"]);
    assert!(orders.preserve_host && orders.allow_empty_segments);
    let tls = orders.upstream_tls.as_ref().unwrap();
    assert_eq!((tls.verify, tls.line), (Verify::Chain, 31));
    assert_eq!(tls.server_name.as_ref().unwrap().value, "orders.internal");
    assert_eq!(config.upstream_ca_of(orders)[0].written, "own-ca.pem");
    assert_eq!(config.upstream_ca_of(root)[0].written, "backend-ca.pem");
    let rules = orders.client_certificate.as_ref().unwrap();
    assert!(rules.validity && !rules.allow_unanchored);
    assert_eq!(rules.issuer[0].value, "CN=Issuing CA, O=Contoso");
    assert_eq!((rules.thumbprint[1].value.as_str(), rules.thumbprint[1].line), ("cc dd", 43));
    assert_eq!(rules.thumbprint_file.as_ref().unwrap().resolved, Path::new("etc/allowed.txt"));

    assert_eq!(root.upstream.scheme, Scheme::Http);
    assert!(root.client_certificate.is_none() && root.identity.is_none() && root.host.is_none());
    let expected = Limits {
        head_timeout: Duration::from_millis(500),
        drain_timeout: Duration::from_secs(120),
        max_connections: Some(1000),
        max_handshakes: Some(16),
        ..Limits::default()
    };
    assert_eq!(config.limits, expected);
    let removed = ["x-my-identity", "x-corp-*"].map(|pattern| pattern.parse().unwrap()).to_vec();
    assert_eq!(config.proxy, Proxy { x_forwarded: true, forwarded: true, removed });
}

#[test]
fn what_is_left_out_has_its_default() {
    let text = format!("{LISTENER}\nroutes = [{{ path = \"/\", upstream = \"https://b\" }}]\n");
    let (config, found) = parsed(&text);
    let config = config.unwrap();
    assert_eq!(config.listener.client_certificate, AskForCertificate::Request);
    assert_eq!(config.limits, Limits::default());
    assert_eq!(config.proxy, Proxy::default());
    assert!(config.upstream_ca_of(&config.routes[0]).is_empty());
    let open = "etc/gateway.toml:2: note: routes[1].client_certificate: anyone may call this route; \
                add [routes.client_certificate], or client_certificate = \"none\" if that is intended";
    let anonymous = "etc/gateway.toml:2: note: routes[1].identity: calls the upstream anonymously; \
                     add identity = \"NAME\" if the upstream demands a certificate";
    assert_eq!(found.iter().map(ToString::to_string).collect::<Vec<_>>(), [open, anonymous]);
}

#[test]
fn a_trust_set_rejects_expired_cas_unless_it_allows_them() {
    for (key, expected) in
        [("", false), ("allow_expired_ca = false", false), ("allow_expired_ca = true", true)]
    {
        let text = FULL.replace("revocation = \"off\"", key);
        assert_eq!(parsed(&text).0.unwrap().trust["partners"].allow_expired_ca, expected, "{key}");
    }
}

#[test]
fn a_route_refers_to_identities_in_every_way() {
    let route = |identity: &str| {
        format!(
            "{LISTENER}\n[trust.t]\nca='c'\n[identities.a]\npfx='a'\npassword_file='b'\n[[routes]]\npath='/'\n\
             upstream='https://b'\nclient_certificate = {{ trust = 't' }}\n{identity}\n"
        )
    };
    for (identity, used) in [
        ("identity = 'a'", &["a"][..]),
        ("identity = { id = 'stored' }", &["stored"]),
        ("identity = { thumbprint = '9f86d081884c7d659a2feaa0c55ad015a3bf4f1b' }", &[]),
        ("identity_by = { header = 'x-tenant', identities = { t1 = 'a', t2 = 'a' } }", &["a", "a"]),
        ("identity_by = { claim = 'subject', identities = { 'CN=x' = 'a' } }", &["a"]),
    ] {
        let (config, found) = parsed(&route(identity));
        assert_eq!(found, [], "{identity}");
        assert_eq!(config.unwrap().routes[0].identities(), used, "{identity}");
    }
    for (identity, key, word) in [
        ("identity = {}", "routes[1].identity", "not one reference"),
        ("identity_by = { identities = { t = 'a' } }", "routes[1].identity_by", "what decides"),
        (
            "identity_by = { claim = 'cn', identities = { t = 'a' } }",
            "routes[1].identity_by.claim",
            "common_name",
        ),
        (
            "identity_by = { claim = 'subject', header = 'x', identities = { t = 'a' } }",
            "routes[1].identity_by.header",
            "one of the two",
        ),
        (
            "identity_by = { header = 'x y', identities = { t = 'a' } }",
            "routes[1].identity_by.header",
            "no name",
        ),
        ("identity_by = { header = 'x' }", "routes[1].identity_by.identities", "is missing"),
        ("identity_by = { header = 'x', identities = {} }", "routes[1].identity_by.identities", "empty"),
        (
            "identity_by = { header = 'x', identities = { t = 'b' } }",
            "routes[1].identity_by.identities.t",
            "did you mean \"a\"",
        ),
        (
            "identity = 'a'\nidentity_by = { header = 'x', identities = { t = 'a' } }",
            "routes[1].identity_by",
            "remove one",
        ),
    ] {
        let (_, found) = parsed(&route(identity));
        let errors: Vec<_> = found.iter().filter(|found| found.is_error()).collect();
        let [error] = errors[..] else { panic!("{identity}: {errors:#?}") };
        assert_eq!(error.key, key, "{identity}");
        assert!(error.to_string().contains(word), "{identity}: {error}");
    }
}

#[test]
fn a_routes_own_limits_stand_before_those_of_every_route() {
    let second = Duration::from_secs(1);
    for (every, own, expected) in [
        ("", "", (Some(60 * second), None, None)),
        ("", "first_byte_timeout = \"off\"\nrequest_timeout = \"3s\"", (None, Some(3 * second), None)),
        ("first_byte_timeout = \"off\"\nrequest_timeout = \"3s\"", "", (None, Some(3 * second), None)),
        (
            "first_byte_timeout = \"off\"\nrequest_timeout = \"3s\"",
            "first_byte_timeout = \"2s\"\nrequest_timeout = \"off\"\nmax_requests = 7",
            (Some(2 * second), None, Some(7)),
        ),
    ] {
        let text = format!(
            "{LISTENER}\n[limits]\n{every}\n[[routes]]\npath = \"/\"\nupstream = \"http://b\"\n\
             [routes.limits]\n{own}\n"
        );
        let config = parsed(&text).0.unwrap();
        let limits = &config.routes[0].limits;
        let (first, whole) =
            (limits.first_byte_timeout(&config.limits), limits.request_timeout(&config.limits));
        assert_eq!((first, whole, limits.max_requests), expected, "{every} {own}");
    }
}

#[test]
fn who_chooses_an_identity_must_be_known() {
    let text = |by: &str| {
        format!(
            "{LISTENER}\n[identities.a]\npfx='a'\npassword_file='b'\n[[routes]]\npath='/'\nupstream='https://b'\n\
             identity_by = {{ {by}, identities = {{ t = 'a' }} }}\n"
        )
    };
    let (config, found) = parsed(&text("claim = 'common_name'"));
    assert!(config.is_none() && found[1].to_string().contains("nobody is admitted"), "{found:?}");
    let open = text("claim = 'common_name'") + "client_certificate = 'none'\n";
    let (config, found) = parsed(&open);
    let [found] = &found[..] else { panic!("{found:?}") };
    assert!(
        config.is_none() && found.remedy.contains("in place of client_certificate = \"none\""),
        "{found}"
    );
    let (config, found) = parsed(&text("header = 'x-tenant'"));
    assert!(config.is_some() && found[1].to_string().contains("anyone can call"), "{found:?}");
}

#[test]
fn pins_make_up_for_what_is_not_verified() {
    let hex = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08";
    let text = FULL.replace(
        "verify = \"chain\"",
        &format!("verify = \"none\"\npin = [\"sha256:{hex}\", \"spki-sha256:{hex}\"]"),
    );
    let (config, found) = parsed(&text.replace("ca = [\"own-ca.pem\"]\n", ""));
    assert_eq!(found, []);
    assert_eq!(config.unwrap().routes[0].upstream_tls.as_ref().unwrap().pins.len(), 2);
}

#[test]
fn carriage_returns_and_a_byte_order_mark_do_not_move_lines() {
    let text = format!("\u{feff}{}", FULL.replace('\n', "\r\n"));
    let (config, found) = parsed(&text);
    assert_eq!((config.unwrap().routes[1].line, found[0].line), (48, 33));
}

#[test]
fn all_errors_of_a_file_are_found_in_the_order_of_lines() {
    let text = FULL
        .replace("127.0.0.1:8443", "localhost:8443")
        .replace("[trust.partners]", "[trust.partner]")
        .replace("ca = [\"own", "cb = [\"own")
        .replace("https://localhost:9444/api", "htps://x")
        .replace("[proxy]", "[proxies]");
    let (_, found) = parsed(&text);
    let lines: Vec<_> = found.iter().map(|found| (found.line, found.key.as_str(), found.severity)).collect();
    let expected = [
        (3, "listener.address", Severity::Error),
        (26, "routes[1].upstream", Severity::Error),
        (32, "routes[1].upstream_tls.cb", Severity::Error),
        (33, "routes[1].upstream_tls.verify", Severity::Warning),
        (38, "routes[1].client_certificate.trust", Severity::Error),
        (58, "proxies", Severity::Error),
    ];
    assert_eq!(lines, expected);
}

#[test]
fn an_error_reads_as_one_line_with_its_remedy() {
    let (_, found) = parsed(&FULL.replace("https://localhost:9444/api", "htps://x"));
    let expected = "etc/gateway.toml:26: routes[1].upstream: \"htps://x\" has an unknown scheme; \
                    write http://host:port or https://host:port";
    assert_eq!(found[0].to_string(), expected);
}

#[test]
fn each_error_has_its_line_its_key_and_a_remedy() {
    for (old, new, line, key, word) in BROKEN {
        assert!(FULL.contains(old), "{old}");
        let (_, found) = parsed(&FULL.replacen(old, new, 1));
        let errors: Vec<_> = found.iter().filter(|found| found.is_error()).collect();
        let [error] = errors[..] else { panic!("{new}: {errors:#?}") };
        let shown = error.to_string();
        assert_eq!((error.line, error.key.as_str()), (*line, *key), "{new}: {shown}");
        assert!(shown.contains(word), "{new}: {shown}");
        assert!(!error.remedy.is_empty(), "{new}: {shown}");
    }
}

#[test]
fn a_file_without_listener_or_routes_says_so() {
    let route = "[[routes]]\npath = \"/\"\nupstream = \"http://b\"\nclient_certificate = \"none\"\n";
    let cases: &[(&str, &[&str])] = &[
        ("", &["listener", "routes"]),
        (route, &["listener"]),
        (&format!("listener = 3\n{route}"), &["listener"]),
        (LISTENER, &["routes"]),
        (&format!("{LISTENER}\nroutes = []"), &["routes"]),
        (&format!("{LISTENER}\n[routes]\npath = \"/\""), &["routes"]),
        (&format!("{LISTENER}\nroutes = [\"/\"]"), &["routes[1]"]),
        (&format!("{LISTENER}\nroutes = [{{}}]"), &["routes[1].path", "routes[1].upstream"]),
    ];
    for (text, expected) in cases {
        let keys: Vec<_> = parsed(text).1.into_iter().map(|found| found.key).collect();
        assert_eq!(keys, *expected, "{text}");
    }
}

#[test]
fn rules_that_anyone_can_meet_need_a_word_of_consent() {
    let cases: &[(&str, Option<&str>)] = &[
        ("", Some("no rule besides validity")),
        ("validity = true", Some("no rule besides validity")),
        ("validity = false", Some("no rule at all")),
        ("validity = false\nallow_unanchored = true", Some("no rule at all")),
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
fn rules_without_the_effect_that_they_seem_to_have_are_warned_of() {
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
fn upstream_close_of_an_http_upstream_is_one_finding() {
    for value in ["strict", "lenient", "loose"] {
        let (_, found) = parsed(&format!(
            "{LISTENER}\n[[routes]]\npath = '/'\nupstream = 'http://b'\nupstream_close = '{value}'\n\
             client_certificate = 'none'\n"
        ));
        let [found] = &found[..] else { panic!("{value}: {found:#?}") };
        assert!(found.is_error() && found.key == "routes[1].upstream_close", "{value}: {found}");
    }
}

#[test]
fn less_than_full_verification_is_a_warning() {
    for (verify, count) in [("full", 0), ("chain", 1), ("name", 2), ("none", 2)] {
        let (config, found) = parsed(&FULL.replace("verify = \"chain\"", &format!("verify = \"{verify}\"")));
        assert!(config.is_some(), "{verify}");
        assert_eq!(found.len(), count, "{verify}");
        assert!(found.iter().all(|found| found.severity == Severity::Warning), "{verify}");
    }
}

#[test]
fn an_error_of_syntax_does_not_make_the_rest_seem_missing() {
    let (_, found) = parsed("[listener\naddress = \"127.0.0.1:8443\"\n");
    assert_eq!(found.iter().map(|found| found.line).collect::<Vec<_>>(), [1]);
    let (_, found) =
        parsed(&FULL.replace("[trust.partners]", "[trust.partners").replace("\"chain\"", "\"no\""));
    let lines: Vec<_> = found.iter().map(|found| found.line).collect();
    assert_eq!(lines, [8, 33], "{found:#?}");
}

#[test]
fn secrets_written_in_the_file_are_not_repeated() {
    let cases = [
        "[listener]\npassword = \"hunter2\"\ntoken = \"hunter2\"\nprivate_key = [\"hunter2\", 3]\n",
        "[identities.a]\npassword_file = { text = \"hunter2\" }\n",
        "[identities.a]\nprivate_key = \"\"\"-----BEGIN PRIVATE KEY-----\nhunter2\n\"\"\"\n",
        "[[routes]]\nupstream = \"https://x?token=hunter2\"\n",
        "[[routes]]\nupstream = \"https://:hunter2@x\"\n",
        "[identities.a]\npassword_file = hunter2\n",
        "[identities.a]\npassword_file = \"hunter2\n",
    ];
    for text in cases {
        assert!(parsed(text).0.is_none());
    }
}

#[test]
fn hostile_texts_end_in_diagnostics() {
    let deep = format!("a = {}1{}", "[".repeat(5000), "]".repeat(5000));
    let dotted = format!("{} = 1", vec!["a"; 5000].join("."));
    let long =
        format!("{} = 1\n[listener]\naddress = \"{}\"\n", "x".repeat(100_000), "\u{202e}".repeat(100_000));
    for text in
        [&deep, &dotted, &long, "\0", "= = =", "[[[", "\"\\", "listener.a.b = 1\nroutes.x = 2\ntrust = []\n"]
    {
        for found in parsed(text).1 {
            assert!(found.to_string().chars().count() < 500, "{found}");
        }
    }
}

#[test]
fn of_a_file_that_is_something_else_only_the_start_is_reported() {
    let (_, found) = parsed(&"12:00:00 INFO a line of a log\n".repeat(10_000));
    assert_eq!(found.iter().map(|found| found.line).collect::<Vec<_>>(), (1..=50).collect::<Vec<_>>());
}

#[test]
fn any_part_of_a_file_is_read_or_refused() {
    for end in 0..FULL.len() {
        parsed(&FULL[..end]);
    }
    for (at, _) in FULL.match_indices('\n') {
        for junk in ["\n\"", "\n=", "\n[", "\n]", "\n[[routes]]", "\nx"] {
            parsed(&format!("{}{junk}{}", &FULL[..at], &FULL[at..]));
        }
    }
}

#[test]
fn a_file_that_cannot_be_read_is_a_diagnostic() {
    let folder = std::env::temp_dir().join(format!("gateway-config-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let write = |name: &str, bytes: &[u8]| {
        let file = folder.join(name);
        std::fs::write(&file, bytes).unwrap();
        file
    };
    let cases = [
        (folder.join("none.toml"), 1, "cannot be read"),
        (folder.clone(), 1, "cannot be read"),
        (write("latin.toml", b"# a\n# b\n# \xe9\n"), 3, "UTF-8"),
        (write("large.toml", &vec![b'\n'; 4 * 1024 * 1024 + 1]), 1, "4 MiB"),
    ];
    for (file, line, word) in &cases {
        let (config, found) = read(file);
        assert!(config.is_none() && found.len() == 1, "{found:?}");
        assert_eq!((found[0].line, &found[0].file), (*line, file));
        assert!(found[0].problem.contains(word), "{}", found[0]);
    }
    let file = write("gateway.toml", FULL.as_bytes());
    assert_eq!(read(&file).0.unwrap().upstream_ca[0].resolved, folder.join("backend-ca.pem"));
    std::fs::remove_dir_all(&folder).unwrap();
}

#[test]
fn a_star_in_a_path_is_a_warning() {
    for (path, remedy) in [
        ("/orders/*", "write \"/orders\", which also matches what is below it"),
        ("/*", "write \"/\", which matches every path"),
        ("/*/orders/*", "name a prefix: it also matches what is below it"),
        ("/orders*", "name a prefix: it also matches what is below it"),
    ] {
        let text = format!(
            "{LISTENER}\nroutes = [{{ path = {path:?}, upstream = \"http://b\", client_certificate = \"none\" }}]\n"
        );
        let (config, found) = parsed(&text);
        assert!(config.is_some(), "{path}");
        let [found] = &found[..] else { panic!("{path}: {found:?}") };
        assert_eq!((found.severity, found.key.as_str()), (Severity::Warning, "routes[1].path"), "{path}");
        assert!(found.problem.contains("no wildcard"), "{found}");
        assert_eq!(found.remedy, remedy, "{path}");
    }
}

#[test]
fn beside_a_policy_document_only_trust_and_mode_stand() {
    let route = "[[routes]]\npath = \"/\"\nupstream = \"https://back\"\n[routes.client_certificate]\npolicy = \"p.xml\"\n";
    let text = |rest: &str| format!("{LISTENER}\n{route}{rest}\n[trust.t]\nca = \"ca.pem\"\n");
    let (config, found) = parsed(&text("trust = \"t\"\nmode = \"shadow\"\nallow_unanchored = true"));
    // An anonymous route is noted when the document has been read: it may choose an identity.
    assert_eq!(found, []);
    let config = config.unwrap();
    let rules = config.routes[0].client_certificate.as_ref().unwrap();
    let policy = rules.policy.as_ref().unwrap();
    assert_eq!((&*policy.resolved, policy.line), (Path::new("etc/p.xml"), 6));
    assert!(rules.allow_unanchored && !config.trust["t"].is_revocation_off, "nothing is stated");

    let rest = "validity = true\nissuer = \"CN=a\"\nsubject = \"CN=a\"\ncommon_name = \"a\"\ndns_name = \"a\"\n\
                thumbprint = \"a\"\nthumbprint_file = \"a\"\nin_store = true";
    let (_, found) = parsed(&text(rest));
    let lines: Vec<_> = found.iter().map(|finding| finding.line).collect();
    assert_eq!(lines, (7..=14).collect::<Vec<_>>(), "{found:#?}");
    assert!(found.iter().all(|finding| finding.problem.starts_with("stands beside policy")), "{found:#?}");

    let (_, found) = parsed(&format!(
        "{LISTENER}\n[management]\naddress = \"127.0.0.1:1\"\n\
        [management.client_certificate]\nallow_unanchored = true\npolicy = \"p.xml\"\n{route}"
    ));
    assert!(found.iter().any(|finding| finding.key == "management.client_certificate.policy"), "{found:#?}");
}

#[test]
fn policies_of_apis_may_be_unanchored_if_the_file_says_so() {
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
