//! Guarded routes that a path in another letter case bypasses, if the upstream ignores letter case.

use super::files::Findings;
use crate::{
    config::{Located, Mode, RouteConfig},
    routing::RouteTable,
};

/// Notes once that routing is case-sensitive, if a guarded route's path in another letter case matches an open route.
pub(super) fn note(routes: &[Located<RouteConfig>], findings: &mut Findings) {
    let paths: Vec<_> = routes.iter().map(RoutePath::of).collect();
    let found = case_bypasses(&paths);
    let key = |index: usize| routes.get(index).map_or("", |route| route.key.as_str());
    let Some(first) = found.first() else { return };
    let Some(route) = routes.get(first.guarded) else { return };
    let more: Vec<_> = found.iter().skip(1).map(|case_bypasses| key(case_bypasses.guarded)).collect();
    let more = if more.is_empty() { String::new() } else { format!("; also {}", more.join(", ")) };
    let (path, open) = (&first.path, key(first.open));
    let problem =
        format!("routing is case-sensitive: {path} matches {open}, which needs no certificate{more}");
    let remedy = "if the upstream ignores letter case, require a certificate on that route too";
    findings.note(&route.path, problem, remedy);
}

/// Host, path and protection of a route.
struct RoutePath<'a> {
    host: Option<&'a str>,
    path: &'a str,
    is_guarded: bool,
}

impl<'a> RoutePath<'a> {
    fn of(route: &'a Located<RouteConfig>) -> Self {
        let is_guarded = route.client_certificate.as_ref().is_some_and(|rules| rules.mode == Mode::Enforce);
        Self { host: route.host.as_ref().map(|host| host.as_str()), path: route.path.as_str(), is_guarded }
    }
}

/// A path that differs from a guarded route's in letter case only, and matches an open route. Routes are indexes.
#[derive(Debug, PartialEq, Eq)]
struct CaseBypass {
    guarded: usize,
    path: String,
    open: usize,
}

/// Returns one such path for each guarded route that has any.
fn case_bypasses(paths: &[RoutePath<'_>]) -> Vec<CaseBypass> {
    let table =
        RouteTable::new(paths.iter().map(|place| (place.host.map(str::to_owned), place.path.to_owned())));
    let of_one = |(guarded, place): (usize, &RoutePath<'_>)| {
        // A shorter route can match the first segments unchanged.
        let mut borders = place.path.match_indices('/').map(|(at, _)| at);
        borders.find_map(|at| {
            let (same, other) = place.path.split_at(at);
            let path = format!("{same}{}", in_other_case(other));
            let open = table.find(place.host, &path).filter(|_| path != place.path)?;
            let is_open = paths.get(open).is_some_and(|taken| !taken.is_guarded);
            is_open.then_some(CaseBypass { guarded, path, open })
        })
    };
    paths.iter().enumerate().filter(|(_, place)| place.is_guarded).filter_map(of_one).collect()
}

/// Swaps the case of all letters, except digits of escapes.
fn in_other_case(text: &str) -> String {
    let mut digits = 0_usize;
    let swap = |character: char| {
        if character == '%' {
            digits = 2;
        } else if digits > 0 {
            digits -= 1;
        } else if character.is_ascii_lowercase() {
            return character.to_ascii_uppercase();
        } else {
            return character.to_ascii_lowercase();
        }
        character
    };
    text.chars().map(swap).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn guarded_routes_with_an_open_route_for_another_letter_case_are_found() {
        const NONE: &[(usize, &str, usize)] = &[];
        let (open, guarded) = (false, true);
        for (routes, expected) in [
            (&[(None, "/orders", guarded)][..], NONE),
            (&[(None, "/orders", guarded), (None, "/", guarded)], NONE),
            (&[(None, "/orders", open), (None, "/", open)], NONE),
            (&[(None, "/42", guarded), (None, "/", open)], NONE),
            (&[(None, "/orders", guarded), (None, "/", open)], &[(0, "/ORDERS", 1)]),
            (&[(None, "/", open), (None, "/Orders", guarded)], &[(1, "/oRDERS", 0)]),
            (&[(None, "/a/b", guarded), (None, "/a", open)], &[(0, "/a/B", 1)]),
            (
                &[(None, "/a/b", guarded), (None, "/a", guarded), (None, "/", open)],
                &[(0, "/A/B", 2), (1, "/A", 2)],
            ),
            (&[(None, "/%C3%A4a", guarded), (None, "/", open)], &[(0, "/%C3%A4A", 1)]),
            (&[(Some("a"), "/orders", guarded), (None, "/", open)], &[(0, "/ORDERS", 1)]),
            (&[(Some("a"), "/orders", guarded), (Some("b"), "/", open)], NONE),
            (&[(Some("a"), "/o", guarded), (Some("a"), "/", guarded), (None, "/", open)], NONE),
        ] {
            let paths: Vec<_> =
                routes.iter().map(|&(host, path, is_guarded)| RoutePath { host, path, is_guarded }).collect();
            let found = case_bypasses(&paths);
            let found: Vec<_> =
                found.iter().map(|found| (found.guarded, found.path.as_str(), found.open)).collect();
            assert_eq!(found, expected, "{routes:?}");
        }
    }
}
