//! Requests in progress, counted at their end.

use std::{
    borrow::Cow,
    net::SocketAddr,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Instant,
};

use http::{Method, Request, StatusCode};
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;
use tower_mtls::remote_addr;

use super::route::RouteFacts;
use crate::{edge::StreamIdleTimeout, log};

type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// Fields of a request in log lines.
#[derive(Debug)]
pub(super) struct RequestFields {
    method: Method,
    path: String,
    pub(super) remote: Option<SocketAddr>,
}

impl RequestFields {
    pub(super) fn of<B>(request: &Request<B>) -> Self {
        Self {
            method: request.method().clone(),
            path: request.uri().path().to_owned(),
            remote: remote_addr(request.extensions()),
        }
    }

    pub(super) fn method(&self) -> Cow<'_, str> {
        log::cut(self.method.as_str())
    }

    pub(super) fn path(&self) -> Cow<'_, str> {
        log::cut(&self.path)
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

    /// Logs and counts a response that a timeout of the gateway ended.
    #[cold]
    fn cut(&self, error: &BoxError) {
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

impl Drop for Exchange {
    fn drop(&mut self) {
        self.facts.metrics.completed(self.status, self.start.elapsed());
    }
}

pin_project! {
    /// Response body that ends its exchange when it is dropped.
    pub(crate) struct ExchangeBody<B> {
        #[pin]
        body: B,
        exchange: Option<Exchange>,
    }
}

impl<B> ExchangeBody<B> {
    /// `exchange` is None for a request without a route.
    pub(super) fn new(body: B, exchange: Option<Exchange>) -> Self {
        Self { body, exchange }
    }
}

impl<B> Body for ExchangeBody<B>
where
    B: Body,
    B::Error: Into<BoxError>,
{
    type Data = B::Data;
    type Error = BoxError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, BoxError>>> {
        let this = self.project();
        let frame = ready!(this.body.poll_frame(cx));
        Poll::Ready(frame.map(|frame| {
            frame.map_err(|error| {
                let error = error.into();
                if let Some(exchange) = this.exchange {
                    exchange.cut(&error);
                }
                error
            })
        }))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
