use std::{
    net::SocketAddr,
    task::{Context, Poll},
};

use http::{Extensions, Request};
use tower_layer::Layer;
use tower_service::Service;

use super::ClientCertificate;
use crate::{
    certificate::{Certificate, Presented},
    policy::Verification,
};

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
    /// A layer admitted the certificate. Proven: one such layer demands a proof.
    Admitted(Verification),
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

/// Marks the request as judged. What an outer layer decided stays, unless this verdict says more.
pub(crate) fn mark(extensions: &mut Extensions, verdict: Verdict) {
    if let Some(captured) = extensions.get_mut::<Captured>() {
        captured.verdict = captured.verdict.max(verdict);
    }
}

/// Takes the admission back: a layer in shadow mode would have rejected the request after the rules.
#[cfg(feature = "authorize")]
pub(super) fn withdraw(extensions: &mut Extensions) {
    if let Some(captured) = extensions.get_mut::<Captured>() {
        captured.verdict = Verdict::Shadowed;
    }
}

/// The certificate that a layer admitted for this request; cloned, which copies a pointer.
///
/// None if no layer judged this request or the layer let it pass without a certificate: a certificate that was merely
/// presented is never returned.
pub fn admitted(extensions: &Extensions) -> Option<ClientCertificate> {
    match extensions.get::<Captured>()? {
        Captured {
            presented: Presented::Certificate(certificate), verdict: Verdict::Admitted(_), ..
        } => Some(ClientCertificate::new(certificate.clone())),
        _ => None,
    }
}

/// Whether a proof stands behind the [`admitted`] certificate. None if no certificate was admitted.
///
/// [`Unproven`](Verification::Unproven) only behind layers whose rules were allowed to be unanchored: the names in such a
/// certificate are whatever the caller likes. Of several layers one that demands a proof is enough.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let partner = rcgen::generate_simple_self_signed(vec![])?;
/// use http::{Request, Response};
/// use tower::{Layer, ServiceExt, service_fn};
/// use tower_mtls::{
///     Certificate, Policy, RequireCertificateLayer, Verification, danger::AssumePresentedLayer, verification,
/// };
///
/// let partner = Certificate::from_der(partner.cert.der())?;
/// // Any certificate that is valid now.
/// let policy = Policy::builder().allow_unanchored().build()?;
/// let service = service_fn(|request: Request<String>| async move {
///     assert_eq!(verification(request.extensions()), Some(Verification::Unproven));
///     Ok::<_, std::convert::Infallible>(Response::new(String::new()))
/// });
/// let service = AssumePresentedLayer::new(partner).layer(RequireCertificateLayer::new(policy).layer(service));
/// assert_eq!(service.oneshot(Request::new(String::new())).await?.status(), 200);
/// # Ok(())
/// # }
/// ```
pub fn verification(extensions: &Extensions) -> Option<Verification> {
    match extensions.get::<Captured>()?.verdict {
        Verdict::Admitted(verification) => Some(verification),
        Verdict::Unjudged | Verdict::LetThrough | Verdict::Shadowed => None,
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

/// Marks every request as admitted with the same certificate, without a handshake, a layer or a policy.
///
/// For tests of handlers and of own authorization: [`admitted`], the extractor and
/// [`verification`] (`Proven`) behave as behind a layer that admitted the certificate. A
/// [`RequireCertificate`](super::RequireCertificate) inside judges it again, by its own policy.
///
/// **Danger:** nothing was proved. Use it in tests only.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let partner = rcgen::generate_simple_self_signed(vec![])?;
/// use http::{Request, Response};
/// use tower::{Layer, ServiceExt, service_fn};
/// use tower_mtls::{Certificate, admitted, danger::AssumeAdmittedLayer};
///
/// let handler = service_fn(|request: Request<String>| async move {
///     let status = if admitted(request.extensions()).is_some() { 200 } else { 401 };
///     Ok::<_, std::convert::Infallible>(Response::builder().status(status).body(String::new()).expect("a status"))
/// });
/// let partner = Certificate::from_der(partner.cert.der())?;
/// let admitted = AssumeAdmittedLayer::new(partner).layer(handler);
/// assert_eq!(admitted.oneshot(Request::new(String::new())).await?.status(), 200);
/// assert_eq!(handler.oneshot(Request::new(String::new())).await?.status(), 401);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct AssumeAdmittedLayer {
    certificate: Certificate,
}

impl AssumeAdmittedLayer {
    /// Assumes that a layer admitted this certificate for every request.
    pub fn new(certificate: Certificate) -> Self {
        Self { certificate }
    }
}

impl<S> Layer<S> for AssumeAdmittedLayer {
    type Service = AssumeAdmitted<S>;

    fn layer(&self, inner: S) -> Self::Service {
        AssumeAdmitted { inner, certificate: self.certificate.clone() }
    }
}

/// Service of [`AssumeAdmittedLayer`].
#[derive(Debug, Clone)]
pub struct AssumeAdmitted<S> {
    inner: S,
    certificate: Certificate,
}

impl<S, B> Service<Request<B>> for AssumeAdmitted<S>
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
        capture_into(request.extensions_mut(), self.certificate.clone().into(), None);
        mark(request.extensions_mut(), Verdict::Admitted(Verification::Proven));
        self.inner.call(request)
    }
}
