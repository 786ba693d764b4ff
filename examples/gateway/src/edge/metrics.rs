//! Metrics of callers' connections.

use metrics::{Gauge, counter, gauge};

const CONNECTIONS: &str = "gateway_caller_connections";
const TIMED_OUT: &str = "gateway_caller_connections_timed_out_total";

/// Gauge of the open connections of one listener.
#[derive(Clone)]
pub(super) struct Connections(Gauge);

impl Connections {
    pub(super) fn new(listener: &'static str) -> Self {
        Self(gauge!(CONNECTIONS, "listener" => listener))
    }

    /// Counts a connection until the returned guard is dropped.
    pub(super) fn open(&self) -> OpenConnection {
        self.0.increment(1);
        OpenConnection(self.0.clone())
    }
}

/// Drop guard of an open connection.
pub(super) struct OpenConnection(Gauge);

impl Drop for OpenConnection {
    fn drop(&mut self) {
        self.0.decrement(1);
    }
}

/// Counts a connection that was closed at a timeout.
#[cold]
pub(super) fn timed_out(timeout: &'static str) {
    counter!(TIMED_OUT, "timeout" => timeout).increment(1);
}
