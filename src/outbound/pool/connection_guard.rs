use std::sync::Arc;

use tokio::sync::OwnedSemaphorePermit;

use super::{force_close::ForceClose, meters::Meters};

/// Counts a connection as open; owned by its task and by a tunnel. It does not own the pool: dropping the last
/// reference to a pool closes its idle connections.
pub(super) struct ConnectionGuard {
    pub(super) meters: Arc<Meters>,
    force_close: Arc<ForceClose>,
    _permits: Vec<OwnedSemaphorePermit>,
}

impl ConnectionGuard {
    pub(super) fn new(
        meters: Arc<Meters>,
        force_close: Arc<ForceClose>,
        permits: Vec<OwnedSemaphorePermit>,
    ) -> Self {
        meters.opened();
        Self { meters, force_close, _permits: permits }
    }

    pub(super) fn force_close(&self) -> &ForceClose {
        &self.force_close
    }

    /// Completes when the connection must end.
    #[cfg(feature = "proxy")]
    pub(super) async fn force_closed(&self) {
        self.force_close.wait().await;
    }
}

impl Drop for ConnectionGuard {
    fn drop(&mut self) {
        self.meters.closed();
    }
}
