use std::{
    convert::Infallible,
    error::Error as StdError,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc::{Receiver, RecvTimeoutError},
    },
    time::Duration,
};

use super::files::{Change, Files};
use crate::shared::{Publish, Shared};

/// Reads of different contents in a row, after which the files are reported as stale.
const MAX_PENDING: u32 = 10;

/// The watcher's thread.
pub(super) struct Task<T, F> {
    files: Files,
    names: String,
    shared: Shared<T>,
    load: F,
    is_stale: Arc<AtomicBool>,
    /// The problem that was logged last, so that it is logged once.
    problem: Option<String>,
    /// Reads since the contents were last published, rejected or unreadable.
    pending: u32,
    stopped: Receiver<Infallible>,
}

impl<T, E, F> Task<T, F>
where
    T: Publish,
    E: Into<Box<dyn StdError + Send + Sync>>,
    F: Fn(&[Vec<u8>]) -> Result<T, E>,
{
    pub(super) fn new(
        files: Files,
        shared: Shared<T>,
        load: F,
        is_stale: Arc<AtomicBool>,
        stopped: Receiver<Infallible>,
    ) -> Self {
        let names = files.names();
        Self { files, names, shared, load, is_stale, problem: None, pending: 0, stopped }
    }

    /// Polls the files until the watcher is dropped.
    pub(super) fn run(mut self, interval: Duration) {
        while self.stopped.recv_timeout(interval) == Err(RecvTimeoutError::Timeout) {
            match self.files.poll() {
                Ok(Change::Published) => self.resolved(),
                Ok(Change::Pending) => self.pending(),
                Ok(Change::New(contents)) => self.replace(&contents),
                Err(error) => self.failed(error.to_string()),
            }
        }
    }

    fn replace(&mut self, contents: &[Vec<u8>]) {
        // Conversion of the error and drop of the old value are the user's code as well.
        let loaded = catch_unwind(AssertUnwindSafe(|| match (self.load)(contents) {
            Ok(value) => {
                self.shared.replace(value);
                Ok(())
            }
            Err(error) => Err(error.into().to_string()),
        }));
        match loaded {
            Ok(Ok(())) => {
                self.files.accept();
                tracing::info!(files = self.names, "reloaded");
                self.resolved();
            }
            Ok(Err(error)) => {
                self.files.reject();
                self.failed(error);
            }
            Err(_) => {
                self.files.reject();
                self.failed("the loading function panicked".into());
            }
        }
    }

    /// The contents differ from the last read, or were rejected before.
    fn pending(&mut self) {
        self.pending = self.pending.saturating_add(1);
        if self.pending >= MAX_PENDING && self.problem.is_none() {
            self.failed("the files change at every read".into());
        }
    }

    fn resolved(&mut self) {
        self.pending = 0;
        self.problem = None;
        self.set_stale(false);
    }

    fn failed(&mut self, problem: String) {
        self.set_stale(true);
        if self.problem.as_ref() != Some(&problem) {
            tracing::error!(files = self.names, error = problem, "reload failed; the old value stays in use");
            self.problem = Some(problem);
        }
    }

    fn set_stale(&self, is_stale: bool) {
        self.is_stale.store(is_stale, Ordering::Release);
        #[cfg(feature = "metrics")]
        metrics::gauge!("tower_mtls_reload_stale", "files" => self.names.clone()).set(u8::from(is_stale));
    }
}
