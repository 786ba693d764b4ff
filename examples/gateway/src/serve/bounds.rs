//! How long a route's requests may take, and how many there may be at a time.
//!
//! tower's `timeout` and `limit` end with the head of the answer, and know nothing of the end of a request's body:
//! these count the bodies in.

mod deadline;
mod download;
mod future;
mod idle_timer;
mod upload;

#[cfg(test)]
mod tests;

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use http::{Request, Response};
use http_body::Body;
use tower::{Layer, Service};
use tower_mtls::inbound::is_grpc;

pub(super) use self::{download::Download, upload::Upload};
use self::{
    future::BoundedFuture,
    idle_timer::{IdleTimer, Progress},
};
use super::answer::Failure;

/// The least `body_timeout` of gRPC requests.
const GRPC: Duration = Duration::from_secs(5 * 60);

/// The bounds of one route; a layer.
#[derive(Debug, Clone)]
pub(crate) struct Bounds {
    /// From the end of a request's body to the head of its answer.
    pub(crate) first_byte: Option<Duration>,
    /// From the head of a request to the end of its answer's body.
    pub(crate) whole: Option<Duration>,
    /// How long a caller may send nothing of a body of which the upstream wants more, and read nothing of an answer
    /// of which there is more.
    pub(crate) body: Option<Duration>,
    /// Requests at a time.
    pub(crate) requests: Option<usize>,
    /// How many there are, under this configuration and those before it.
    pub(crate) in_flight: Arc<AtomicUsize>,
}

/// A place among the requests of a route, free again when this is dropped.
#[derive(Debug)]
struct Permit(Arc<AtomicUsize>);

/// Stands in the extensions of an answer that switches to another protocol: whoever runs the tunnel keeps it.
#[derive(Debug, Clone)]
pub(crate) struct TunnelPermit {
    #[expect(dead_code, reason = "held, not read")]
    place: Arc<Permit>,
}

/// Longest time for which the caller may take nothing of this response while bytes are ready; a response extension.
/// None: unlimited.
#[derive(Debug, Clone, Copy)]
pub(super) struct ReadTimeout(pub(super) Option<Duration>);

impl Bounds {
    /// A place, unless all are taken.
    fn place(&self) -> Option<Permit> {
        let taken = self.in_flight.fetch_add(1, Ordering::Relaxed);
        let place = Permit(self.in_flight.clone());
        self.requests.is_none_or(|most| taken < most).then_some(place)
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl<S> Layer<S> for Bounds {
    type Service = Bounded<S>;

    fn layer(&self, inner: S) -> Bounded<S> {
        Bounded { inner, bounds: Arc::new(self.clone()) }
    }
}

/// Service made by [`Bounds`].
#[derive(Debug, Clone)]
pub(crate) struct Bounded<S> {
    inner: S,
    bounds: Arc<Bounds>,
}

impl<S, B, R> Service<Request<B>> for Bounded<S>
where
    S: Service<Request<Upload<B>>, Response = Response<R>>,
    S::Error: Into<Failure>,
    B: Body,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    R: Body + Send + 'static,
{
    type Response = Response<Download<R>>;
    type Error = Failure;
    type Future = BoundedFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Failure>> {
        self.inner.poll_ready(cx).map_err(Into::into)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let Some(place) = self.bounds.place() else { return BoundedFuture::refused() };
        // gRPC keeps a request open while only the response has something to say, and both for a while without.
        let progress = is_grpc(&request).then(Progress::new);
        let timeout = self.bounds.body.map(|body| if progress.is_some() { body.max(GRPC) } else { body });
        let patience = timeout.map(|timeout| IdleTimer::new(timeout, progress.clone()));
        let (head, body) = request.into_parts();
        let (body, ended) = Upload::new(body, self.bounds.first_byte.is_some(), patience);
        let answer = self.inner.call(Request::from_parts(head, body));
        BoundedFuture::new(answer, place, ended, &self.bounds, progress)
    }
}
