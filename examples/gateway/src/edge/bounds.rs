//! Timeouts and concurrency limit of a route.
//!
//! tower's `timeout` and `limit` end with the head of the response and do not observe the end of a request's body.
//! These bounds include both bodies.

mod deadline;
mod download;
mod future;
mod lazy_timer;
mod settings;

#[cfg(test)]
mod tests;

use std::{
    sync::Arc,
    task::{Context, Poll},
};

use http::{Request, Response};
use http_body::Body;
use tower::{Layer, Service};
use tower_mtls::serve::CallerBody;

use self::future::BoundedFuture;
pub(crate) use self::{
    download::{Download, StreamIdleTimeout},
    settings::Bounds,
};
use super::forward_error::ForwardError;

impl<S> Layer<S> for Bounds {
    type Service = Bounded<S>;

    fn layer(&self, inner: S) -> Bounded<S> {
        Bounded { inner, bounds: Arc::new(self.clone()) }
    }
}

/// Service of [`Bounds`].
#[derive(Debug, Clone)]
pub(crate) struct Bounded<S> {
    inner: S,
    bounds: Arc<Bounds>,
}

impl<S, B, R> Service<Request<CallerBody<B>>> for Bounded<S>
where
    S: Service<Request<CallerBody<B>>, Response = Response<R>>,
    S::Error: Into<ForwardError>,
    B: Body,
    R: Body + Send + 'static,
{
    type Response = Response<Download<R>>;
    type Error = ForwardError;
    type Future = BoundedFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), ForwardError>> {
        self.inner.poll_ready(cx).map_err(Into::into)
    }

    fn call(&mut self, request: Request<CallerBody<B>>) -> Self::Future {
        let Some(permit) = self.bounds.acquire() else { return BoundedFuture::rejected() };
        let upload = request.body().upload().cloned();
        if let Some(upload) = &upload {
            upload.set_limits(self.bounds.stream_limits());
        }
        BoundedFuture::new(self.inner.call(request), permit, upload, &self.bounds)
    }
}
