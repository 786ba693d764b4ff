//! Timeouts and concurrency limit of a route.
//!
//! tower's `timeout` and `limit` end with the head of the response and do not observe the end of a request's body.
//! These bounds include both bodies.

mod deadline;
mod download;
mod exchange_activity;
mod future;
mod lazy_timer;
mod settings;
mod upload;

#[cfg(test)]
mod tests;

use std::{
    sync::Arc,
    task::{Context, Poll},
};

use http::{Request, Response};
use http_body::Body;
use tower::{Layer, Service};
use tower_mtls::{request::is_grpc, serve::ProgressLimits};

pub(crate) use self::{
    download::{Download, StreamIdleTimeout},
    settings::Bounds,
    upload::{Upload, UploadTimeout},
};
use self::{exchange_activity::ExchangeActivity, future::BoundedFuture, upload::UploadClock};
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
        let limits = &self.bounds.limits;
        let stream_idle_timeout = limits.stream_idle_timeout;
        let progress = ProgressLimits::new(limits.body_timeout, limits.min_data_rate);
        let has_limits = stream_idle_timeout.is_some() || progress.is_limited();
        let activity = has_limits.then(|| ExchangeActivity::new(is_grpc(&request)));
        let clock =
            activity.clone().map(|activity| UploadClock::new(progress, stream_idle_timeout, activity));
        let (head, body) = request.into_parts();
        let (body, upload_end) = Upload::new(body, limits.first_byte_timeout.is_some(), clock);
        let response = self.inner.call(Request::from_parts(head, body));
        BoundedFuture::new(response, permit, upload_end, &self.bounds, activity)
    }
}
