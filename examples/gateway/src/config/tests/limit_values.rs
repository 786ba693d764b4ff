//! Values of `[limits]` and `[routes.limits]`: their findings, and remedies that can be pasted.

use super::*;

/// Parses a file with these lines in `[limits]` and in the limits of a route.
fn limits(general: &str, route: &str) -> (Option<Config>, Vec<String>) {
    let (config, found) = parsed(&format!(
        "{LISTENER}\n[limits]\n{general}\n[[routes]]\npath = \"/\"\nupstream = \"http://b\"\n\
         client_certificate = \"none\"\n[routes.limits]\n{route}\n"
    ));
    (config, found.iter().map(ToString::to_string).collect())
}

#[test]
fn misspelt_limit_is_an_error_with_the_limit_that_is_meant() {
    for (section, key, remedy) in [
        ("limits", "max_connections_per_ip", "did you mean max_connections_per_address?"),
        ("limits", "max_handshakes_per_ip", "did you mean max_handshakes_per_address?"),
        ("limits", "max_connections_per_adress", "did you mean max_connections_per_address?"),
        ("limits", "tunnel_timeout", "did you mean tunnel_idle_timeout?"),
        ("limits", "keepalive_timeout", "did you mean idle_timeout?"),
        ("limits", "max_uri_size", "did you mean max_target_size?"),
        ("limits", "max_header_size", "did you mean max_head_size?"),
        ("limits", "max_headers", "did you mean max_header_fields?"),
        ("limits", "max_back_end_connections", "use max_upstream_connections"),
        ("limits", "max_size", "known keys: head_timeout, "),
        ("limits", "max_requests", "it belongs to [routes.limits]; "),
        ("routes[1].limits", "max_uri_size", "did you mean max_target_size?"),
        ("routes[1].limits", "max_connections_per_ip", "known keys: first_byte_timeout, "),
        ("routes[1].limits", "max_connections", "it belongs to [limits]; "),
    ] {
        let line = format!("{key} = 10");
        let (_, found) = if section == "limits" { limits(&line, "") } else { limits("", &line) };
        let [error] = &found[..] else { panic!("{key}: {found:#?}") };
        let expected = format!(": {section}.{key}: is not a known key; {remedy}");
        assert!(error.contains(&expected), "{error}");
    }
}

#[test]
fn limit_is_off_or_a_whole_number() {
    const GENERAL: [&str; 3] =
        ["max_connections_per_address", "max_handshakes_per_address", "max_upstream_connections"];
    let off = GENERAL.map(|key| format!("{key} = \"off\"\n")).concat();
    let (config, found) = limits(&format!("{off}min_data_rate = \"off\""), "max_requests = \"off\"");
    assert!(found.is_empty(), "{found:#?}");
    let config = config.unwrap();
    let request = RequestLimits { min_data_rate: 0, ..RequestLimits::default() };
    assert_eq!(config.limits, Limits { request, ..Limits::default() });
    assert_eq!(config.routes[0].limits.max_requests, None);

    for (value, message) in [
        ("\"off\"", "is a string, not a number; write a number from 1 to 10000000, without quotation marks"),
        ("0.5", "\"0.5\" is not a whole number; write a number from 1 to 10000000"),
        ("1e3", "\"1e3\" is not a whole number; write a number from 1 to 10000000"),
        ("0", "\"0\" is out of range; write a number from 1 to 10000000"),
        ("-1", "\"-1\" is out of range; write a number from 1 to 10000000"),
    ] {
        let (_, found) = limits(&format!("max_connections = {value}"), "");
        let [error] = &found[..] else { panic!("{value}: {found:#?}") };
        assert!(error.ends_with(&format!(": limits.max_connections: {message}")), "{error}");
    }
    let (_, found) = limits("max_head_size = \"2MiB\"\nmax_buffered_bytes = \"1MiB\"", "");
    let [head, buffered] = &found[..] else { panic!("{found:#?}") };
    assert!(head.contains("limits.max_head_size: \"2MiB\" is larger than 1MiB; "), "{head}");
    assert!(buffered.contains("limits.max_buffered_bytes: \"1MiB\" is smaller than 4MiB; "), "{buffered}");
}

#[test]
fn larger_head_of_a_route_has_no_effect() {
    for (general, route, expected) in [
        ("", "max_head_size = \"32KiB\"\nmax_target_size = \"1KiB\"\nmax_header_fields = 200", None),
        ("max_head_size = \"64KiB\"", "max_head_size = \"64KiB\"", None),
        (
            "",
            "max_head_size = \"64KiB\"",
            Some(
                "warning: routes[1].limits.max_head_size: has no effect: max_head_size of [limits] is 32KiB; raise ",
            ),
        ),
        (
            "max_target_size = \"1000B\"",
            "max_target_size = \"2KiB\"",
            Some(
                "warning: routes[1].limits.max_target_size: has no effect: max_target_size of [limits] is 1000B; ",
            ),
        ),
        (
            "",
            "max_header_fields = 201",
            Some(
                "note: routes[1].limits.max_header_fields: has no effect on requests: max_header_fields of [limits] is 200; ",
            ),
        ),
    ] {
        let (config, found) = limits(general, route);
        assert!(config.is_some(), "{found:?}");
        assert_eq!(found.len(), usize::from(expected.is_some()), "{route}: {found:#?}");
        assert!(expected.is_none_or(|expected| found[0].contains(expected)), "{found:?}");
    }
}

#[test]
fn exempt_network_of_all_addresses_is_a_warning() {
    let (config, found) = limits("exempt_networks = [\"10.0.0.0/8\", \"0.0.0.0/0\", \"::/0\"]", "");
    assert_eq!(config.unwrap().limits.exempt_networks.len(), 3);
    let expected = ["0.0.0.0/0", "::/0"].map(|network| {
        format!(
            "etc/gateway.toml:3: warning: limits.exempt_networks: \"{network}\" contains every address: none has a \
             limit of its own; name the networks of your load balancers"
        )
    });
    assert_eq!(found, expected);
}
