//! Settings and signals from a listener to its open connections.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use tokio::sync::watch;

use crate::config::Limits;

/// Current settings of all connections of a listener.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct ConnectionSettings {
    pub(super) limits: Limits,
    /// True once the listener drains: connections finish the requests in flight and close.
    pub(super) is_draining: bool,
}

/// Sends settings and signals to the connections of a listener.
#[derive(Debug)]
pub(super) struct ListenerControl {
    settings: watch::Sender<ConnectionSettings>,
    is_draining: Arc<AtomicBool>,
}

/// Receives settings and signals in a connection.
#[derive(Debug, Clone)]
pub(super) struct ConnectionSignals {
    pub(super) settings: watch::Receiver<ConnectionSettings>,
    /// Copy of the setting that responses read without a lock.
    pub(super) is_draining: Arc<AtomicBool>,
}

/// Creates the two ends of the channel of one listener.
pub(super) fn listener_control(limits: Limits) -> (ListenerControl, ConnectionSignals) {
    let (settings_tx, settings) = watch::channel(ConnectionSettings { limits, is_draining: false });
    let is_draining = Arc::new(AtomicBool::new(false));
    (
        ListenerControl { settings: settings_tx, is_draining: is_draining.clone() },
        ConnectionSignals { settings, is_draining },
    )
}

impl ListenerControl {
    pub(super) fn set_limits(&self, limits: Limits) {
        self.settings.send_modify(|settings| settings.limits = limits);
    }

    pub(super) fn drain(&self) {
        self.is_draining.store(true, Ordering::Release);
        self.settings.send_modify(|settings| settings.is_draining = true);
    }
}

impl ConnectionSignals {
    /// Waits until the listener drains.
    pub(super) async fn drained(&mut self) {
        // An error means that the listener has been dropped.
        let _ = self.settings.wait_for(|settings| settings.is_draining).await;
    }
}
