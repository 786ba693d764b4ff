//! Forced end of connections after the drain timeout.

use std::{
    future::Future,
    sync::{Mutex, MutexGuard, PoisonError},
};

use tokio::{sync::watch, task::AbortHandle};

/// The connection tasks of one pool. Aborting them fails their requests in flight.
pub(super) struct ForceClose {
    is_done: watch::Sender<bool>,
    tasks: Mutex<Vec<AbortHandle>>,
}

impl ForceClose {
    pub(super) fn new() -> Self {
        Self { is_done: watch::Sender::new(false), tasks: Mutex::default() }
    }

    /// Spawns a connection task.
    pub(super) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        let task = tokio::spawn(task).abort_handle();
        let mut tasks = self.tasks();
        // Checked under the lock, so that no task is missed.
        if *self.is_done.borrow() {
            task.abort();
        } else {
            tasks.push(task);
        }
    }

    /// Aborts all tasks, and every task that is spawned later.
    pub(super) fn abort_all(&self) {
        let mut tasks = self.tasks();
        self.is_done.send_replace(true);
        for task in tasks.drain(..) {
            task.abort();
        }
    }

    /// Completes at [`abort_all`](Self::abort_all).
    #[cfg(feature = "proxy")]
    pub(super) async fn wait(&self) {
        // The sender is alive, so this cannot fail.
        let _ = self.is_done.subscribe().wait_for(|is_done| *is_done).await;
    }

    /// Removes finished tasks.
    pub(super) fn remove_finished(&self) {
        self.tasks().retain(|task| !task.is_finished());
    }

    fn tasks(&self) -> MutexGuard<'_, Vec<AbortHandle>> {
        self.tasks.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
