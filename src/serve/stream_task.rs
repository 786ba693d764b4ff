//! Tasks of HTTP/2 streams.
//!
//! hyper does not poll a response body while the caller grants no window, so a body cannot end its stream. Ending the
//! stream's task resets the stream.

use std::{
    future::Future,
    sync::{Arc, OnceLock},
};

use hyper::rt::Executor;
use tokio::task::AbortHandle;

tokio::task_local! {
    static CURRENT: StreamTask;
}

/// Task of one HTTP/2 stream.
#[derive(Debug, Clone, Default)]
pub(super) struct StreamTask(Arc<OnceLock<AbortHandle>>);

impl StreamTask {
    /// Returns the task in which this is called. None outside of an HTTP/2 stream.
    pub(super) fn current() -> Option<Self> {
        CURRENT.try_with(Clone::clone).ok()
    }

    /// Resets the stream, unless its task has ended.
    pub(super) fn reset(&self) {
        if let Some(task) = self.0.get() {
            task.abort();
        }
    }
}

/// Executor of a connection, which spawns a task for each of its streams.
#[derive(Debug, Clone, Copy)]
pub(super) struct StreamExecutor;

impl<F> Executor<F> for StreamExecutor
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    fn execute(&self, stream: F) {
        let task = StreamTask::default();
        let handle = tokio::spawn(CURRENT.scope(task.clone(), stream)).abort_handle();
        // Set once.
        let _ = task.0.set(handle);
    }
}
