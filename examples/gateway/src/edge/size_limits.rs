//! Maximum sizes of a route: of a request's head and body, and number of a response's header fields.
//!
//! An announced size of a body is compared before the upstream is contacted. A body without one fails when it passes the
//! limit: hyper aborts the request to the upstream, which does not accept the forwarded part as complete.

mod body;
mod future;
#[cfg(test)]
mod tests;

use std::task::{Context, Poll};

use http::{Request, Response};
use http_body::Body;
use tower::{Layer, Service};
use tower_mtls::serve::HeadLimits;

use self::body::limited;
pub(crate) use self::{body::LimitedBody, future::LimitedFuture};
use super::{forward_error::ForwardError, listener::head_limits};
use crate::config::RequestLimits;

/// Layer of [`SizeLimits`].
#[derive(Debug, Clone, Copy)]
pub(crate) struct SizeLimitsLayer(Sizes);

#[derive(Debug, Clone, Copy)]
struct Sizes {
    head: HeadLimits,
    /// In bytes. None: unlimited.
    body: Option<u64>,
    response_fields: usize,
}

impl SizeLimitsLayer {
    pub(crate) fn new(limits: &RequestLimits) -> Self {
        Self(Sizes {
            head: head_limits(limits),
            body: limits.max_body_size.map(|size| size as u64),
            response_fields: limits.max_header_fields,
        })
    }
}

impl<S> Layer<S> for SizeLimitsLayer {
    type Service = SizeLimits<S>;

    fn layer(&self, inner: S) -> SizeLimits<S> {
        SizeLimits { inner, sizes: self.0 }
    }
}

/// Service that rejects larger requests and responses.
#[derive(Debug, Clone)]
pub(crate) struct SizeLimits<S> {
    inner: S,
    sizes: Sizes,
}

impl<S, B, R> Service<Request<B>> for SizeLimits<S>
where
    S: Service<Request<LimitedBody<B>>, Response = Response<R>>,
    S::Error: Into<ForwardError>,
    B: Body,
{
    type Response = S::Response;
    type Error = ForwardError;
    type Future = LimitedFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), ForwardError>> {
        self.inner.poll_ready(cx).map_err(Into::into)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let Sizes { head, body: max_body_size, response_fields } = self.sizes;
        if let Err(rejection) = head.check(&request) {
            return LimitedFuture::rejected(ForwardError::Head(rejection));
        }
        let announced = request.body().size_hint();
        if max_body_size.is_some_and(|max| announced.lower() > max) {
            return LimitedFuture::rejected(ForwardError::BodyTooLarge);
        }
        // hyper reads no more than an exact size.
        let max_body_size = max_body_size.filter(|_| announced.exact().is_none());
        let (head, body) = request.into_parts();
        let (body, exceeded) = limited(body, max_body_size);
        let response = self.inner.call(Request::from_parts(head, body));
        LimitedFuture::new(response, exceeded, response_fields)
    }
}
