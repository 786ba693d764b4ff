//! Settings and signals from the accept loop to its open connections.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use tokio::sync::watch;

use super::HttpLimits;

/// Current settings of all connections of a listener.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct ConnectionSettings {
    pub(super) limits: HttpLimits,
    /// True once the listener drains: connections finish the requests in flight and close.
    pub(super) is_draining: bool,
}

/// Sends settings and signals to the connections of a listener.
#[derive(Debug)]
pub(super) struct ConnectionControl {
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
pub(super) fn connection_control(limits: HttpLimits) -> (ConnectionControl, ConnectionSignals) {
    let (settings_tx, settings) = watch::channel(ConnectionSettings { limits, is_draining: false });
    let is_draining = Arc::new(AtomicBool::new(false));
    (
        ConnectionControl { settings: settings_tx, is_draining: is_draining.clone() },
        ConnectionSignals { settings, is_draining },
    )
}

impl ConnectionControl {
    pub(super) fn set_limits(&self, limits: HttpLimits) {
        self.settings.send_if_modified(|settings| {
            let is_changed = settings.limits != limits;
            settings.limits = limits;
            is_changed
        });
    }

    pub(super) fn drain(&self) {
        self.is_draining.store(true, Ordering::Release);
        self.settings.send_modify(|settings| settings.is_draining = true);
    }
}
