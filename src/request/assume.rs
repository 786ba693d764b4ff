//! Layers that present or admit a certificate without a handshake. Public in [`danger`](crate::danger).

use std::task::{Context, Poll};

use http::Request;
use tower_layer::Layer;
use tower_service::Service;

use super::{
    Capture,
    captured::{Verdict, capture_into, mark},
};
use crate::{
    certificate::{Certificate, Presented},
    policy::Verification,
};

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
/// For tests of handlers and of own authorization: [`admitted`](crate::admitted), the extractor and
/// [`verification`](crate::verification) (`Proven`) behave as behind a layer that admitted the certificate. A
/// [`RequireCertificate`](crate::RequireCertificate) inside judges it again, by its own policy.
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
