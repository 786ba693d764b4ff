//! Maximum size of request bodies (`max_body_size`).
//!
//! An announced size is compared before the upstream is contacted. A body without one fails when it passes the limit:
//! hyper aborts the request to the upstream, which does not accept the forwarded part as complete.

mod body;
mod future;
#[cfg(test)]
mod tests;

use std::task::{Context, Poll};

use http::Request;
use http_body::Body;
use tower::{Layer, Service};

pub(crate) use self::{body::LimitedBody, future::LimitedFuture};
use super::forward_error::ForwardError;

/// Layer of [`BodyLimit`].
#[derive(Debug, Clone, Copy)]
pub(crate) struct BodyLimitLayer {
    /// In bytes. None: unlimited.
    max_body_size: Option<usize>,
}

impl BodyLimitLayer {
    pub(crate) fn new(max_body_size: Option<usize>) -> Self {
        Self { max_body_size }
    }
}

impl<S> Layer<S> for BodyLimitLayer {
    type Service = BodyLimit<S>;

    fn layer(&self, inner: S) -> BodyLimit<S> {
        BodyLimit { inner, max_body_size: self.max_body_size.map(|size| size as u64) }
    }
}

/// Service that rejects requests with a larger body.
#[derive(Debug, Clone)]
pub(crate) struct BodyLimit<S> {
    inner: S,
    max_body_size: Option<u64>,
}

impl<S, B> Service<Request<B>> for BodyLimit<S>
where
    S: Service<Request<LimitedBody<B>>, Error = ForwardError>,
    B: Body,
{
    type Response = S::Response;
    type Error = ForwardError;
    type Future = LimitedFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), ForwardError>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let Some(max_body_size) = self.max_body_size else {
            return LimitedFuture::new(self.inner.call(request.map(LimitedBody::unlimited)), None);
        };
        let announced = request.body().size_hint();
        if announced.lower() > max_body_size {
            return LimitedFuture::rejected();
        }
        // hyper reads no more than an exact size.
        if announced.exact().is_some() {
            return LimitedFuture::new(self.inner.call(request.map(LimitedBody::unlimited)), None);
        }
        let (head, body) = request.into_parts();
        let (body, exceeded) = LimitedBody::new(body, max_body_size);
        LimitedFuture::new(self.inner.call(Request::from_parts(head, body)), Some(exceeded))
    }
}
