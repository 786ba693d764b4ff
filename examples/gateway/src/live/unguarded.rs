//! What a new configuration no longer guards.

use crate::serve::RoutingSnapshot;

/// Warns of each route that demanded a certificate where the route that takes its place does not.
pub(super) fn warn(old: &RoutingSnapshot, new: &RoutingSnapshot) {
    for route in old.routes().filter(|route| route.is_enforced) {
        let (path, host) = (&route.facts.path, route.facts.host.as_deref());
        if new.successor(host, path).is_some_and(|route| !route.is_enforced) {
            tracing::warn!(path, host, "this route demanded a certificate, and does so no longer");
        }
    }
}
