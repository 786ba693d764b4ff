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
const MAX_ALLOWANCE: Duration = Duration::from_secs(60);

/// Limits of the progress in one direction of a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ProgressLimits {
    /// Running time without any byte. None: unlimited.
    pub(crate) stall: Option<Duration>,
    /// Minimum rate in bytes per second of running time, required after 5 s. 0: none.
    pub(crate) min_rate: usize,
}

impl ProgressLimits {
    /// Returns true if there is a limit.
    pub(crate) fn is_limited(&self) -> bool {
        self.stall.is_some() || self.min_rate > 0
    }
}

/// Limit that a caller exceeded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Lapse {
    /// No byte in time.
    Stall,
    /// Fewer bytes than the minimum rate.
    Rate,
}

/// Clock of one direction of a stream.
///
/// Deadlines only move later, so a timer that fires early can be set again.
#[derive(Debug, Clone)]
pub(crate) struct ProgressClock {
    limits: ProgressLimits,
    /// Time from which running time is subtracted from the allowance. None: stopped.
    since: Option<Instant>,
    /// Start of the current run, or its last byte.
    silent_since: Option<Instant>,
    /// Running time until the rate is too low.
    allowance: Duration,
}

impl ProgressClock {
    /// Returns a stopped clock.
    pub(crate) fn new(limits: ProgressLimits) -> Self {
        Self { limits, since: None, silent_since: None, allowance: RATE_GRACE }
    }

    /// Runs the clock: the caller owes bytes. No effect on a running clock.
    pub(crate) fn start(&mut self, now: Instant) {
        if self.since.is_none() {
            (self.since, self.silent_since) = (Some(now), Some(now));
        }
    }

    /// Stops the clock: the caller owes nothing.
    pub(crate) fn stop(&mut self, now: Instant) {
        self.settle(now);
        self.since = None;
    }

    /// Records bytes from the caller, or taken by it. No bytes are not progress.
    pub(crate) fn record(&mut self, bytes: usize, now: Instant) {
        if bytes == 0 {
            return;
        }
        self.settle(now);
        self.silent_since = Some(now);
        if self.limits.min_rate > 0 {
            let nanos = (bytes as u64).saturating_mul(1_000_000_000) / self.limits.min_rate as u64;
            let most = self.limits.stall.unwrap_or(MAX_ALLOWANCE).max(RATE_GRACE);
            self.allowance = self.allowance.saturating_add(Duration::from_nanos(nanos)).min(most);
        }
    }

    /// Returns the time at which a running clock exceeds a limit, unless bytes arrive before.
    pub(crate) fn deadline(&self) -> Option<(Instant, Lapse)> {
        let (since, silent_since) = (self.since?, self.silent_since?);
        let stall = self.limits.stall.and_then(|stall| Some((silent_since.checked_add(stall)?, Lapse::Stall)));
        let rate = (self.limits.min_rate > 0).then(|| (since + self.allowance, Lapse::Rate));
        stall.into_iter().chain(rate).min_by_key(|(at, _)| *at)
    }

    /// Returns the limit that a running clock has exceeded.
    pub(crate) fn lapse(&self, now: Instant) -> Option<Lapse> {
        self.deadline().filter(|(at, _)| *at <= now).map(|(_, lapse)| lapse)
    }

    fn settle(&mut self, now: Instant) {
        if let Some(since) = &mut self.since {
            self.allowance = self.allowance.saturating_sub(now.saturating_duration_since(*since));
            *since = now;
        }
    }
}

#[cfg(test)]
mod tests;
