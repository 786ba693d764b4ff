use std::sync::{
    Arc, Mutex, MutexGuard, PoisonError,
    atomic::{AtomicUsize, Ordering},
};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::meters::Meters;

/// Connection limit: of one upstream under all identities, or of all upstreams.
pub(in crate::outbound) struct ConnectionLimit {
    free: Arc<Semaphore>,
    /// Number of waiting attempts; read on every request.
    waiting: AtomicUsize,
    /// The pools of the waiting attempts.
    pools: Mutex<Vec<Arc<Meters>>>,
}

impl ConnectionLimit {
    pub(in crate::outbound) fn new(connections: usize) -> Self {
        let free = Arc::new(Semaphore::new(connections.min(Semaphore::MAX_PERMITS)));
        Self { free, waiting: AtomicUsize::new(0), pools: Mutex::default() }
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
