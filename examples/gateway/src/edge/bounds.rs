//! Timeouts and concurrency limit of a route.
//!
//! tower's `timeout` and `limit` end with the head of the response and do not observe the end of a request's body.
//! These bounds include both bodies.

mod deadline;
mod download;
mod future;
mod idle_timer;
mod settings;
mod upload;

#[cfg(test)]
mod tests;

use std::{
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use http::{Request, Response};
use http_body::Body;
use tower::{Layer, Service};
use tower_mtls::request::is_grpc;

pub(crate) use self::{download::Download, settings::Bounds, upload::Upload};
use self::{
    future::BoundedFuture,
    idle_timer::{IdleTimer, Progress},
};
use super::forward_error::ForwardError;

/// Minimum `body_timeout` of gRPC requests.
const MIN_GRPC_BODY_TIMEOUT: Duration = Duration::from_secs(5 * 60);

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

impl<S, B, R> Service<Request<B>> for Bounded<S>
where
    S: Service<Request<Upload<B>>, Response = Response<R>>,
    S::Error: Into<ForwardError>,
    B: Body,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    R: Body + Send + 'static,
{
    type Response = Response<Download<R>>;
    type Error = ForwardError;
    type Future = BoundedFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), ForwardError>> {
        self.inner.poll_ready(cx).map_err(Into::into)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let Some(permit) = self.bounds.acquire() else { return BoundedFuture::rejected() };
        // A gRPC request stays open while only its response makes progress, and both can pause for longer.
        let progress = is_grpc(&request).then(Progress::new);
        let min_timeout = if progress.is_some() { MIN_GRPC_BODY_TIMEOUT } else { Duration::ZERO };
        let timeout = self.bounds.limits.body_timeout.map(|timeout| timeout.max(min_timeout));
        let idle_timer = timeout.map(|timeout| IdleTimer::new(timeout, progress.clone()));
        let (head, body) = request.into_parts();
        let (body, upload_end) =
            Upload::new(body, self.bounds.limits.first_byte_timeout.is_some(), idle_timer);
        let response = self.inner.call(Request::from_parts(head, body));
        BoundedFuture::new(response, permit, upload_end, &self.bounds, progress)
    }
}
