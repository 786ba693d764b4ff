use std::sync::{
    Arc, Mutex, MutexGuard, PoisonError,
    atomic::{AtomicUsize, Ordering},
};

use http::uri::Authority;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

use super::{
    connection_use::CountedUse,
    in_use::InUse,
    meters::Meters,
    share::{ConnectionShare, Shares},
};
use crate::generation::Generation;

/// Connection limit: of one upstream under all identities, or of all upstreams.
///
/// A request needs the right to use a connection of its share, and a new connection needs a permit. Rights are granted for
/// no more connections than there are permits, so that a permit is at most used by an idle connection, which makes room.
pub(in crate::outbound) struct ConnectionLimit {
    /// None: of all upstreams.
    upstream: Option<Authority>,
    shares: Arc<Shares>,
    in_use: Mutex<InUse<Waiter>>,
    free: Arc<Semaphore>,
    /// Number of waiting attempts; read on every request.
    waiting: AtomicUsize,
    /// The pools of the waiting attempts.
    pools: Mutex<Vec<Arc<Meters>>>,
}

/// A request that waits for the right to use a connection.
struct Waiter {
    share: ConnectionShare,
    granted_tx: oneshot::Sender<CountedUse>,
}

impl ConnectionLimit {
    pub(in crate::outbound) fn new(
        connections: usize,
        upstream: Option<Authority>,
        shares: Arc<Shares>,
    ) -> Self {
        let connections = connections.min(Semaphore::MAX_PERMITS);
        Self {
            upstream,
            shares,
            in_use: Mutex::new(InUse::new(connections)),
            free: Arc::new(Semaphore::new(connections)),
            waiting: AtomicUsize::new(0),
            pools: Mutex::default(),
        }
    }

    /// Begins the use of a connection that is not in use. None if the share may not use it now.
    pub(super) fn try_use(self: &Arc<Self>, share: &ConnectionShare) -> Option<CountedUse> {
        let is_taken = self.in_use().take(share.id(), || self.has_rivals());
        is_taken.then(|| self.counted(share.clone(), true))
    }

    /// Begins the use of a connection that other shares use. None if the share may not use it now.
    pub(super) fn try_join(self: &Arc<Self>, share: &ConnectionShare) -> Option<CountedUse> {
        let is_joined = self.in_use().join(share.id(), || self.has_rivals());
        is_joined.then(|| self.counted(share.clone(), false))
    }

    /// Waits until the share may use another connection. Dropping the future cancels the wait.
    pub(super) async fn acquire_use(self: &Arc<Self>, share: &ConnectionShare) -> Option<CountedUse> {
        let (granted_tx, granted) = oneshot::channel();
        let ticket = {
            let mut in_use = self.in_use();
            if in_use.take(share.id(), || self.has_rivals()) {
                return Some(self.counted(share.clone(), true));
            }
            in_use.wait(share.id(), Waiter { share: share.clone(), granted_tx })
        };
        let _turn = Turn { limit: self, share: share.id(), ticket };
        // Senders are dropped by `Turn` only.
        granted.await.ok()
    }

    /// Returns true if the share uses a connection.
    pub(super) fn is_used_by(&self, share: Generation) -> bool {
        self.in_use().is_used_by(share)
    }

    /// Ends the use of a connection by a share; called when a [`CountedUse`] is dropped.
    pub(super) fn end_use(self: &Arc<Self>, share: Generation, is_last: bool) {
        let mut in_use = self.in_use();
        in_use.release(share, is_last);
        self.grant(in_use);
    }

    /// Uncounts a connection that was taken, and turned out to be in use by other shares.
    pub(super) fn taken_is_joined(self: &Arc<Self>) {
        let mut in_use = self.in_use();
        in_use.taken_is_joined();
        self.grant(in_use);
    }

    /// Grants connections to waiting requests.
    fn grant(self: &Arc<Self>, mut in_use: MutexGuard<'_, InUse<Waiter>>) {
        let mut granted = Vec::new();
        while let Some(waiter) = in_use.next_turn(|| self.has_rivals()) {
            granted.push(waiter);
        }
        drop(in_use);
        for Waiter { share, granted_tx } in granted {
            // A request that was cancelled in this moment drops it, and so ends the use.
            let _ = granted_tx.send(self.counted(share, true));
        }
    }

    fn counted(self: &Arc<Self>, share: ConnectionShare, counts_connection: bool) -> CountedUse {
        CountedUse { limit: self.clone(), share, counts_connection }
    }

    fn has_rivals(&self) -> bool {
        self.shares.are_several(self.upstream.as_ref())
    }

    fn in_use(&self) -> MutexGuard<'_, InUse<Waiter>> {
        self.in_use.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns true if an attempt waits for a permit.
    pub(super) fn is_awaited(&self) -> bool {
        self.waiting.load(Ordering::Relaxed) > 0
    }

    /// Returns true if a pool without any connection waits for a permit.
    pub(super) fn is_starving(&self) -> bool {
        self.is_awaited() && self.pools().iter().any(|pool| pool.connections() == 0)
    }

    pub(super) fn is_full(&self) -> bool {
        self.free.available_permits() == 0
    }

    pub(super) fn try_acquire(&self) -> Option<OwnedSemaphorePermit> {
        self.free.clone().try_acquire_owned().ok()
    }

    /// Waits for a permit, in order of arrival. Dropping the future cancels the wait.
    pub(super) async fn acquire(&self, pool: &Arc<Meters>) -> Option<OwnedSemaphorePermit> {
        self.pools().push(pool.clone());
        self.waiting.fetch_add(1, Ordering::Relaxed);
        let _waiting = Waiting { limit: self, pool };
        // The semaphore is never closed.
        self.free.clone().acquire_owned().await.ok()
    }

    fn pools(&self) -> MutexGuard<'_, Vec<Arc<Meters>>> {
        self.pools.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

struct Waiting<'a> {
    limit: &'a ConnectionLimit,
    pool: &'a Arc<Meters>,
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.limit.waiting.fetch_sub(1, Ordering::Relaxed);
        let mut pools = self.limit.pools();
        if let Some(at) = pools.iter().position(|pool| Arc::ptr_eq(pool, self.pool)) {
            pools.swap_remove(at);
        }
    }
}

/// A place in the queue of waiting requests.
struct Turn<'a> {
    limit: &'a ConnectionLimit,
    share: Generation,
    ticket: u64,
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.limit.in_use().cancel(self.share, self.ticket);
    }
}
