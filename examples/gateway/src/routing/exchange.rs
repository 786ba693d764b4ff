//! Requests in progress, counted at their end.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Instant,
};

use http::StatusCode;
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;

use super::route::RouteFacts;
use crate::edge::StreamIdleTimeout;

type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// One request, from its head to the end of its response body; counted on drop.
#[derive(Debug)]
pub(crate) struct Exchange {
    facts: Arc<RouteFacts>,
    start: Instant,
    status: Option<StatusCode>,
}

impl Exchange {
    pub(super) fn begin(facts: Arc<RouteFacts>) -> Self {
        Self { facts, start: Instant::now(), status: None }
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
            tracing::warn!(code, route, upstream, "{error}");
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
