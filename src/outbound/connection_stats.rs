use std::sync::{
    Arc, OnceLock,
    atomic::{AtomicBool, AtomicU64, Ordering},
};

use rustls::AlertDescription;
use tokio::sync::Notify;

/// Observations of a connection, shared with the requests on it.
#[derive(Debug, Clone, Default)]
pub(super) struct ConnectionStats(Arc<StatsInner>);

#[derive(Debug, Default)]
struct StatsInner {
    alert: OnceLock<AlertDescription>,
    /// Bytes of HTTP that arrived.
    received: AtomicU64,
    /// Notified of the first byte.
    first_byte: Notify,
    /// True if the end of the socket without `close_notify` counts as the end of the stream.
    allows_missing_close_notify: AtomicBool,
}

impl ConnectionStats {
    /// The alert that ended the connection.
    pub(super) fn alert(&self) -> Option<AlertDescription> {
        self.0.alert.get().copied()
    }

    /// Sets whether the end of the socket without `close_notify` counts as the end of the stream. HTTP/1.1 then ends
    /// bodies that nothing else delimits, and no others.
    pub(super) fn allow_missing_close_notify(&self, is_allowed: bool) {
        self.0.allows_missing_close_notify.store(is_allowed, Ordering::Relaxed);
    }

    /// Returns the number of bytes of HTTP that have arrived.
    pub(super) fn received(&self) -> u64 {
        self.0.received.load(Ordering::Relaxed)
    }

    /// Waits for the first byte. For one task, once.
    pub(super) async fn first_bytes(&self) {
        self.0.first_byte.notified().await;
    }

    /// Returns true if the end of the socket without `close_notify` counts as the end of the stream.
    pub(super) fn allows_missing_close_notify(&self) -> bool {
        self.0.allows_missing_close_notify.load(Ordering::Relaxed)
    }

    /// Records the alert that ended the connection.
    pub(super) fn record_alert(&self, alert: AlertDescription) {
        let _ = self.0.alert.set(alert);
    }

    /// Counts bytes of HTTP that arrived.
    pub(super) fn record_received(&self, bytes: usize) {
        if bytes > 0 && self.0.received.fetch_add(bytes as u64, Ordering::Relaxed) == 0 {
            self.0.first_byte.notify_one();
        }
    }
}
