//! Clock of the progress that a caller owes: bytes of a request that its upstream would read, or bytes of a response
//! that are ready.
//!
//! The clock runs only while the caller owes bytes. Two deadlines follow from it: stall, the time without any byte, and
//! rate, an allowance of running time that bytes refill. Time is an argument.

use std::time::Duration;

use tokio::time::Instant;

/// Running time before a data rate is required.
const RATE_GRACE: Duration = Duration::from_secs(5);

/// Maximum allowance without a stall timeout.
const UNTIMED_ALLOWANCE: Duration = Duration::from_secs(60);

/// Maximum allowance.
const MAX_ALLOWANCE: Duration = Duration::from_secs(24 * 60 * 60);

/// Limits of a caller's progress in one direction of a stream. As an extension of a response: limits of reading it, in
/// place of the [server's](super::HttpLimits).
///
/// ```
/// use std::time::Duration;
/// use http::Response;
/// use tower_mtls::serve::ProgressLimits;
///
/// let mut response = Response::new("a report");
/// response.extensions_mut().insert(ProgressLimits::new(Some(Duration::from_secs(5)), 0));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProgressLimits {
    stall: Option<Duration>,
    min_rate: usize,
}

impl ProgressLimits {
    /// `stall` is the maximum time without any byte; None: unlimited. `min_rate` is the minimum rate in bytes per second,
    /// required after 5 seconds; 0: none.
    pub fn new(stall: Option<Duration>, min_rate: usize) -> Self {
        Self { stall, min_rate }
    }

    /// Returns the maximum time without any byte.
    pub(super) fn stall(&self) -> Option<Duration> {
        self.stall
    }

    /// Returns the minimum rate in bytes per second.
    pub(super) fn min_rate(&self) -> usize {
        self.min_rate
    }
}

/// Limit that a caller exceeded.
///
/// ```
/// use std::time::Duration;
/// use tokio::time::Instant;
/// use tower_mtls::serve::{Lapse, ProgressClock, ProgressLimits};
///
/// let (start, minute) = (Instant::now(), Duration::from_secs(60));
/// let mut clock = ProgressClock::new(ProgressLimits::new(Some(minute), 0));
/// clock.start(start);
/// assert_eq!(clock.deadline(), Some((start + minute, Lapse::Stall)));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Lapse {
    /// No byte in time.
    Stall,
    /// Fewer bytes than the minimum rate.
    Rate,
}

/// Clock of one direction of a stream.
///
/// Deadlines only move later, so a timer that fires early can be set again. The allowance of the rate is at most the
/// time without any byte, so that an early burst does not buy hours.
///
/// ```
/// use std::time::Duration;
/// use tokio::time::Instant;
/// use tower_mtls::serve::{Lapse, ProgressClock, ProgressLimits};
///
/// let (start, second) = (Instant::now(), Duration::from_secs(1));
/// let mut clock = ProgressClock::new(ProgressLimits::new(Some(60 * second), 240));
/// clock.start(start); // the caller owes bytes
/// clock.record(480, start + second);
/// assert_eq!(clock.lapse(start + 6 * second), None);
/// assert_eq!(clock.lapse(start + 7 * second), Some(Lapse::Rate));
/// clock.stop(start + 2 * second); // the caller owes nothing
/// assert_eq!(clock.lapse(start + 3_600 * second), None);
/// ```
#[derive(Debug, Clone)]
pub struct ProgressClock {
    limits: ProgressLimits,
    /// Start of the current run, or its last byte.
    silent_since: Option<Instant>,
    /// Time at which the allowance of a running clock ends. Bytes after it extend it, so that few late ones do not renew
    /// the allowance. None: stopped.
    spent_at: Option<Instant>,
    /// Allowance of a stopped clock.
    allowance: Duration,
}

impl ProgressClock {
    /// Returns a stopped clock.
    pub fn new(limits: ProgressLimits) -> Self {
        Self { limits, silent_since: None, spent_at: None, allowance: RATE_GRACE }
    }

    /// Replaces the limits. A rate that was not required before is required after 5 seconds.
    pub(super) fn set_limits(&mut self, limits: ProgressLimits, now: Instant) {
        if self.limits.min_rate == 0 && limits.min_rate > 0 {
            self.spent_at = self.spent_at.map(|_| now + RATE_GRACE);
            self.allowance = RATE_GRACE;
        }
        self.limits = limits;
    }

    /// Runs the clock: the caller owes bytes. No effect on a running clock.
    pub fn start(&mut self, now: Instant) {
        if self.spent_at.is_none() {
            (self.silent_since, self.spent_at) = (Some(now), Some(now + self.allowance));
        }
    }

    /// Stops the clock: the caller owes nothing.
    pub fn stop(&mut self, now: Instant) {
        if let Some(spent_at) = self.spent_at.take() {
            self.allowance = spent_at.saturating_duration_since(now);
        }
    }

    /// Records bytes from the caller, or taken by it. No bytes are not progress.
    pub fn record(&mut self, bytes: usize, now: Instant) {
        if bytes == 0 {
            return;
        }
        self.silent_since = Some(now);
        if self.limits.min_rate > 0 {
            let nanos = (bytes as u64).saturating_mul(1_000_000_000) / self.limits.min_rate as u64;
            let earned = Duration::from_nanos(nanos);
            let most = self.limits.stall.unwrap_or(UNTIMED_ALLOWANCE).clamp(RATE_GRACE, MAX_ALLOWANCE);
            match &mut self.spent_at {
                Some(at) => *at = at.checked_add(earned).map_or(now + most, |at| at.min(now + most)),
                None => self.allowance = self.allowance.saturating_add(earned).min(most),
            }
        }
    }

    /// Returns the time at which a running clock exceeds a limit, unless bytes arrive before.
    pub fn deadline(&self) -> Option<(Instant, Lapse)> {
        let (silent_since, spent_at) = (self.silent_since?, self.spent_at?);
        let stall =
            self.limits.stall.and_then(|stall| Some((silent_since.checked_add(stall)?, Lapse::Stall)));
        let rate = (self.limits.min_rate > 0).then_some((spent_at, Lapse::Rate));
        stall.into_iter().chain(rate).min_by_key(|(at, _)| *at)
    }

    /// Returns the limit that a running clock has exceeded.
    pub fn lapse(&self, now: Instant) -> Option<Lapse> {
        self.deadline().filter(|(at, _)| *at <= now).map(|(_, lapse)| lapse)
    }

    /// Returns the time of the last bytes, or else of the start.
    pub(super) fn silent_since(&self) -> Option<Instant> {
        self.silent_since
    }
}

#[cfg(test)]
mod tests;
