//! Limits of streams.

use std::{
    sync::atomic::{AtomicU64, AtomicUsize, Ordering},
    time::Duration,
};

use super::{HttpLimits, ProgressLimits};

/// Limits of the bodies of one request and its response: [progress](ProgressLimits) that the caller must make, and the
/// time for which both directions can be silent.
///
/// Default: those of [`HttpLimits`].
///
/// ```
/// use std::time::Duration;
/// use tower_mtls::serve::{ProgressLimits, StreamLimits};
///
/// let minute = Duration::from_secs(60);
/// let limits = StreamLimits::new(ProgressLimits::new(Some(minute), 240), Some(5 * minute));
/// assert_eq!(limits, StreamLimits::default());
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StreamLimits {
    pub(super) progress: ProgressLimits,
    pub(super) idle: Option<Duration>,
}

impl StreamLimits {
    /// `idle_timeout` is the maximum time without a byte of either direction while the caller owes none; None: unlimited.
    pub fn new(progress: ProgressLimits, idle_timeout: Option<Duration>) -> Self {
        Self { progress, idle: idle_timeout }
    }
}

impl Default for StreamLimits {
    fn default() -> Self {
        HttpLimits::default().stream_limits()
    }
}

/// [`StreamLimits`] that are replaced while they are read.
#[derive(Debug)]
pub(super) struct AtomicStreamLimits {
    /// In milliseconds. `u64::MAX`: unlimited.
    stall: AtomicU64,
    min_rate: AtomicUsize,
    /// In milliseconds. `u64::MAX`: unlimited.
    idle: AtomicU64,
}

impl AtomicStreamLimits {
    pub(super) fn store(&self, StreamLimits { progress, idle }: StreamLimits) {
        let millis = |time: Option<Duration>| {
            time.map_or(u64::MAX, |time| u64::try_from(time.as_millis()).unwrap_or(u64::MAX))
        };
        self.stall.store(millis(progress.stall()), Ordering::Relaxed);
        self.min_rate.store(progress.min_rate(), Ordering::Relaxed);
        self.idle.store(millis(idle), Ordering::Relaxed);
    }

    pub(super) fn load(&self) -> StreamLimits {
        let time = |millis: &AtomicU64| {
            let millis = millis.load(Ordering::Relaxed);
            (millis < u64::MAX).then(|| Duration::from_millis(millis))
        };
        let progress = ProgressLimits::new(time(&self.stall), self.min_rate.load(Ordering::Relaxed));
        StreamLimits { progress, idle: time(&self.idle) }
    }
}

impl Default for AtomicStreamLimits {
    fn default() -> Self {
        Self {
            stall: AtomicU64::new(u64::MAX),
            min_rate: AtomicUsize::new(0),
            idle: AtomicU64::new(u64::MAX),
        }
    }
}
