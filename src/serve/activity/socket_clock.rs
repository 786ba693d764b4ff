//! Clock of a socket that does not accept bytes.

use tokio::time::Instant;

use crate::serve::{ProgressClock, ProgressLimits};

/// Clock of a socket.
pub(super) struct SocketClock {
    pub(super) clock: ProgressClock,
    /// Bytes accepted by the socket that the clock has recorded.
    recorded: u64,
}

impl SocketClock {
    /// Returns a stopped clock without limits.
    pub(super) fn new() -> Self {
        Self { clock: ProgressClock::new(ProgressLimits::new(None, 0)), recorded: 0 }
    }

    /// Records the number of accepted bytes. Returns the time.
    pub(super) fn record(&mut self, accepted: u64) -> Instant {
        let now = Instant::now();
        let bytes = accepted.saturating_sub(self.recorded);
        self.clock.record(usize::try_from(bytes).unwrap_or(usize::MAX), now);
        self.recorded = accepted;
        now
    }
}
