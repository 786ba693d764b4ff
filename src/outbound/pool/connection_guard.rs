use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::OwnedSemaphorePermit;

use super::{connection_use::ConnectionUse, force_close::ForceClose, meters::Meters};

/// Counts a connection as open; owned by its task and by a tunnel. It does not own the pool: dropping the last
/// reference to a pool closes its idle connections.
pub(super) struct ConnectionGuard {
    pub(super) meters: Arc<Meters>,
    force_close: Arc<ForceClose>,
    _permits: Vec<OwnedSemaphorePermit>,
    /// The use of an HTTP/1.1 connection, which lasts until it is returned to its pool or has ended. Dropped after the
    /// permits, so that the next user finds them free.
    used: Mutex<Option<ConnectionUse>>,
}

impl ConnectionGuard {
    pub(super) fn new(
        meters: Arc<Meters>,
        force_close: Arc<ForceClose>,
        permits: Vec<OwnedSemaphorePermit>,
    ) -> Self {
        meters.opened();
        Self { meters, force_close, _permits: permits, used: Mutex::default() }
    }

    /// Begins the use of the connection by a share.
    pub(super) fn begin_use(&self, used: ConnectionUse) {
        *self.used() = Some(used);
    }

    /// Takes the use of the connection, which ends when it is dropped.
    pub(super) fn take_use(&self) -> Option<ConnectionUse> {
        self.used().take()
    }

    fn used(&self) -> MutexGuard<'_, Option<ConnectionUse>> {
        self.used.lock().unwrap_or_else(PoisonError::into_inner)
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
