//! What a listener's connections are told while they are open.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use tokio::sync::watch;

use crate::config::Limits;

/// What holds for every connection of a listener, from now on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Conditions {
    pub(super) limits: Limits,
    /// The listener ends: finish what is in flight.
    pub(super) draining: bool,
}

/// The listener's side.
#[derive(Debug)]
pub(super) struct Teller {
    conditions: watch::Sender<Conditions>,
    is_draining: Arc<AtomicBool>,
}

/// A connection's side.
#[derive(Debug, Clone)]
pub(super) struct Told {
    pub(super) conditions: watch::Receiver<Conditions>,
    /// Beside the conditions, whose lock every answer would have to take.
    pub(super) is_draining: Arc<AtomicBool>,
}

/// The two sides of one listener.
pub(super) fn conditions(limits: Limits) -> (Teller, Told) {
    let (sender, conditions) = watch::channel(Conditions { limits, draining: false });
    let is_draining = Arc::new(AtomicBool::new(false));
    (Teller { conditions: sender, is_draining: is_draining.clone() }, Told { conditions, is_draining })
}

impl Teller {
    pub(super) fn limits(&self, limits: Limits) {
        self.conditions.send_modify(|conditions| conditions.limits = limits);
    }

    pub(super) fn drain(&self) {
        self.is_draining.store(true, Ordering::Release);
        self.conditions.send_modify(|conditions| conditions.draining = true);
    }
}

impl Told {
    /// Waits until the listener ends.
    pub(super) async fn drained(&mut self) {
        // A sender that is gone means that the listener is: that is an end as well.
        let _ = self.conditions.wait_for(|conditions| conditions.draining).await;
    }
}
