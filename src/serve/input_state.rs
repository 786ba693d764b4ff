//! State of the bytes that a caller sends: open header blocks, floods and heads beyond their limits.

use std::{
    sync::{
        OnceLock,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::time::Instant;

use super::{HeadRejection, http2_frames::FloodKind};

/// Maximum time for which a connection ends after a flood.
const FLOOD_TIMEOUT: Duration = Duration::from_secs(1);

/// Shared by the socket, the requests and the timeouts of a connection.
#[derive(Debug)]
pub(super) struct InputState {
    start: Instant,
    /// Begin of an incomplete header block or frame over HTTP/2, in milliseconds since the start, plus 1. 0: there is
    /// none.
    block_since: AtomicU64,
    /// Detection of a flood, in milliseconds since the start, plus 1. 0: there was none.
    flooded_at: AtomicU64,
    /// Limit that the last head of an HTTP/1.1 connection exceeded.
    head_rejection: OnceLock<HeadRejection>,
}

impl InputState {
    pub(super) fn new(start: Instant) -> Self {
        let (block_since, flooded_at) = (AtomicU64::new(0), AtomicU64::new(0));
        Self { start, block_since, flooded_at, head_rejection: OnceLock::new() }
    }

    /// Records the time since which a header block or frame is incomplete over HTTP/2.
    pub(super) fn set_block_since(&self, since: Option<std::time::Instant>) {
        let since = since.map_or(0, |since| self.millis(Instant::from_std(since)));
        if self.block_since.load(Ordering::Relaxed) != since {
            self.block_since.store(since, Ordering::Relaxed);
        }
    }

    /// Returns the time since which a header block or frame is incomplete. None after a flood, which has its own
    /// deadline.
    pub(super) fn block_since(&self) -> Option<Instant> {
        if self.is_flooded() { None } else { self.instant(&self.block_since) }
    }

    /// Records a flood, which ends the connection.
    pub(super) fn flood_begins(&self, flood: FloodKind) {
        if !self.is_flooded() {
            tracing::debug!(frames = flood.as_str(), "connection closed: flood");
            self.flooded_at.store(self.millis(Instant::now()), Ordering::Relaxed);
        }
    }

    /// Returns true after a flood.
    pub(super) fn is_flooded(&self) -> bool {
        self.flooded_at.load(Ordering::Relaxed) > 0
    }

    /// Returns the time at which a connection is closed after a flood.
    pub(super) fn flood_deadline(&self) -> Option<Instant> {
        self.instant(&self.flooded_at).map(|at| at + FLOOD_TIMEOUT)
    }

    /// Records that the head which arrives exceeds a limit. Further requests of the connection are rejected, pipelined
    /// ones before that head too: hyper parses a part of it only.
    pub(super) fn reject_head(&self, rejection: HeadRejection) {
        // Cannot fail with another value: no further head is read.
        let _ = self.head_rejection.set(rejection);
    }

    /// Returns the limit that a head of the connection exceeded.
    pub(super) fn head_rejection(&self) -> Option<HeadRejection> {
        self.head_rejection.get().copied()
    }

    fn millis(&self, at: Instant) -> u64 {
        u64::try_from(at.saturating_duration_since(self.start).as_millis()).unwrap_or(u64::MAX - 1) + 1
    }

    fn instant(&self, millis: &AtomicU64) -> Option<Instant> {
        let millis = millis.load(Ordering::Relaxed).checked_sub(1)?;
        Some(self.start + Duration::from_millis(millis))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn header_block_has_no_deadline_after_a_flood() {
        let input = InputState::new(Instant::now());
        assert_eq!(input.block_since(), None);
        input.set_block_since(Some(std::time::Instant::now()));
        assert!(input.block_since().is_some() && input.flood_deadline().is_none());
        input.flood_begins(FloodKind::Continuation);
        assert!(input.block_since().is_none() && input.flood_deadline().is_some());
    }
}
