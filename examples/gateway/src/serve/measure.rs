//! What is counted of requests. Handles are made once per route: finding a series by its labels costs more than
//! the whole way through the layers.

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

/// `1xx` to `5xx`, and callers who did not wait for the answer.
const STATUSES: [&str; 6] = ["1xx", "2xx", "3xx", "4xx", "5xx", "none"];
const NO_ANSWER: usize = STATUSES.len() - 1;

/// The series of one route.
pub(crate) struct RouteMeasures {
    labels: Vec<Label>,
    requests: [Counter; STATUSES.len()],
    duration: Histogram,
}

impl RouteMeasures {
    /// `host` and `identity` are empty if there is none.
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

    /// An answer of the gateway's own in place of the upstream's.
    #[cold]
    pub(super) fn failed(&self, code: &'static str) {
        let labels = self.labels.iter().cloned().chain([Label::new("code", code)]);
        counter!(ERRORS, labels.collect::<Vec<_>>()).increment(1);
    }
}

impl fmt::Debug for RouteMeasures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RouteMeasures").field("labels", &self.labels).finish_non_exhaustive()
    }
}

/// How many connections callers have open to one listener.
#[derive(Clone)]
pub(super) struct Connections(Gauge);

impl Connections {
    pub(super) fn new(listener: &'static str) -> Self {
        Self(gauge!(CONNECTIONS, "listener" => listener))
    }

    /// One more, until it is dropped.
    pub(super) fn open(&self) -> OpenConnection {
        self.0.increment(1);
        OpenConnection(self.0.clone())
    }
}

/// A connection that is open.
pub(super) struct OpenConnection(Gauge);

impl Drop for OpenConnection {
    fn drop(&mut self) {
        self.0.decrement(1);
    }
}

/// A caller's connection that was closed at a timeout.
#[cold]
pub(super) fn timed_out(timeout: &'static str) {
    counter!(TIMED_OUT, "timeout" => timeout).increment(1);
}

/// A request that found no route.
#[cold]
pub(super) fn unrouted(code: &'static str) {
    counter!(UNROUTED, "code" => code).increment(1);
}

/// One request, from its head to the end of its answer; counted when it is dropped.
#[derive(Debug)]
pub(super) struct Exchange {
    facts: Arc<RouteFacts>,
    start: Instant,
    status: usize,
}

impl Exchange {
    pub(super) fn begin(facts: Arc<RouteFacts>) -> Self {
        Self { facts, start: Instant::now(), status: NO_ANSWER }
    }

    pub(super) fn facts(&self) -> &RouteFacts {
        &self.facts
    }

    pub(super) fn answered(&mut self, status: StatusCode) {
        self.status = usize::from(status.as_u16() / 100).saturating_sub(1).min(NO_ANSWER - 1);
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        let measures = &self.facts.measures;
        if let Some(requests) = measures.requests.get(self.status) {
            requests.increment(1);
        }
        measures.duration.record(self.start.elapsed());
    }
}
