//! Use of connections by shares, counted under each limit of a pool.

use std::{future::Future, sync::Arc};

use super::{connection_limit::ConnectionLimit, share::ConnectionShare};
use crate::generation::Generation;

/// The connection limits of a pool; a connection needs a permit of each.
#[derive(Default)]
pub(in crate::outbound) struct Limits {
    /// Of its upstream, under all identities.
    pub(in crate::outbound) upstream: Option<Arc<ConnectionLimit>>,
    /// Of all upstreams.
    pub(in crate::outbound) total: Option<Arc<ConnectionLimit>>,
}

impl Limits {
    pub(super) fn iter(&self) -> impl Iterator<Item = &Arc<ConnectionLimit>> {
        self.upstream.iter().chain(&self.total)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.iter().next().is_none()
    }

    /// Waits until a share may use another connection.
    async fn acquire(&self, share: &ConnectionShare) -> ConnectionUse {
        let of = async |limit: &Option<Arc<ConnectionLimit>>| match limit {
            Some(limit) => limit.acquire_use(share).await,
            None => None,
        };
        ConnectionUse { upstream: of(&self.upstream).await, total: of(&self.total).await }
    }

    fn each(&self, count: impl Fn(&Arc<ConnectionLimit>) -> Option<CountedUse>) -> Option<ConnectionUse> {
        let of = |limit: &Option<Arc<ConnectionLimit>>| match limit {
            Some(limit) => count(limit).map(Some),
            None => Some(None),
        };
        Some(ConnectionUse { upstream: of(&self.upstream)?, total: of(&self.total)? })
    }
}

/// Use of one connection by one share, until dropped. Empty without limits.
#[derive(Default)]
pub(super) struct ConnectionUse {
    upstream: Option<CountedUse>,
    total: Option<CountedUse>,
}

impl ConnectionUse {
    fn counted(&mut self) -> impl Iterator<Item = &mut CountedUse> {
        self.upstream.iter_mut().chain(&mut self.total)
    }

    /// Returns the share. None without limits.
    pub(super) fn share(&self) -> Option<Generation> {
        self.upstream.iter().chain(&self.total).next().map(|counted| counted.share.id())
    }

    /// Returns true if this use counts the connection.
    pub(super) fn counts_connection(&self) -> bool {
        self.upstream.iter().chain(&self.total).any(|counted| counted.counts_connection)
    }

    /// Makes this the use that counts the connection, in place of another share's that ends.
    pub(super) fn replace(&mut self, ended: &mut Self) {
        for (own, ended) in self.counted().zip(ended.counted()) {
            std::mem::swap(&mut own.counts_connection, &mut ended.counts_connection);
        }
    }
}

/// Use of a connection under one limit.
pub(super) struct CountedUse {
    pub(super) limit: Arc<ConnectionLimit>,
    pub(super) share: ConnectionShare,
    /// True for one of the shares that use the connection.
    pub(super) counts_connection: bool,
}

impl Drop for CountedUse {
    fn drop(&mut self) {
        self.limit.end_use(self.share.id(), self.counts_connection);
    }
}

/// The share of a request, under the limits of a pool.
pub(in crate::outbound) struct User<'a> {
    limits: &'a Limits,
    share: Option<&'a ConnectionShare>,
}

impl User<'_> {
    /// Returns true if the share uses no connection under one of the limits.
    pub(in crate::outbound) fn uses_none(&self) -> bool {
        self.share.is_none_or(|share| self.limits.iter().any(|limit| !limit.is_used_by(share.id())))
    }
}

/// A request that needs a connection.
pub(in crate::outbound) struct Claim<'a> {
    limits: &'a Limits,
    /// None without limits.
    share: Option<&'a ConnectionShare>,
    /// Permission to use another connection.
    granted: Option<ConnectionUse>,
}

impl<'a> Claim<'a> {
    pub(super) fn new(limits: &'a Limits, share: Option<&'a ConnectionShare>) -> Self {
        Self { limits, share, granted: None }
    }

    pub(super) fn share(&self) -> Option<Generation> {
        self.share.map(ConnectionShare::id)
    }

    /// Returns the user of the connection that is claimed.
    pub(in crate::outbound) fn user(&self) -> User<'a> {
        User { limits: self.limits, share: self.share }
    }

    pub(super) fn grant(&mut self, granted: ConnectionUse) {
        self.granted = Some(granted);
    }

    /// Begins the use of a connection that is not in use. None if the share may not use it now.
    pub(super) fn take(&mut self) -> Option<ConnectionUse> {
        let Some(share) = self.share else { return Some(ConnectionUse::default()) };
        self.granted.take().or_else(|| self.limits.each(|limit| limit.try_use(share)))
    }

    /// Begins the use of a connection that other shares use. None if the share may not use it now.
    pub(super) fn join(&mut self) -> Option<ConnectionUse> {
        let Some(share) = self.share else { return Some(ConnectionUse::default()) };
        match self.granted.take() {
            Some(mut granted) => {
                for counted in granted.counted() {
                    counted.counts_connection = false;
                    counted.limit.taken_is_joined();
                }
                Some(granted)
            }
            None => self.limits.each(|limit| limit.try_join(share)),
        }
    }

    /// Returns a future that waits until the share may use another connection.
    pub(super) fn turn(&self) -> impl Future<Output = ConnectionUse> + Send + use<'a> {
        let (limits, share) = (self.limits, self.share);
        async move {
            match share {
                Some(share) => limits.acquire(share).await,
                None => ConnectionUse::default(),
            }
        }
    }
}
