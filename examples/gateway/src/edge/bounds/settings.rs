//! Settings of a route's bounds, and the permit of one request.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use tower_mtls::serve::{ProgressLimits, StreamLimits};

use crate::config::RequestLimits;

/// Layer with the bounds of one route.
#[derive(Debug, Clone)]
pub(crate) struct Bounds {
    pub(crate) limits: RequestLimits,
    /// Limits of the routes without their own, which the listener enforces.
    pub(crate) general: RequestLimits,
    /// Maximum number of concurrent requests.
    pub(crate) max_requests: Option<usize>,
    /// Number of concurrent requests, under this configuration and earlier ones.
    pub(crate) in_flight: Arc<AtomicUsize>,
}

/// Permit for one request of a route, released on drop.
#[derive(Debug)]
pub(super) struct Permit(Arc<AtomicUsize>);

impl Bounds {
    /// Returns the limits of request bodies.
    pub(super) fn stream_limits(&self) -> StreamLimits {
        let RequestLimits { body_timeout, min_data_rate, stream_idle_timeout, .. } = self.limits;
        StreamLimits::new(ProgressLimits::new(body_timeout, min_data_rate), stream_idle_timeout)
    }

    /// Returns the limits of reading a response, unless the listener enforces them.
    pub(super) fn read_limits(&self) -> Option<ProgressLimits> {
        let stall = self.limits.body_timeout.into_iter().chain(self.limits.request_timeout).min();
        let limits = ProgressLimits::new(stall, self.limits.min_data_rate);
        let general = ProgressLimits::new(self.general.body_timeout, self.general.min_data_rate);
        (limits != general).then_some(limits)
    }

    /// Acquires a permit. None: the route is at its limit.
    pub(super) fn acquire(&self) -> Option<Permit> {
        let in_flight = self.in_flight.fetch_add(1, Ordering::Relaxed);
        let permit = Permit(self.in_flight.clone());
        self.max_requests.is_none_or(|max| in_flight < max).then_some(permit)
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}
