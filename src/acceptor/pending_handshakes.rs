use std::{collections::VecDeque, time::Duration};

use tokio::{task::AbortHandle, time};

/// A handshake has this long before it can be given up for another: a burst of honest callers is served in
/// turn.
const GRACE: Duration = Duration::from_millis(500);

/// The handshakes under way by their age.
#[derive(Default)]
pub(super) struct PendingHandshakes(VecDeque<(time::Instant, AbortHandle)>);

impl PendingHandshakes {
    pub(super) fn push(&mut self, handshake: AbortHandle) {
        self.0.push_back((time::Instant::now(), handshake));
    }

    pub(super) fn forget_finished(&mut self, places: usize) {
        while self.0.front().is_some_and(|(_, handshake)| handshake.is_finished()) {
            self.0.pop_front();
        }
        // Behind one that stalls, the finished ones would pile up.
        if self.0.len() > 2 * places {
            self.0.retain(|(_, handshake)| !handshake.is_finished());
        }
    }

    /// When the oldest has had its time.
    pub(super) fn evictable_at(&self) -> time::Instant {
        self.0.front().map_or_else(time::Instant::now, |(since, _)| *since + GRACE)
    }

    /// Ends the handshake that has taken longest: callers that stall make room for those that do not.
    pub(super) fn evict_oldest(&mut self) {
        while let Some((_, oldest)) = self.0.pop_front() {
            if !oldest.is_finished() {
                oldest.abort();
                tracing::debug!("TLS handshake given up: there are too many");
                #[cfg(feature = "metrics")]
                metrics::counter!("tower_mtls_handshakes_failed_total", "reason" => "given_up").increment(1);
                return;
            }
        }
    }
}
