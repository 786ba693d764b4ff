//! Requests in progress, counted at their end.

use std::{borrow::Cow, net::SocketAddr, sync::Arc, time::Instant};

use http::{Method, Request, StatusCode, Uri};
use tower_mtls::remote_addr;

use super::route::RouteFacts;
use crate::{
    edge::{BoxError, Inspect, InspectedBody, StreamIdleTimeout},
    log,
};

/// Fields of a request in log lines.
#[derive(Debug)]
pub(super) struct RequestFields {
    method: Method,
    uri: Uri,
    pub(super) remote: Option<SocketAddr>,
}

impl RequestFields {
    pub(super) fn of<B>(request: &Request<B>) -> Self {
        Self {
            method: request.method().clone(),
            uri: request.uri().clone(),
            remote: remote_addr(request.extensions()),
        }
    }

    pub(super) fn method(&self) -> Cow<'_, str> {
        log::cut(self.method.as_str())
    }

    pub(super) fn path(&self) -> Cow<'_, str> {
        log::cut(self.uri.path())
    }
}

/// One request, from its head to the end of its response body; counted on drop.
#[derive(Debug)]
pub(crate) struct Exchange {
    facts: Arc<RouteFacts>,
    request: RequestFields,
    start: Instant,
    status: Option<StatusCode>,
}

impl Exchange {
    pub(super) fn begin(facts: Arc<RouteFacts>, request: RequestFields) -> Self {
        Self { facts, request, start: Instant::now(), status: None }
    }

    pub(super) fn request(&self) -> &RequestFields {
        &self.request
    }

    pub(super) fn facts(&self) -> &RouteFacts {
        &self.facts
    }

    pub(super) fn set_status(&mut self, status: StatusCode) {
        self.status = Some(status);
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        self.facts.metrics.completed(self.status, self.start.elapsed());
    }
}

/// Response body that ends its exchange when it is dropped. Without a route there is none.
pub(crate) type ExchangeBody<B> = InspectedBody<B, Exchange>;

impl Inspect for Exchange {
    /// Logs and counts a response that a timeout of the gateway ended.
    #[cold]
    fn inspect_error(&mut self, error: &BoxError) {
        if error.is::<StreamIdleTimeout>() {
            let (code, RouteFacts { path: route, upstream, metrics, .. }) =
                (StreamIdleTimeout::CODE, &*self.facts);
            let (method, path) = (self.request.method(), self.request.path());
            let remote = self.request.remote.map(tracing::field::display);
            tracing::warn!(code, %method, path = &*path, route, upstream, remote, "{error}");
            metrics.failed(code);
        }
    }
}
