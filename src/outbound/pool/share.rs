//! Shares of a client's connections.

use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
};

use http::uri::Authority;

use crate::generation::Generation;

/// Share of the connections of an [`MtlsClient`](crate::MtlsClient): usually the requests of one route.
///
/// Of each connection limit of the client the last eighth, at least one connection, is reserved for shares that use none,
/// so that slow upstreams of one route leave connections to the others. It applies where there are several shares: to the
/// limit of one upstream if several send to it, to the limit of all if there are several at all. A limit of one connection
/// reserves nothing: its connection goes to the waiting shares in turn.
///
/// A share uses an HTTP/1.1 connection from a request until the end of its response or tunnel, and an HTTP/2 connection
/// while it has a stream on it. Connections without requests belong to no share. Requests beyond wait: shares take turns,
/// and the requests of a share keep their order.
///
/// Requests whose [`IdentityLayer`](crate::IdentityLayer) has no share belong to that of their pool: identity, trust and
/// authority. Created by [`MtlsClient::connection_share`](crate::MtlsClient::connection_share); it exists until its last
/// clone is dropped.
///
/// ```
/// use tower::Layer;
/// use tower_mtls::{IdentityLayer, MtlsClient};
///
/// let client: MtlsClient<String> = MtlsClient::builder().with_max_connections(64).build();
/// let upstream = http::uri::Authority::from_static("orders.internal:9444");
/// // Each of them can use 56 connections; the last 8 are for the other.
/// let [orders, reports] = ["/orders", "/reports"].map(|route| {
///     let share = client.connection_share(route, Some(&upstream));
///     IdentityLayer::anonymous().with_connection_share(share).layer(client.clone())
/// });
/// # drop((orders, reports));
/// ```
#[derive(Clone)]
pub struct ConnectionShare(Arc<ShareInner>);

struct ShareInner {
    id: Generation,
    key: ShareKey,
    shares: Arc<Shares>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct ShareKey {
    /// None: the share of a pool.
    name: Option<Box<str>>,
    /// None: any upstream.
    upstream: Option<Authority>,
}

impl ConnectionShare {
    pub(super) fn id(&self) -> Generation {
        self.0.id
    }
}

impl fmt::Debug for ConnectionShare {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ShareKey { name, upstream } = &self.0.key;
        f.debug_struct("ConnectionShare").field("name", name).field("upstream", upstream).finish()
    }
}

/// The shares of one client.
#[derive(Default)]
pub(in crate::outbound) struct Shares(Mutex<Registry>);

#[derive(Default)]
struct Registry {
    named: HashMap<ShareKey, Weak<ShareInner>>,
    total: usize,
    /// Number of shares by upstream.
    by_upstream: HashMap<Option<Authority>, usize>,
}

impl Shares {
    /// Returns the share of this name and upstream; created unless it exists.
    pub(in crate::outbound) fn named(
        self: &Arc<Self>,
        name: &str,
        upstream: Option<&Authority>,
    ) -> ConnectionShare {
        let key = ShareKey { name: Some(name.into()), upstream: upstream.cloned() };
        let mut registry = self.registry();
        if let Some(share) = registry.named.get(&key).and_then(Weak::upgrade) {
            return ConnectionShare(share);
        }
        let share = registry.add(self, key);
        registry.named.insert(share.key.clone(), Arc::downgrade(&share));
        ConnectionShare(share)
    }

    /// Returns a new share of a pool.
    pub(super) fn of_pool(self: &Arc<Self>, upstream: &Authority) -> ConnectionShare {
        let key = ShareKey { name: None, upstream: Some(upstream.clone()) };
        ConnectionShare(self.registry().add(self, key))
    }

    /// Returns true if several shares use connections to this upstream, or, without one, to any.
    pub(super) fn are_several(&self, upstream: Option<&Authority>) -> bool {
        let registry = self.registry();
        if upstream.is_none() {
            return registry.total > 1;
        }
        let count = |upstream: Option<&Authority>| registry.by_upstream.get(&upstream.cloned()).copied();
        count(None).unwrap_or(0) + count(upstream).unwrap_or(0) > 1
    }

    fn registry(&self) -> MutexGuard<'_, Registry> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Registry {
    fn add(&mut self, shares: &Arc<Shares>, key: ShareKey) -> Arc<ShareInner> {
        self.total += 1;
        *self.by_upstream.entry(key.upstream.clone()).or_default() += 1;
        Arc::new(ShareInner { id: Generation::next(), key, shares: shares.clone() })
    }
}

impl Drop for ShareInner {
    fn drop(&mut self) {
        let mut registry = self.shares.registry();
        registry.total -= 1;
        if let Some(count) = registry.by_upstream.get_mut(&self.key.upstream) {
            *count -= 1;
            if *count == 0 {
                registry.by_upstream.remove(&self.key.upstream);
            }
        }
        // Unless a share of the same name was created meanwhile.
        if registry.named.get(&self.key).is_some_and(|share| share.strong_count() == 0) {
            registry.named.remove(&self.key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_exist_until_their_last_clone_and_count_for_their_upstream() {
        let shares = Arc::new(Shares::default());
        let (a, b) = (Authority::from_static("a:1"), Authority::from_static("b:1"));
        let orders = shares.named("/orders", Some(&a));
        assert_eq!(orders.id(), shares.named("/orders", Some(&a)).id(), "found by its name");
        assert!(!shares.are_several(None));
        let reports = shares.named("/reports", Some(&b));
        assert!(shares.are_several(None) && !shares.are_several(Some(&a)) && !shares.are_several(Some(&b)));
        let anywhere = shares.named("/any", None);
        assert!(shares.are_several(Some(&a)) && shares.are_several(Some(&b)));
        drop(anywhere);
        let of_pool = shares.of_pool(&a);
        assert!(shares.are_several(Some(&a)) && !shares.are_several(Some(&b)));
        let first = orders.id();
        drop((orders, reports, of_pool));
        assert!(!shares.are_several(None));
        assert_ne!(first, shares.named("/orders", Some(&a)).id());
        assert!(shares.registry().named.is_empty() && shares.registry().by_upstream.is_empty());
    }
}
