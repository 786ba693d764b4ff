//! Notification of requests that wait for a connection.

use std::sync::{
    Arc, Mutex, MutexGuard, PoisonError,
    atomic::{AtomicUsize, Ordering},
};

use tokio::sync::{Notify, futures::Notified};

use crate::generation::Generation;

/// Changes of one pool: a connection was returned, a stream ended, or a stream limit became known.
#[derive(Default)]
pub(super) struct Availability {
    waiting: AtomicUsize,
    /// The waiting requests by share.
    shares: Mutex<Vec<WaitingShare>>,
}

struct WaitingShare {
    /// None without limits.
    share: Option<Generation>,
    waiting: usize,
    changed: Arc<Notify>,
}

/// A waiting request, until dropped.
pub(super) struct Waiting<'a> {
    availability: &'a Availability,
    share: Option<Generation>,
    changed: Arc<Notify>,
}

impl Availability {
    /// Registers a waiting request. Called before it looks for a connection, so that no change is missed.
    pub(super) fn wait(&self, share: Option<Generation>) -> Waiting<'_> {
        let mut shares = self.shares();
        let changed = match shares.iter_mut().find(|of| of.share == share) {
            Some(of_share) => {
                of_share.waiting += 1;
                of_share.changed.clone()
            }
            None => {
                let changed = Arc::<Notify>::default();
                shares.push(WaitingShare { share, waiting: 1, changed: changed.clone() });
                changed
            }
        };
        self.waiting.fetch_add(1, Ordering::SeqCst);
        Waiting { availability: self, share, changed }
    }

    pub(super) fn is_awaited(&self) -> bool {
        self.waiting.load(Ordering::SeqCst) > 0
    }

    /// Wakes one waiting request of each share: not all shares may use the connection.
    pub(super) fn notify_one(&self) {
        if self.is_awaited() {
            self.shares().iter().for_each(|of_share| of_share.changed.notify_one());
        }
    }

    /// Wakes all waiting requests.
    pub(super) fn notify_all(&self) {
        self.shares().iter().for_each(|of_share| of_share.changed.notify_waiters());
    }

    fn shares(&self) -> MutexGuard<'_, Vec<WaitingShare>> {
        self.shares.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Waiting<'_> {
    /// Returns a future of the next change; changes after this call are not missed.
    pub(super) fn change(&self) -> Notified<'_> {
        self.changed.notified()
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.availability.waiting.fetch_sub(1, Ordering::SeqCst);
        let mut shares = self.availability.shares();
        let at = shares.iter().position(|of_share| of_share.share == self.share);
        if let Some(at) = at {
            shares[at].waiting -= 1;
            if shares[at].waiting == 0 {
                shares.swap_remove(at);
            }
        }
    }
}
