//! Notification of requests that wait for a connection.

use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::{Notify, futures::Notified};

/// Changes of one pool: a connection was returned, a stream ended, or a stream limit became known.
#[derive(Default)]
pub(super) struct Availability {
    waiting: AtomicUsize,
    changed: Notify,
}

/// A waiting request, until dropped.
pub(super) struct Waiting<'a>(&'a Availability);

impl Availability {
    /// Registers a waiting request. Called before it looks for a connection, so that no change is missed.
    pub(super) fn wait(&self) -> Waiting<'_> {
        self.waiting.fetch_add(1, Ordering::SeqCst);
        Waiting(self)
    }

    pub(super) fn is_awaited(&self) -> bool {
        self.waiting.load(Ordering::SeqCst) > 0
    }

    /// Wakes one waiting request.
    pub(super) fn notify_one(&self) {
        if self.is_awaited() {
            self.changed.notify_one();
        }
    }

    /// Wakes all waiting requests.
    pub(super) fn notify_all(&self) {
        self.changed.notify_waiters();
    }
}

impl Waiting<'_> {
    /// Returns a future of the next change; changes after this call are not missed.
    pub(super) fn change(&self) -> Notified<'_> {
        self.0.changed.notified()
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.waiting.fetch_sub(1, Ordering::SeqCst);
    }
}
