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

/// Request extension: the presented certificate, and the verdict of the layers.
///
/// One value, because each extension costs an allocation; layers update it in place.
#[derive(Debug, Clone)]
pub(super) struct Captured {
    pub(super) presented: Presented,
    /// Remote address of the connection.
    pub(super) remote: Option<SocketAddr>,
    pub(super) verdict: Verdict,
}

/// Verdict of the layers; of several verdicts the greatest counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Verdict {
    /// No layer has judged the request.
    Unjudged,
    /// A layer with `allow_missing` passed it: no certificate was presented.
    MissingAllowed,
    /// A layer in shadow mode passed it and would have rejected it.
    Shadowed,
    /// A layer admitted the certificate. Proven if one such layer requires a proof.
    Admitted(Verification),
}

/// Records the presented certificate for inner layers.
pub(crate) fn capture_into(extensions: &mut Extensions, presented: Presented, remote: Option<SocketAddr>) {
    extensions.insert(Captured { presented, remote, verdict: Verdict::Unjudged });
}

/// Remote address of the request's connection, as seen by the acceptor. None if the acceptor captured none.
///
/// ```
/// use tower_mtls::remote_addr;
///
/// // A request that came through no acceptor of this crate.
/// assert_eq!(remote_addr(http::Request::new(()).extensions()), None);
/// ```
pub fn remote_addr(extensions: &Extensions) -> Option<SocketAddr> {
    extensions.get::<Captured>()?.remote
}

/// The presented certificate, judged or not. None if no acceptor captured it.
pub(crate) fn presented(extensions: &Extensions) -> Option<&Presented> {
    extensions.get::<Captured>().map(|captured| &captured.presented)
}

/// The presented certificate and the remote address. None if no acceptor captured them.
#[cfg(feature = "apim")]
pub(crate) fn captured(extensions: &Extensions) -> Option<(&Presented, Option<SocketAddr>)> {
    extensions.get::<Captured>().map(|captured| (&captured.presented, captured.remote))
}

/// Records a verdict, unless an outer layer recorded a greater one.
pub(crate) fn mark(extensions: &mut Extensions, verdict: Verdict) {
    if let Some(captured) = extensions.get_mut::<Captured>() {
        captured.verdict = captured.verdict.max(verdict);
    }
}

/// Revokes the admission: a layer in shadow mode would have rejected the request after the rules.
#[cfg(feature = "authorize")]
pub(super) fn withdraw(extensions: &mut Extensions) {
    if let Some(captured) = extensions.get_mut::<Captured>() {
        captured.verdict = Verdict::Shadowed;
    }
}

/// The certificate that a layer admitted for this request. Cloning copies a pointer.
///
/// None if no layer judged the request, or the layer passed it without an admission. A certificate that was only presented
/// is never returned.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let made = rcgen::generate_simple_self_signed(vec![])?;
/// use http::{Request, Response};
/// use tower::{Layer, ServiceExt, service_fn};
/// use tower_mtls::{Certificate, admitted, danger::{AssumeAdmittedLayer, AssumePresentedLayer}};
///
/// let handler = service_fn(|request: Request<()>| async move {
///     Ok::<_, std::convert::Infallible>(Response::new(admitted(request.extensions()).is_some()))
/// });
/// let certificate = Certificate::from_der(made.cert.der())?;
/// let with_layer = AssumeAdmittedLayer::new(certificate.clone()).layer(handler);
/// assert!(with_layer.oneshot(Request::new(())).await?.into_body());
///
/// let without_layer = AssumePresentedLayer::new(certificate).layer(handler);
/// assert!(!without_layer.oneshot(Request::new(())).await?.into_body(), "presented, not admitted");
/// # Ok(())
/// # }
/// ```
pub fn admitted(extensions: &Extensions) -> Option<ClientCertificate> {
    match extensions.get::<Captured>()? {
        Captured {
            presented: Presented::Certificate(certificate), verdict: Verdict::Admitted(_), ..
        } => Some(ClientCertificate::new(certificate.clone())),
        _ => None,
    }
}

/// Proof behind the [`admitted`] certificate. None if no certificate was admitted.
///
/// [`Unproven`](Verification::Unproven) only behind layers whose rules are allowed to be unanchored: the client chooses the
/// names in such a certificate. Of several layers, one that requires a proof is enough.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let partner = rcgen::generate_simple_self_signed(vec![])?;
/// use http::{Request, Response};
/// use tower::{Layer, ServiceExt, service_fn};
/// use tower_mtls::{
///     Certificate, Policy, RequireCertificateLayer, danger::AssumePresentedLayer, policy::Verification, verification,
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
        Verdict::Unjudged | Verdict::MissingAllowed | Verdict::Shadowed => None,
    }
}

/// The verdict of the layers so far.
#[cfg(feature = "axum")]
pub(super) fn verdict(extensions: &Extensions) -> Verdict {
    extensions.get::<Captured>().map_or(Verdict::Unjudged, |captured| captured.verdict)
}

/// Service that inserts the connection's presented certificate into the extensions of each request.
///
/// Acceptors build one per connection; in tests, [`AssumePresentedLayer`] builds it.
///
/// ```
/// use tower::Layer;
/// use tower_mtls::{certificate::Presented, danger::AssumePresentedLayer, inbound::Capture};
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
    #[cfg_attr(not(feature = "acceptor"), allow(dead_code, reason = "built by acceptors"))]
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

/// Layer of [`Capture`]: presents the same certificate on every request, without a handshake.
///
/// **Danger:** possession of a key is not proved. For tests, and for acceptors of your own that have proved it. Do not use it
/// with a certificate from a header.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let made = rcgen::generate_simple_self_signed(vec![])?;
/// use http::{Request, Response};
/// use tower::{Layer, ServiceExt, service_fn};
/// use tower_mtls::{Certificate, Policy, RequireCertificate, certificate::Presented, danger::AssumePresentedLayer};
///
/// let certificate = Certificate::from_der(made.cert.der())?;
/// let policy = Policy::builder().thumbprint(certificate.sha256_thumbprint()).build()?;
/// let handler = service_fn(|_: Request<()>| async { Ok::<_, std::convert::Infallible>(Response::new(String::new())) });
/// let service = RequireCertificate::new(handler, policy);
/// for (presented, status) in [(Presented::from(certificate), 200), (Presented::Nothing, 403)] {
///     let service = AssumePresentedLayer::new(presented).layer(service.clone());
///     assert_eq!(service.oneshot(Request::new(())).await?.status(), status);
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct AssumePresentedLayer {
    presented: Presented,
}

impl AssumePresentedLayer {
    /// Presents this certificate, or none, on every request.
    ///
    /// ```
    /// use tower::Layer;
    /// use tower_mtls::{certificate::Presented, danger::AssumePresentedLayer};
    ///
    /// let layer = AssumePresentedLayer::new(Presented::Nothing); // or a Certificate
    /// assert_eq!(*layer.layer("inner").get_ref(), "inner");
    /// ```
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

/// Layer of [`AssumeAdmitted`]: marks every request as admitted with the same certificate, without a handshake, another
/// layer or a policy.
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
    /// Marks every request as admitted with this certificate.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let made = rcgen::generate_simple_self_signed(vec![])?;
    /// use tower::Layer;
    /// use tower_mtls::{Certificate, danger::AssumeAdmittedLayer};
    ///
    /// let layer = AssumeAdmittedLayer::new(Certificate::from_der(made.cert.der())?);
    /// assert_eq!(*layer.layer("inner").get_ref(), "inner");
    /// # Ok(())
    /// # }
    /// ```
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
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let made = rcgen::generate_simple_self_signed(vec![])?;
/// use tower::Layer;
/// use tower_mtls::{Certificate, danger::AssumeAdmittedLayer};
///
/// let layer = AssumeAdmittedLayer::new(Certificate::from_der(made.cert.der())?);
/// assert_eq!(layer.layer("inner").into_inner(), "inner");
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct AssumeAdmitted<S> {
    inner: S,
    certificate: Certificate,
}

impl<S> AssumeAdmitted<S> {
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
