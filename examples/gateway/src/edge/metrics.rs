//! Metrics of callers' connections.

use std::sync::Arc;

use metrics::{Gauge, counter, gauge};
use tower_mtls::serve::{ConnectionObserver, TimeoutKind};

const CONNECTIONS: &str = "gateway_caller_connections";
const TIMED_OUT: &str = "gateway_caller_connections_timed_out_total";

/// Metrics of one listener.
pub(super) struct ListenerMetrics(Gauge);

impl ListenerMetrics {
    pub(super) fn new(listener: &'static str) -> Arc<Self> {
        Arc::new(Self(gauge!(CONNECTIONS, "listener" => listener)))
    }
}

impl ConnectionObserver for ListenerMetrics {
    fn opened(&self) {
        self.0.increment(1);
    }

    fn closed(&self) {
        self.0.decrement(1);
    }

    #[cold]
    fn timed_out(&self, timeout: TimeoutKind) {
        counter!(TIMED_OUT, "timeout" => timeout.as_str()).increment(1);
    }
}
