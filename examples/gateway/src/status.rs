//! Freshness of the configuration, readiness, and shutdown.

use std::{
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, AtomicI64, Ordering},
    },
    time::{Duration, Instant},
};

use tower_mtls::certificate::Timestamp;

/// Time from the start for which a gateway without the CRL of a URL is not ready.
const CRL_WAIT: Duration = Duration::from_secs(10);

/// State for probes and metrics.
#[derive(Debug)]
pub(crate) struct Status {
    stale_since: Mutex<Option<Instant>>,
    edited_since: Mutex<Option<Instant>>,
    last_load: AtomicI64,
    is_draining: AtomicBool,
    started: Instant,
    is_list_missing: AtomicBool,
}

impl Status {
    /// Creates the state of a gateway that serves its current files.
    pub(crate) fn new(now: Timestamp) -> Self {
        Self {
            stale_since: Mutex::new(None),
            edited_since: Mutex::new(None),
            last_load: AtomicI64::new(now.as_unix()),
            is_draining: AtomicBool::new(false),
            started: Instant::now(),
            is_list_missing: AtomicBool::new(false),
        }
    }

    /// Records a successful load.
    pub(crate) fn fresh(&self, now: Timestamp) {
        self.last_load.store(now.as_unix(), Ordering::Relaxed);
        *self.stale_since.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// Records a failed load. The time of the first one counts.
    pub(crate) fn stale(&self) {
        self.stale_since.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert_with(Instant::now);
    }

    /// Records whether the configuration file was edited in place and not loaded since. Returns the previous value.
    pub(crate) fn edited(&self, is_edited: bool) -> bool {
        let mut since = self.edited_since.lock().unwrap_or_else(PoisonError::into_inner);
        let was_edited = since.is_some();
        *since = if is_edited { since.or_else(|| Some(Instant::now())) } else { None };
        was_edited
    }

    /// Whether the configuration file was edited in place and not loaded since.
    pub(crate) fn is_edited(&self) -> bool {
        self.edited_since.lock().unwrap_or_else(PoisonError::into_inner).is_some()
    }

    /// Whether the last attempt to load failed.
    pub(crate) fn is_stale(&self) -> bool {
        self.stale_since.lock().unwrap_or_else(PoisonError::into_inner).is_some()
    }

    /// Seconds since the first failed load or the first edit in place; 0 only if the current files are served.
    pub(crate) fn stale_seconds(&self) -> f64 {
        let since = [&self.stale_since, &self.edited_since]
            .map(|since| *since.lock().unwrap_or_else(PoisonError::into_inner));
        since.into_iter().flatten().min().map_or(0.0, |since| since.elapsed().as_secs_f64().max(0.001))
    }

    /// The time at which the current configuration was loaded.
    pub(crate) fn last_load(&self) -> Timestamp {
        Timestamp::from_unix(self.last_load.load(Ordering::Relaxed))
    }

    /// Records that the gateway shuts down.
    pub(crate) fn drain(&self) {
        self.is_draining.store(true, Ordering::Relaxed);
    }

    pub(crate) fn is_draining(&self) -> bool {
        self.is_draining.load(Ordering::Relaxed)
    }

    /// Records whether the configuration that serves lacks the CRL of a URL.
    pub(crate) fn list_missing(&self, is_missing: bool) {
        self.is_list_missing.store(is_missing, Ordering::Relaxed);
    }

    /// Returns true unless the gateway drains, or waits for its first CRLs.
    pub(crate) fn is_ready(&self) -> bool {
        self.is_ready_after(self.started.elapsed())
    }

    fn is_ready_after(&self, since_start: Duration) -> bool {
        let is_waiting = self.is_list_missing.load(Ordering::Relaxed) && since_start < CRL_WAIT;
        !self.is_draining() && !is_waiting
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gateway_without_its_first_list_is_ready_after_ten_seconds() {
        let status = Status::new(Timestamp::from_unix(0));
        let ready = || [0, 9_999, 10_000].map(|ms| status.is_ready_after(Duration::from_millis(ms)));
        assert_eq!(ready(), [true; 3]);
        status.list_missing(true);
        assert_eq!(ready(), [false, false, true]);
        status.list_missing(false);
        assert_eq!(ready(), [true; 3]);
        status.drain();
        assert_eq!(ready(), [false; 3]);
    }
}
