use std::{
    net::SocketAddr,
    task::{Context, Poll},
};

use http::Request;
use tower_service::Service;

use super::captured::capture_into;
use crate::certificate::Presented;

/// Service that inserts the connection's presented certificate into the extensions of each request.
///
/// Acceptors build one per connection; in tests, [`AssumePresentedLayer`](crate::danger::AssumePresentedLayer) builds it.
///
/// ```
/// use tower::Layer;
/// use tower_mtls::{certificate::Presented, danger::AssumePresentedLayer, request::Capture};
///
/// let service: Capture<&str> = AssumePresentedLayer::new(Presented::Nothing).layer("inner");
/// assert_eq!(service.into_inner(), "inner");
/// ```
#[derive(Debug, Clone)]
pub struct Capture<S> {
    inner: S,
    presented: Presented,
    remote: Option<SocketAddr>,
}

impl<S> Capture<S> {
    pub(crate) fn new(inner: S, presented: Presented, remote: Option<SocketAddr>) -> Self {
        Self { inner, presented, remote }
    }

    /// The inner service.
    pub fn get_ref(&self) -> &S {
        &self.inner
    }

    /// The inner service, mutably.
    pub fn get_mut(&mut self) -> &mut S {
        &mut self.inner
    }

    /// Returns the inner service.
    pub fn into_inner(self) -> S {
        self.inner
    }
}

impl<S, B> Service<Request<B>> for Capture<S>
where
    S: Service<Request<B>>,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<B>) -> Self::Future {
        capture_into(request.extensions_mut(), self.presented.clone(), self.remote);
        self.inner.call(request)
    }
}
