use std::{
    net::SocketAddr,
    task::{Context, Poll},
};

use http::{Extensions, Request};
use tower_layer::Layer;
use tower_service::Service;

use crate::certificate::{ClientCertificate, Presented};

/// What travels with each request: what was presented, and what layers made of it.
///
/// One value, because each value in a request's extensions costs an allocation; the layer marks it in place.
#[derive(Debug, Clone)]
pub(super) struct Captured {
    pub(super) presented: Presented,
    /// Where the connection comes from.
    pub(super) remote: Option<SocketAddr>,
    pub(super) verdict: Verdict,
}

/// How far a request has come; of several layers' verdicts the greatest counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Verdict {
    /// No layer has judged it.
    Unjudged,
    /// A layer let it pass without a certificate: none was presented and none was needed.
    LetThrough,
    /// A layer in shadow mode let it pass that would have refused it.
    Shadowed,
    /// A layer admitted the certificate.
    Admitted,
}

/// Tells the layers inside what the caller presented.
pub(crate) fn capture_into(extensions: &mut Extensions, presented: Presented, remote: Option<SocketAddr>) {
    extensions.insert(Captured { presented, remote, verdict: Verdict::Unjudged });
}

/// Where the request's connection comes from, as the acceptor saw it. None if nothing was captured.
pub fn remote_addr(extensions: &Extensions) -> Option<SocketAddr> {
    extensions.get::<Captured>()?.remote
}

/// What the caller presented, judged or not. None if nothing was captured.
pub(crate) fn presented(extensions: &Extensions) -> Option<&Presented> {
    extensions.get::<Captured>().map(|captured| &captured.presented)
}

/// What was presented and where the connection comes from. None if nothing was captured.
#[cfg(feature = "apim")]
pub(crate) fn captured(extensions: &Extensions) -> Option<(&Presented, Option<SocketAddr>)> {
    extensions.get::<Captured>().map(|captured| (&captured.presented, captured.remote))
}

/// Marks the request as judged. What an outer layer admitted stays so.
pub(crate) fn mark(extensions: &mut Extensions, verdict: Verdict) {
    if let Some(captured) = extensions.get_mut::<Captured>() {
        captured.verdict = captured.verdict.max(verdict);
    }
}

/// The certificate that a [`RequireCertificate`](super::RequireCertificate) layer admitted.
///
/// None if no layer judged this request: a certificate that was merely presented is never returned.
pub fn admitted(extensions: &Extensions) -> Option<&ClientCertificate> {
    match extensions.get::<Captured>()? {
        Captured { presented: Presented::Certificate(certificate), verdict: Verdict::Admitted, .. } => {
            Some(certificate)
        }
        _ => None,
    }
}

/// The verdict of the layers so far.
#[cfg(feature = "axum")]
pub(super) fn verdict(extensions: &Extensions) -> Verdict {
    extensions.get::<Captured>().map_or(Verdict::Unjudged, |captured| captured.verdict)
}

/// A service that tells the layers inside what this connection's caller presented.
///
/// Made once per connection by an acceptor.
#[derive(Debug, Clone)]
pub struct Capture<S> {
    inner: S,
    presented: Presented,
    remote: Option<SocketAddr>,
}

impl<S> Capture<S> {
    #[cfg_attr(not(feature = "acceptor"), allow(dead_code, reason = "acceptors make it"))]
    pub(crate) fn new(inner: S, presented: Presented, remote: Option<SocketAddr>) -> Self {
        Self { inner, presented, remote }
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

/// Gives every request the same presented certificate, without any handshake.
///
/// **Danger:** nobody proved possession of a key. This is for tests, and for acceptors of your own that have
/// proved it. A certificate out of a header must not come here.
#[derive(Debug, Clone)]
pub struct AssumePresentedLayer {
    presented: Presented,
}

impl AssumePresentedLayer {
    /// Assumes that the caller of every request presented this.
    pub fn new(presented: impl Into<Presented>) -> Self {
        Self { presented: presented.into() }
    }
}

impl<S> Layer<S> for AssumePresentedLayer {
    type Service = Capture<S>;

    fn layer(&self, inner: S) -> Self::Service {
        Capture::new(inner, self.presented.clone(), None)
    }
}
