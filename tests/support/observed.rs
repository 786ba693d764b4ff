//! Connections and exchanges of a server, as it reports them.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicUsize, Ordering},
};

use tower_mtls::serve::{ConnectionObserver, TimeoutKind};

/// The connections that a server has observed.
#[derive(Default)]
pub struct Observed {
    open: AtomicUsize,
    timed_out: Mutex<Vec<TimeoutKind>>,
}

impl Observed {
    /// Returns the number of connections that have completed their handshake.
    pub fn open(&self) -> usize {
        self.open.load(Ordering::SeqCst)
    }

    /// Returns the reasons for which connections were closed.
    pub fn timed_out(&self) -> Vec<TimeoutKind> {
        self.timed_out.lock().unwrap().clone()
    }
}

impl ConnectionObserver for Observed {
    fn opened(&self) {
        self.open.fetch_add(1, Ordering::SeqCst);
    }

    fn closed(&self) {
        self.open.fetch_sub(1, Ordering::SeqCst);
    }

    fn timed_out(&self, timeout: TimeoutKind) {
        self.timed_out.lock().unwrap().push(timeout);
    }
}

/// An exchange in progress, counted until it is dropped.
pub struct OpenExchange(Arc<AtomicUsize>);

impl OpenExchange {
    pub fn begin(open: &Arc<AtomicUsize>) -> Self {
        open.fetch_add(1, Ordering::SeqCst);
        Self(open.clone())
    }
}

impl Drop for OpenExchange {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}
