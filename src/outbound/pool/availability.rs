//! Telling those who wait for a connection that there may be one.

use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::{Notify, futures::Notified};

/// Of one pool: a connection came back, a stream ended, or an upstream said how many streams it allows.
#[derive(Default)]
pub(super) struct Availability {
    waiting: AtomicUsize,
    changed: Notify,
}

/// Somebody who waits, until dropped.
pub(super) struct Waiting<'a>(&'a Availability);

impl Availability {
    /// Announces somebody who waits, before they look for a connection: so nothing is missed.
    pub(super) fn wait(&self) -> Waiting<'_> {
        self.waiting.fetch_add(1, Ordering::SeqCst);
        Waiting(self)
    }

    pub(super) fn is_awaited(&self) -> bool {
        self.waiting.load(Ordering::SeqCst) > 0
    }

    /// There is something for one.
    pub(super) fn one(&self) {
        if self.is_awaited() {
            self.changed.notify_one();
        }
    }

    /// Everyone should look.
    pub(super) fn all(&self) {
        self.changed.notify_waiters();
    }
}

impl Waiting<'_> {
    /// The next change; what happens after this call is not missed.
    pub(super) fn change(&self) -> Notified<'_> {
        self.0.changed.notified()
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.waiting.fetch_sub(1, Ordering::SeqCst);
    }
}
