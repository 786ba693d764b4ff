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

/// How far a request has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// No layer has judged it.
    Unjudged,
    /// A layer judged it and let it pass without admitting a certificate: none was presented and none was
    /// needed, or the layer only watches.
    LetThrough,
    /// Every layer so far admitted the certificate.
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

/// Marks the request as judged: its certificate as admitted, or the request as let through without one.
#[cfg(feature = "apim")]
pub(crate) fn mark(extensions: &mut Extensions, is_admitted: bool) {
    let Some(captured) = extensions.get_mut::<Captured>() else { return };
    if is_admitted {
        captured.verdict = Verdict::Admitted;
    } else if captured.verdict == Verdict::Unjudged {
        // What an outer layer admitted stays so.
        captured.verdict = Verdict::LetThrough;
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

/// The admitted certificate; None in it if a layer let the request through without one. None at all if no
/// layer judged it.
#[cfg(feature = "axum")]
pub(super) fn judged(extensions: &Extensions) -> Option<Option<&ClientCertificate>> {
    match extensions.get::<Captured>()?.verdict {
        Verdict::Unjudged => None,
        Verdict::LetThrough => Some(None),
        Verdict::Admitted => Some(admitted(extensions)),
    }
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
