//! Budget of the bytes that servers buffer for their callers.

use std::{
    fmt,
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
};

use tokio::sync::Notify;

/// Budget of response bytes that callers have not taken yet, shared by any number of servers. Above it the servers accept
/// no new connections, and close those whose callers do not read, until seven eighths of it are used. Clones share the budget.
///
/// ```
/// use tower_mtls::serve::BufferBudget;
///
/// let budget = BufferBudget::new(64 * 1024 * 1024);
/// assert_eq!(budget.used(), 0);
/// assert!(!budget.is_exceeded());
/// ```
#[derive(Clone)]
pub struct BufferBudget(Arc<State>);

struct State {
    limit: AtomicUsize,
    used: AtomicUsize,
    is_exceeded: AtomicBool,
    /// Wakes servers when `is_exceeded` changes.
    changed: Notify,
}

impl BufferBudget {
    /// Returns an unused budget of this number of bytes.
    pub fn new(limit: usize) -> Self {
        Self(Arc::new(State {
            limit: AtomicUsize::new(limit),
            used: AtomicUsize::new(0),
            is_exceeded: AtomicBool::new(false),
            changed: Notify::new(),
        }))
    }

    /// Replaces the limit, in bytes.
    pub fn set_limit(&self, limit: usize) {
        self.0.limit.store(limit, Ordering::Relaxed);
        self.remove(0);
    }

    /// Returns the number of buffered bytes.
    pub fn used(&self) -> usize {
        self.0.used.load(Ordering::Relaxed)
    }

    /// Returns true from the time at which the budget is exceeded until seven eighths of it are used.
    pub fn is_exceeded(&self) -> bool {
        self.0.is_exceeded.load(Ordering::Acquire)
    }

    pub(super) fn add(&self, bytes: usize) {
        let used = self.0.used.fetch_add(bytes, Ordering::Relaxed).saturating_add(bytes);
        let limit = self.0.limit.load(Ordering::Relaxed);
        if used > limit && !self.0.is_exceeded.load(Ordering::Relaxed) {
            self.exceed(used, limit);
        }
    }

    pub(super) fn remove(&self, bytes: usize) {
        let used = self.0.used.fetch_sub(bytes, Ordering::Relaxed).saturating_sub(bytes);
        if self.0.is_exceeded.load(Ordering::Relaxed) && used <= self.0.limit.load(Ordering::Relaxed) / 8 * 7
        {
            self.recover(used);
        }
    }

    /// Waits until the budget is exceeded.
    pub(super) async fn exceeded(&self) {
        self.changed_to(true).await;
    }

    /// Waits while the budget is exceeded.
    pub(super) async fn available(&self) {
        self.changed_to(false).await;
    }

    async fn changed_to(&self, is_exceeded: bool) {
        loop {
            let mut changed = pin!(self.0.changed.notified());
            changed.as_mut().enable();
            if self.is_exceeded() == is_exceeded {
                return;
            }
            changed.await;
        }
    }

    #[cold]
    fn exceed(&self, used: usize, limit: usize) {
        if !self.0.is_exceeded.swap(true, Ordering::AcqRel) {
            tracing::warn!(used, limit, "too many buffered bytes: no connections are accepted");
            self.0.changed.notify_waiters();
        }
    }

    #[cold]
    fn recover(&self, used: usize) {
        if self.0.is_exceeded.swap(false, Ordering::AcqRel) {
            tracing::info!(used, "fewer buffered bytes: connections are accepted");
            self.0.changed.notify_waiters();
        }
    }
}

impl fmt::Debug for BufferBudget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BufferBudget")
            .field("limit", &self.0.limit)
            .field("used", &self.0.used)
            .field("is_exceeded", &self.0.is_exceeded)
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn exceeded_budget_is_available_once_seven_eighths_are_used() {
        let budget = BufferBudget::new(800);
        budget.add(800);
        assert!(!budget.is_exceeded(), "at the limit");
        budget.add(1);
        assert!(budget.is_exceeded());
        let mut available = pin!(budget.available());
        budget.remove(100);
        let waited = time::timeout(Duration::from_secs(1), available.as_mut()).await;
        assert!(waited.is_err(), "701 of 800");
        budget.remove(1);
        assert!(!budget.is_exceeded());
        available.await;
        budget.add(90);
        assert!(!budget.is_exceeded(), "below the limit");
    }

    #[tokio::test]
    async fn larger_limit_ends_the_overload() {
        let budget = BufferBudget::new(10);
        budget.add(20);
        assert!(budget.is_exceeded());
        budget.set_limit(40);
        budget.available().await;
        assert_eq!(budget.used(), 20);
    }
}
