//! Paths of the file's routes and of other APIs, which an API must not take.

use std::collections::HashMap;

use super::problem::ApiProblem;
use crate::store::{Api, Id, ItemField, Settings};

/// Hosts and paths of the file's routes.
pub(crate) struct TakenPaths {
    /// In the order of the file.
    routes: Vec<(Option<String>, String)>,
    /// The first route of each path.
    by_path: HashMap<String, usize>,
}

/// The first API of each path, which serves it.
pub(super) struct ApiPaths<'s>(HashMap<&'s str, &'s Id>);

/// The path as the routing table compares it.
fn bare(path: &str) -> &str {
    path.strip_suffix('/').unwrap_or(path)
}

impl TakenPaths {
    pub(crate) fn new(routes: Vec<(Option<String>, String)>) -> Self {
        let mut by_path = HashMap::new();
        for (index, (host, path)) in routes.iter().enumerate() {
            // The root of a host takes the requests of that host only.
            if !bare(path).is_empty() || host.is_none() {
                by_path.entry(bare(path).to_owned()).or_insert(index);
            }
        }
        Self { routes, by_path }
    }

    /// Returns the first route with this path or one above it. The root is above no other path.
    fn owner(&self, path: &str) -> Option<&(Option<String>, String)> {
        let path = bare(path);
        let above = path.match_indices('/').map(|(at, _)| at).filter(|at| *at > 0);
        let prefixes = above.chain([path.len()]).filter_map(|end| path.get(..end));
        self.routes.get(prefixes.filter_map(|prefix| self.by_path.get(prefix)).min().copied()?)
    }
}

impl<'s> ApiPaths<'s> {
    pub(super) fn new(settings: &'s Settings) -> Self {
        let mut first = HashMap::new();
        for (id, stored) in &settings.apis {
            first.entry(bare(&stored.value.path)).or_insert(id);
        }
        Self(first)
    }

    /// Rejects an API that would take requests from a route of the file or from another API.
    pub(super) fn check(&self, id: &Id, api: &Api, taken: &TakenPaths) -> Result<(), ApiProblem> {
        if let Some((host, path)) = taken.owner(&api.path) {
            let host = host.as_deref().unwrap_or_default();
            let problem = format!(
                "the path {} belongs to the route {host}{path} of the configuration file, which cannot be changed here",
                api.path
            );
            return Err((ItemField::Path, None, problem));
        }
        match self.0.get(bare(&api.path)) {
            Some(other) if *other != id => {
                Err((ItemField::Path, None, format!("the path {} belongs to the API '{other}'", api.path)))
            }
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn path_belongs_to_the_first_route_at_or_above_it() {
        let routes = [
            (Some("a"), "/"),
            (None, "/orders/eu"),
            (Some("b"), "/orders"),
            (None, "/orders"),
            (None, "/x/"),
        ];
        let taken = |has_root: bool| {
            let root = has_root.then_some((None, "/"));
            let all = routes.into_iter().chain(root);
            TakenPaths::new(all.map(|(host, path)| (host.map(str::to_owned), path.to_owned())).collect())
        };
        for (path, expected) in [
            ("/orders", Some(2)),
            ("/orders/", Some(2)),
            ("/orders/us", Some(2)),
            ("/orders/eu/1", Some(1)),
            ("/ordersx", None),
            ("/x", Some(4)),
            ("/x/y", Some(4)),
            ("/y", None),
            ("/", None),
        ] {
            let taken = taken(false);
            let owner = taken.owner(path).map(|(host, path)| (host.as_deref(), path.as_str()));
            assert_eq!(owner, expected.map(|index: usize| routes[index]), "{path}");
        }
        assert!(taken(true).owner("/").is_some() && taken(true).owner("/y").is_none());
    }
}
