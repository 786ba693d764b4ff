//! Route table: routes with the request's host first, then routes without a host; longest path prefix of whole segments.

use std::collections::HashMap;

use crate::host::normal_host;

/// Routes by host and path.
///
/// A look-up computes one hash for the host and one for each path prefix that is not longer than the longest route, so
/// its cost does not depend on the length of the request's path.
#[derive(Debug, Clone, Default)]
pub(crate) struct RouteTable {
    hosts: HashMap<String, Paths>,
    any_host: Paths,
}

impl RouteTable {
    /// Builds the table. [`find`](Self::find) returns positions in this sequence.
    ///
    /// The first of two routes with the same host and path is used (the configuration rejects the second). A trailing
    /// `/` of a path is ignored.
    pub(crate) fn new(routes: impl IntoIterator<Item = (Option<String>, String)>) -> Self {
        let mut table = Self::default();
        for (index, (host, path)) in routes.into_iter().enumerate() {
            let paths = match &host {
                Some(host) => table.hosts.entry(normal_host(host).into_owned()).or_default(),
                None => &mut table.any_host,
            };
            paths.add(&path, index);
        }
        table
    }

    /// Returns the route for the host of a request and a path from [`NormalizedPath`](tower_mtls::proxy::NormalizedPath).
    ///
    /// Routes without a host are used if no route of the host matches.
    pub(crate) fn find(&self, host: Option<&str>, path: &str) -> Option<usize> {
        let own = host
            .filter(|_| !self.hosts.is_empty())
            .and_then(|host| self.hosts.get(normal_host(host).as_ref()))
            .and_then(|paths| paths.find(path));
        own.or_else(|| self.any_host.find(path))
    }
}

/// Routes of one host, by path without trailing `/`; the root is the empty string.
#[derive(Debug, Clone, Default)]
struct Paths {
    routes: HashMap<String, usize>,
    longest: usize,
}

impl Paths {
    /// Adds a route, unless there is one with the same path.
    fn add(&mut self, path: &str, index: usize) {
        let path = path.strip_suffix('/').unwrap_or(path);
        self.longest = self.longest.max(path.len());
        self.routes.entry(path.to_owned()).or_insert(index);
    }

    /// Returns the route with the longest prefix of whole segments.
    fn find(&self, path: &str) -> Option<usize> {
        if !path.starts_with('/') {
            return None;
        }
        let mut prefix = path;
        loop {
            if prefix.len() <= self.longest
                && let Some(index) = self.routes.get(prefix)
            {
                return Some(*index);
            }
            (prefix, _) = prefix.rsplit_once('/')?;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(routes: &[(Option<&str>, &str)]) -> RouteTable {
        RouteTable::new(routes.iter().map(|(host, path)| (host.map(str::to_owned), (*path).to_owned())))
    }

    #[test]
    fn most_specific_route_is_used() {
        let table = table(&[
            (None, "/"),                             // 0
            (None, "/orders"),                       // 1
            (None, "/orders/archive/"),              // 2
            (Some("api.example.com"), "/orders"),    // 3
            (Some("api.example.com"), "/orders/eu"), // 4
            (Some("Root.example.com."), "/"),        // 5
            (Some("[::1]"), "/v6"),                  // 6
            (Some("10.0.0.1"), "/v4"),               // 7
        ]);
        let api = Some("api.example.com");
        let cases: &[(Option<&str>, &str, Option<usize>)] = &[
            (None, "/", Some(0)),
            (None, "/x/y", Some(0)),
            (None, "/orders", Some(1)),
            (None, "/orders/", Some(1)),
            (None, "/orders/42", Some(1)),
            (None, "/orders//42", Some(1)),
            (None, "/ordersx", Some(0)),
            (None, "/Orders", Some(0)),
            (None, "/orders;v=1", Some(0)),
            (None, "/orders/archive", Some(2)),
            (None, "/orders/archive/1/2/3", Some(2)),
            (None, "/orders/archives", Some(1)),
            (Some(""), "/orders", Some(1)),
            (Some("other.example.com"), "/orders", Some(1)),
            (api, "/orders", Some(3)),
            (api, "/orders/42", Some(3)),
            (api, "/orders/eu/42", Some(4)),
            (api, "/orders/archive", Some(3)),
            (api, "/else", Some(0)),
            (Some("API.Example.COM"), "/orders", Some(3)),
            (Some("api.example.com:8443"), "/orders", Some(3)),
            (Some("api.example.com:"), "/orders", Some(3)),
            (Some("api.example.com."), "/orders", Some(3)),
            (Some("API.example.com.:443"), "/orders", Some(3)),
            (Some("api.example.com.."), "/orders", Some(1)),
            (Some("api.example.com:x"), "/orders", Some(1)),
            (Some("user@api.example.com"), "/orders", Some(1)),
            (Some("xapi.example.com"), "/orders", Some(1)),
            (Some("root.example.com"), "/orders", Some(5)),
            (Some("[::1]"), "/v6", Some(6)),
            (Some("[::1]:8443"), "/v6/x", Some(6)),
            (Some("[0:0:0:0:0:0:0:1]:8443"), "/v6", Some(6)),
            (Some("[::1]x"), "/v6", Some(0)),
            (Some("[::2]"), "/v6", Some(0)),
            (Some("10.0.0.1:80"), "/v4", Some(7)),
            (None, "*", None),
            (None, "", None),
        ];
        for (host, path, expected) in cases {
            assert_eq!(table.find(*host, path), *expected, "{host:?} {path}");
        }
    }

    #[test]
    fn table_without_root_route_can_have_no_match() {
        let table = table(&[(None, "/orders"), (Some("a"), "/x")]);
        for (host, path) in [(None, "/"), (None, "/x"), (Some("a"), "/"), (Some("b"), "/x")] {
            assert_eq!(table.find(host, path), None, "{host:?} {path}");
        }
        assert_eq!(RouteTable::default().find(Some("a"), "/"), None);
    }

    #[test]
    fn first_of_two_equal_routes_is_used() {
        assert_eq!(table(&[(None, "/a"), (None, "/a/")]).find(None, "/a"), Some(0));
    }
}
