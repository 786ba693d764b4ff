//! Settings of a route's bounds, and the permit of one request.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use crate::config::RequestLimits;

/// Layer with the bounds of one route.
#[derive(Debug, Clone)]
pub(crate) struct Bounds {
    pub(crate) limits: RequestLimits,
    /// Maximum number of concurrent requests.
    pub(crate) max_requests: Option<usize>,
    /// Number of concurrent requests, under this configuration and earlier ones.
    pub(crate) in_flight: Arc<AtomicUsize>,
}

/// Permit for one request of a route, released on drop.
#[derive(Debug)]
pub(super) struct Permit(Arc<AtomicUsize>);

/// Extension of a response that switches protocols: the permit that the tunnel keeps.
#[derive(Debug, Clone)]
pub(crate) struct TunnelPermit {
    #[expect(dead_code, reason = "released on drop")]
    pub(super) permit: Arc<Permit>,
}

/// Response extension: maximum time for which the caller reads nothing while bytes are ready. None: unlimited.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ReadTimeout(pub(crate) Option<Duration>);

impl Bounds {
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
