use std::sync::{
    Arc, Mutex, MutexGuard, PoisonError,
    atomic::{AtomicUsize, Ordering},
};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::meters::Meters;

/// How many connections there may be: to one upstream under all identities together, or to all upstreams.
pub(in super::super) struct ConnectionLimit {
    free: Arc<Semaphore>,
    /// How many wait, to be asked on every request.
    waiting: AtomicUsize,
    /// The pools that wait, once for each place.
    pools: Mutex<Vec<Arc<Meters>>>,
}

impl ConnectionLimit {
    pub(in super::super) fn new(connections: usize) -> Self {
        let free = Arc::new(Semaphore::new(connections.min(Semaphore::MAX_PERMITS)));
        Self { free, waiting: AtomicUsize::new(0), pools: Mutex::default() }
    }

    /// Whether somebody waits for a place.
    pub(super) fn is_wanted(&self) -> bool {
        self.waiting.load(Ordering::Relaxed) > 0
    }

    /// Whether a pool waits for a place that has no connection at all.
    pub(super) fn is_needed(&self) -> bool {
        self.is_wanted() && self.pools().iter().any(|pool| pool.connections() == 0)
    }

    pub(super) fn is_full(&self) -> bool {
        self.free.available_permits() == 0
    }

    pub(super) fn try_take(&self) -> Option<OwnedSemaphorePermit> {
        self.free.clone().try_acquire_owned().ok()
    }

    /// Waits for a place, in turn; dropping the future gives up.
    pub(super) async fn take(&self, pool: &Arc<Meters>) -> Option<OwnedSemaphorePermit> {
        self.pools().push(pool.clone());
        self.waiting.fetch_add(1, Ordering::Relaxed);
        let _waiting = Waiting { places: self, pool };
        // The semaphore is never closed.
        self.free.clone().acquire_owned().await.ok()
    }

    fn pools(&self) -> MutexGuard<'_, Vec<Arc<Meters>>> {
        self.pools.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

struct Waiting<'a> {
    places: &'a ConnectionLimit,
    pool: &'a Arc<Meters>,
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.places.waiting.fetch_sub(1, Ordering::Relaxed);
        let mut pools = self.places.pools();
        if let Some(at) = pools.iter().position(|pool| Arc::ptr_eq(pool, self.pool)) {
            pools.swap_remove(at);
        }
    }
}
