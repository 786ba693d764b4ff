//! Rate limits of all routes and of one.

use super::*;

fn file(general: &str, route: &str) -> String {
    format!(
        "{LISTENER}\n[trust.t]\nca='c'\n[limits]\n{general}\n[[routes]]\npath='/'\nupstream='http://b'\n\
         client_certificate = {{ trust = 't' }}\n[[routes]]\npath='/open'\nupstream='http://b'\n\
         client_certificate = 'none'\n{route}\n"
    )
}

fn values(limits: &[Located<RateLimit>]) -> Vec<(u32, u64, &'static str, usize)> {
    let value = |limit: &Located<RateLimit>| {
        (limit.requests.get(), limit.per.as_millis().try_into().unwrap(), limit.by.as_str(), limit.max_keys)
    };
    limits.iter().map(value).collect()
}

#[test]
fn route_has_its_own_rate_limits_or_the_general_ones() {
    let general = "rate_limit = { requests = 100, per = '1m', by = 'address' }";
    let list = "[{ requests = 5, per = '1s', by = 'address', max_keys = 9 }, { requests = 9, per = '1s', by = 'route' }]";
    type Rates = Option<Vec<(u32, u64, &'static str, usize)>>;
    let cases: [(&str, &str, Rates); 4] = [
        ("no key", "", None),
        ("off", "limits.rate_limit = 'off'", Some(vec![])),
        (
            "one",
            "limits.rate_limit = { requests = 1, per = '500ms', by = 'route' }",
            Some(vec![(1, 500, "route", 65_536)]),
        ),
        (
            "a list",
            &format!("limits.rate_limit = {list}"),
            Some(vec![(5, 1_000, "address", 9), (9, 1_000, "route", 65_536)]),
        ),
    ];
    for (name, route, expected) in cases {
        let (config, found) = parsed(&file(general, route));
        assert_eq!(found, [], "{name}");
        let config = config.unwrap();
        assert_eq!(values(&config.rate_limits), [(100, 60_000, "address", 65_536)], "{name}");
        assert_eq!(config.routes[0].limits.rate_limits, None, "{name}");
        let own = config.routes[1].limits.rate_limits.as_deref();
        assert_eq!(own.map(values), expected, "{name}");
    }
}

#[test]
fn invalid_rate_limit_is_an_error_at_its_key() {
    let limit = |keys: &str| format!("limits.rate_limit = {{ {keys} }}");
    let at = "routes[2].limits.rate_limit";
    for (route, key, word) in [
        ("limits.rate_limit = 100".to_owned(), String::new(), "not a table"),
        ("limits.rate_limit = 'on'".to_owned(), String::new(), "not a table"),
        ("limits.rate_limit = [100]".to_owned(), "[1]".to_owned(), "not a table"),
        (limit("per = '1m', by = 'address'"), ".requests".to_owned(), "is missing"),
        (limit("requests = 1, by = 'address'"), ".per".to_owned(), "is missing"),
        (limit("requests = 1, per = '1m'"), ".by".to_owned(), "is missing"),
        (limit("requests = 0, per = '1m', by = 'address'"), ".requests".to_owned(), "out of range"),
        (limit("requests = 1, per = '0s', by = 'address'"), ".per".to_owned(), "shorter"),
        (limit("requests = 1, per = 60, by = 'address'"), ".per".to_owned(), "unit"),
        (limit("requests = 1, per = '1m', by = 'ip'"), ".by".to_owned(), "\"address\""),
        (limit("requests = 1, per = '1m', by = 'address', max_keys = 0"), ".max_keys".to_owned(), "range"),
        (limit("requests = 1, per = '1m', by = 'address', burst = 2"), ".burst".to_owned(), "known key"),
        (limit("requests = 1, per = '1m', by = 'certificate'"), ".by".to_owned(), "client_certificate"),
        (
            "limits.rate_limit = [{ requests = 1, per = '1m', by = 'route' }, { requests = 2, per = '60s', by = 'route' }]"
                .to_owned(),
            "[2]".to_owned(),
            "repeats",
        ),
    ] {
        let (_, found) = parsed(&file("", &route));
        let errors: Vec<_> = found.iter().filter(|found| found.is_error()).collect();
        let [error] = errors[..] else { panic!("{route}: {errors:#?}") };
        assert_eq!(error.key, format!("{at}{key}"), "{route}");
        assert!(error.to_string().contains(word), "{route}: {error}");
    }
}

#[test]
fn general_limit_by_certificate_needs_a_route_with_certificates() {
    let general = "rate_limit = { requests = 1, per = '1m', by = 'certificate' }";
    assert_eq!(parsed(&file(general, "")).1, []);
    let open = format!(
        "{LISTENER}\n[limits]\n{general}\n[[routes]]\npath='/'\nupstream='http://b'\nclient_certificate='none'\n"
    );
    let (config, found) = parsed(&open);
    assert!(config.is_some());
    let [warning] = &found[..] else { panic!("{found:#?}") };
    assert!(warning.key == "limits.rate_limit.by" && warning.problem.contains("no effect"), "{warning}");
}
