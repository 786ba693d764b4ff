use std::{collections::VecDeque, time::Duration};

use tokio::{task::AbortHandle, time};

/// Minimum age before a pending handshake may be evicted, so that a burst of callers is served in turn.
const GRACE: Duration = Duration::from_millis(500);

/// Pending handshakes, the oldest first.
#[derive(Default)]
pub(super) struct PendingHandshakes(VecDeque<(time::Instant, AbortHandle)>);

impl PendingHandshakes {
    pub(super) fn push(&mut self, handshake: AbortHandle) {
        self.0.push_back((time::Instant::now(), handshake));
    }

    pub(super) fn remove_finished(&mut self, limit: usize) {
        while self.0.front().is_some_and(|(_, handshake)| handshake.is_finished()) {
            self.0.pop_front();
        }
        // Bounds the number of finished handshakes behind a stalled one.
        if self.0.len() > 2 * limit {
            self.0.retain(|(_, handshake)| !handshake.is_finished());
        }
    }

    /// Returns the time from which on the oldest handshake can be evicted.
    pub(super) fn evictable_at(&self) -> time::Instant {
        self.0.front().map_or_else(time::Instant::now, |(since, _)| *since + GRACE)
    }

    /// Aborts the oldest handshake.
    pub(super) fn evict_oldest(&mut self) {
        while let Some((_, oldest)) = self.0.pop_front() {
            if !oldest.is_finished() {
                oldest.abort();
                tracing::debug!("TLS handshake evicted: limit of pending handshakes reached");
                #[cfg(feature = "metrics")]
                metrics::counter!("tower_mtls_handshakes_failed_total", "reason" => "given_up").increment(1);
                return;
            }
        }
    }
}
