//! Ending what is still in flight when its time is over.

use std::{
    future::Future,
    sync::{Mutex, MutexGuard, PoisonError},
};

use tokio::{sync::watch, task::AbortHandle};

/// The connections of one pool, as far as they can be cut off. What is in flight on them then ends with an error.
pub(super) struct ForceClose {
    is_done: watch::Sender<bool>,
    tasks: Mutex<Vec<AbortHandle>>,
}

impl ForceClose {
    pub(super) fn new() -> Self {
        Self { is_done: watch::Sender::new(false), tasks: Mutex::default() }
    }

    /// Runs what drives a connection.
    pub(super) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        let task = tokio::spawn(task).abort_handle();
        let mut tasks = self.tasks();
        // Asked under the lock, so none is missed.
        if *self.is_done.borrow() {
            task.abort();
        } else {
            tasks.push(task);
        }
    }

    /// Cuts everything off, now and from now on.
    pub(super) fn cut(&self) {
        let mut tasks = self.tasks();
        self.is_done.send_replace(true);
        for task in tasks.drain(..) {
            task.abort();
        }
    }

    /// Ends when everything is cut off.
    #[cfg(feature = "proxy")]
    pub(super) async fn wait(&self) {
        // The sender is here, so this cannot fail.
        let _ = self.is_done.subscribe().wait_for(|is_done| *is_done).await;
    }

    /// Lets go of what has ended by itself.
    pub(super) fn tidy(&self) {
        self.tasks().retain(|task| !task.is_finished());
    }

    fn tasks(&self) -> MutexGuard<'_, Vec<AbortHandle>> {
        self.tasks.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
