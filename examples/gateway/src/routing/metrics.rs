//! Metrics of requests.
//!
//! Handles are created once per route: a lookup by labels costs more than all layers of a request.

use std::{fmt, time::Duration};

use http::StatusCode;
use metrics::{Counter, Histogram, Label, counter, histogram};

const REQUESTS: &str = "gateway_requests_total";
const ERRORS: &str = "gateway_errors_total";
pub(crate) const DURATION: &str = "gateway_request_duration_seconds";
const UNROUTED: &str = "gateway_unrouted_requests_total";
const CUT: &str = "gateway_requests_cut_total";

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

    /// Counts a request, with the status of its response; None: the caller did not wait for it.
    pub(super) fn completed(&self, status: Option<StatusCode>, duration: Duration) {
        let class = status.map(|status| usize::from(status.as_u16() / 100).saturating_sub(1));
        let index = class.map_or(NO_RESPONSE, |class| class.min(NO_RESPONSE - 1));
        if let Some(requests) = self.requests.get(index) {
            requests.increment(1);
        }
        self.duration.record(duration);
    }

    /// Counts an error response of the gateway.
    #[cold]
    pub(super) fn failed(&self, code: &'static str) {
        let labels = self.labels.iter().cloned().chain([Label::new("code", code)]);
        counter!(ERRORS, labels.collect::<Vec<_>>()).increment(1);
    }
}

impl fmt::Debug for RouteMetrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RouteMetrics").field("labels", &self.labels).finish_non_exhaustive()
    }
}

/// Counts a request without a route.
#[cold]
pub(super) fn unrouted(code: &'static str) {
    counter!(UNROUTED, "code" => code).increment(1);
}

/// Counts a request in flight that was cut.
#[cold]
pub(super) fn cut(reason: &'static str) {
    counter!(CUT, "reason" => reason).increment(1);
}
