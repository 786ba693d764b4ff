//! Metrics of requests and connections.
//!
//! Handles are created once per route: a lookup by labels costs more than all layers of a request.

use std::{fmt, sync::Arc, time::Instant};

use http::StatusCode;
use metrics::{Counter, Gauge, Histogram, Label, counter, gauge, histogram};

use super::snapshot::RouteFacts;

const REQUESTS: &str = "gateway_requests_total";
const ERRORS: &str = "gateway_errors_total";
pub(crate) const DURATION: &str = "gateway_request_duration_seconds";
const CONNECTIONS: &str = "gateway_caller_connections";
const TIMED_OUT: &str = "gateway_caller_connections_timed_out_total";
const UNROUTED: &str = "gateway_unrouted_requests_total";

/// Values of the label `status`. `none`: the caller did not wait for the response.
const STATUSES: [&str; 6] = ["1xx", "2xx", "3xx", "4xx", "5xx", "none"];

/// Index of `none`.
const NO_RESPONSE: usize = STATUSES.len() - 1;

/// Metrics of one route.
pub(crate) struct RouteMetrics {
    labels: Vec<Label>,
    requests: [Counter; STATUSES.len()],
    duration: Histogram,
}

impl RouteMetrics {
    /// Registers the metrics. `host` and `identity` are empty if there is none.
    pub(crate) fn new(host: &str, path: &str, identity: &str, upstream: &str) -> Self {
        let route = format!("{host}{path}");
        let labels = vec![
            Label::new("route", route.clone()),
            Label::new("identity", identity.to_owned()),
            Label::new("upstream", upstream.to_owned()),
        ];
        let requests = STATUSES.map(|status| {
            let labels = labels.iter().cloned().chain([Label::new("status", status)]);
            counter!(REQUESTS, labels.collect::<Vec<_>>())
        });
        Self { labels, requests, duration: histogram!(DURATION, "route" => route) }
    }

    /// Counts an error response of the gateway.
    #[cold]
    pub(crate) fn failed(&self, code: &'static str) {
        let labels = self.labels.iter().cloned().chain([Label::new("code", code)]);
        counter!(ERRORS, labels.collect::<Vec<_>>()).increment(1);
    }
}

impl fmt::Debug for RouteMetrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RouteMetrics").field("labels", &self.labels).finish_non_exhaustive()
    }
}

/// Gauge of the open connections of one listener.
#[derive(Clone)]
pub(crate) struct Connections(Gauge);

impl Connections {
    pub(crate) fn new(listener: &'static str) -> Self {
        Self(gauge!(CONNECTIONS, "listener" => listener))
    }

    /// Counts a connection until the returned guard is dropped.
    pub(crate) fn open(&self) -> OpenConnection {
        self.0.increment(1);
        OpenConnection(self.0.clone())
    }
}

/// Drop guard of an open connection.
pub(crate) struct OpenConnection(Gauge);

impl Drop for OpenConnection {
    fn drop(&mut self) {
        self.0.decrement(1);
    }
}

/// Counts a connection that was closed at a timeout.
#[cold]
pub(crate) fn timed_out(timeout: &'static str) {
    counter!(TIMED_OUT, "timeout" => timeout).increment(1);
}

/// Counts a request without a route.
#[cold]
pub(crate) fn unrouted(code: &'static str) {
    counter!(UNROUTED, "code" => code).increment(1);
}

/// One request, from its head to the end of its response body; counted on drop.
#[derive(Debug)]
pub(crate) struct Exchange {
    facts: Arc<RouteFacts>,
    start: Instant,
    status: usize,
}

impl Exchange {
    pub(crate) fn begin(facts: Arc<RouteFacts>) -> Self {
        Self { facts, start: Instant::now(), status: NO_RESPONSE }
    }

    pub(crate) fn facts(&self) -> &RouteFacts {
        &self.facts
    }

    pub(crate) fn set_status(&mut self, status: StatusCode) {
        self.status = usize::from(status.as_u16() / 100).saturating_sub(1).min(NO_RESPONSE - 1);
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        let metrics = &self.facts.metrics;
        if let Some(requests) = metrics.requests.get(self.status) {
            requests.increment(1);
        }
        metrics.duration.record(self.start.elapsed());
    }
}
