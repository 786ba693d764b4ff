//! Routes that a new configuration no longer guards.

use crate::routing::RoutingSnapshot;

/// Warns about each route that required a certificate, if its successor does not.
pub(super) fn warn(old: &RoutingSnapshot, new: &RoutingSnapshot) {
    for route in old.routes().filter(|route| route.is_enforced) {
        let (path, host) = (&route.facts.path, route.facts.host.as_deref());
        if new.successor(host, path).is_some_and(|route| !route.is_enforced) {
            tracing::warn!(path, host, "this route no longer requires a certificate");
        }
    }
}
