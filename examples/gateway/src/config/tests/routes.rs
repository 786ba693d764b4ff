//! Routes: identities, limits, upstreams and paths.

use super::*;

#[test]
fn routes_refer_to_identities_by_name_id_thumbprint_claim_and_header() {
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
        ("identity = {}", "routes[1].identity", "not a single reference"),
        ("identity_by = { identities = { t = 'a' } }", "routes[1].identity_by", "neither claim nor header"),
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
            "not a header name",
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
fn route_limits_take_precedence_over_general_limits() {
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
        let (first, whole) = (limits.request.first_byte_timeout, limits.request.request_timeout);
        assert_eq!((first, whole, limits.max_requests), expected, "{every} {own}");
    }
}

#[test]
fn body_timeout_off_switches_the_data_rate_off_unless_it_is_stated() {
    for (limits, expected) in [
        ("", 240),
        ("body_timeout = \"off\"", 0),
        ("body_timeout = \"off\"\nmin_data_rate = 100", 100),
        ("min_data_rate = 100", 100),
    ] {
        let text = format!(
            "{LISTENER}\n[[routes]]\npath = \"/\"\nupstream = \"http://b\"\n[routes.limits]\n{limits}\n"
        );
        assert_eq!(parsed(&text).0.unwrap().routes[0].limits.request.min_data_rate, expected, "{limits}");
    }
}

#[test]
fn identity_by_claim_needs_certificate_rules() {
    let text = |by: &str| {
        format!(
            "{LISTENER}\n[identities.a]\npfx='a'\npassword_file='b'\n[[routes]]\npath='/'\nupstream='https://b'\n\
             identity_by = {{ {by}, identities = {{ t = 'a' }} }}\n"
        )
    };
    let (config, found) = parsed(&text("claim = 'common_name'"));
    assert!(config.is_none() && found[1].to_string().contains("no admitted certificate"), "{found:?}");
    let open = text("claim = 'common_name'") + "client_certificate = 'none'\n";
    let (config, found) = parsed(&open);
    let [found] = &found[..] else { panic!("{found:?}") };
    assert!(
        config.is_none() && found.remedy.contains("in place of client_certificate = \"none\""),
        "{found}"
    );
    let (config, found) = parsed(&text("header = 'x-tenant'"));
    assert!(config.is_some() && found[1].to_string().contains("any caller can choose"), "{found:?}");
}

#[test]
fn pins_silence_warnings_about_reduced_verification() {
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
fn upstream_close_of_http_upstream_is_one_error() {
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
fn reduced_verification_is_a_warning() {
    for (verify, count) in [("full", 0), ("chain", 1), ("name", 2), ("none", 2)] {
        let (config, found) = parsed(&FULL.replace("verify = \"chain\"", &format!("verify = \"{verify}\"")));
        assert!(config.is_some(), "{verify}");
        assert_eq!(found.len(), count, "{verify}");
        assert!(found.iter().all(|found| found.severity == Severity::Warning), "{verify}");
    }
}

#[test]
fn asterisk_in_path_is_a_warning() {
    for (path, remedy) in [
        ("/orders/*", "write \"/orders\", which also matches the paths below it"),
        ("/*", "write \"/\", which matches every path"),
        ("/*/orders/*", "name a prefix, which also matches the paths below it"),
        ("/orders*", "name a prefix, which also matches the paths below it"),
    ] {
        let text = format!(
            "{LISTENER}\nroutes = [{{ path = {path:?}, upstream = \"http://b\", client_certificate = \"none\" }}]\n"
        );
        let (config, found) = parsed(&text);
        assert!(config.is_some(), "{path}");
        let [found] = &found[..] else { panic!("{path}: {found:?}") };
        assert_eq!((found.severity, found.key.as_str()), (Severity::Warning, "routes[1].path"), "{path}");
        assert!(found.problem.contains("not a wildcard"), "{found}");
        assert_eq!(found.remedy, remedy, "{path}");
    }
}

#[test]
fn requests_in_flight_are_cut_by_default() {
    for (line, expected) in [
        ("", OnRevoked::Cut),
        ("on_revoked = 'cut'", OnRevoked::Cut),
        ("on_revoked = 'finish'", OnRevoked::Finish),
    ] {
        let text = format!(
            "{LISTENER}\n[store]\npath = 's'\n[apis]\n{line}\n[[routes]]\npath = '/'\nupstream = 'http://b'\n{line}\n"
        );
        let (config, _) = parsed(&text);
        let config = config.unwrap();
        assert_eq!((config.routes[0].on_revoked, config.apis.on_revoked), (expected, expected), "{line}");
    }
}
