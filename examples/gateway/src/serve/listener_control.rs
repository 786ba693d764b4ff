//! What a listener's connections are told while they are open.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use tokio::sync::watch;

use crate::config::Limits;

/// What holds for every connection of a listener, from now on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct ConnectionSettings {
    pub(super) limits: Limits,
    /// The listener ends: finish what is in flight.
    pub(super) draining: bool,
}

/// The listener's side.
#[derive(Debug)]
pub(super) struct ListenerControl {
    conditions: watch::Sender<ConnectionSettings>,
    is_draining: Arc<AtomicBool>,
}

/// A connection's side.
#[derive(Debug, Clone)]
pub(super) struct ConnectionSignals {
    pub(super) conditions: watch::Receiver<ConnectionSettings>,
    /// Beside the conditions, whose lock every answer would have to take.
    pub(super) is_draining: Arc<AtomicBool>,
}

/// The two sides of one listener.
pub(super) fn listener_control(limits: Limits) -> (ListenerControl, ConnectionSignals) {
    let (sender, conditions) = watch::channel(ConnectionSettings { limits, draining: false });
    let is_draining = Arc::new(AtomicBool::new(false));
    (
        ListenerControl { conditions: sender, is_draining: is_draining.clone() },
        ConnectionSignals { conditions, is_draining },
    )
}

impl ListenerControl {
    pub(super) fn limits(&self, limits: Limits) {
        self.conditions.send_modify(|conditions| conditions.limits = limits);
    }

    pub(super) fn drain(&self) {
        self.is_draining.store(true, Ordering::Release);
        self.conditions.send_modify(|conditions| conditions.draining = true);
    }
}

impl ConnectionSignals {
    /// Waits until the listener ends.
    pub(super) async fn drained(&mut self) {
        // A sender that is gone means that the listener is: that is an end as well.
        let _ = self.conditions.wait_for(|conditions| conditions.draining).await;
    }
}
