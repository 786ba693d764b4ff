//! Activity of both directions of an exchange.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::time::Instant;

/// Time of an exchange's last byte, shared by its bodies.
#[derive(Debug, Clone)]
pub(super) struct ExchangeActivity(Arc<State>);

#[derive(Debug)]
struct State {
    start: Instant,
    is_grpc: bool,
    has_response: AtomicBool,
    /// Last byte of either direction, in milliseconds since `start`.
    last: AtomicU64,
}

impl ExchangeActivity {
    pub(super) fn new(is_grpc: bool) -> Self {
        let (has_response, last) = (AtomicBool::new(false), AtomicU64::new(0));
        Self(Arc::new(State { start: Instant::now(), is_grpc, has_response, last }))
    }

    /// Records the head of the response.
    pub(super) fn response_begins(&self) {
        self.record(Instant::now());
        self.0.has_response.store(true, Ordering::Release);
    }

    pub(super) fn has_response(&self) -> bool {
        self.0.has_response.load(Ordering::Acquire)
    }

    /// Returns true if the request body can be silent for as long as the whole exchange.
    pub(super) fn is_open_ended(&self) -> bool {
        self.0.is_grpc || self.has_response()
    }

    /// Records a byte of either direction.
    pub(super) fn record(&self, now: Instant) {
        let elapsed = u64::try_from((now - self.0.start).as_millis()).unwrap_or(u64::MAX);
        self.0.last.store(elapsed, Ordering::Relaxed);
    }

    /// Returns the time of the last byte.
    pub(super) fn last(&self) -> Instant {
        self.0.start + Duration::from_millis(self.0.last.load(Ordering::Relaxed))
    }
}
