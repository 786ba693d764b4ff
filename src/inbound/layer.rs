#[cfg(feature = "authorize")]
use std::future::Future;
use std::sync::Arc;

use http::request::Parts;
use tower_layer::Layer;

#[cfg(feature = "authorize")]
use super::AuthorizeLayer;
use super::{IntoRefusal, RequireCertificate, service::Admission};
#[cfg(feature = "authorize")]
use crate::request::ClientCertificate;
use crate::{
    certificate::Clock,
    policy::{Policy, Rejection},
    shared::Shared,
};

/// Layer of [`RequireCertificate`]. See the [module](super) for the conditions and responses.
///
/// ```
/// use tower::Layer;
/// use tower_mtls::{Policy, RequireCertificate, RequireCertificateLayer};
///
/// let policy = Policy::builder().thumbprint("CA06F56B258B7A0D4F2B05470939478651151984".parse()?).build()?;
/// let layer = RequireCertificateLayer::new(policy).allow_missing();
/// let service: RequireCertificate<&str> = layer.layer("inner");
/// assert_eq!(*service.get_ref(), "inner");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct RequireCertificateLayer(Arc<Admission>);

impl RequireCertificateLayer {
    /// Requires certificates that `policy` admits: a [`Policy`](crate::Policy), or a [`Shared<Policy>`](crate::Shared) that can
    /// be replaced while serving.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let made = rcgen::generate_simple_self_signed(vec![])?;
    /// # let partner = Certificate::from_der(made.cert.der())?;
    /// # let handler =
    /// #     service_fn(|_: Request<()>| async { Ok::<_, std::convert::Infallible>(Response::new(String::new())) });
    /// # let other: tower_mtls::certificate::Thumbprint = "CA06F56B258B7A0D4F2B05470939478651151984".parse()?;
    /// use http::{Request, Response};
    /// use tower::{Layer, ServiceExt, service_fn};
    /// use tower_mtls::{Certificate, Policy, RequireCertificateLayer, Shared, danger::AssumePresentedLayer};
    ///
    /// let policy = Shared::new(Policy::builder().thumbprint(other).build()?);
    /// let service = RequireCertificateLayer::new(policy.clone()).layer(handler);
    /// let service = AssumePresentedLayer::new(partner.clone()).layer(service);
    /// assert_eq!(service.clone().oneshot(Request::new(())).await?.status(), 403);
    ///
    /// policy.replace(Policy::builder().thumbprint(partner.sha256_thumbprint()).build()?);
    /// assert_eq!(service.oneshot(Request::new(())).await?.status(), 200);
    /// # Ok(())
    /// # }
    /// ```
    pub fn new(policy: impl Into<Shared<Policy>>) -> Self {
        Self(Arc::new(Admission::new(policy.into())))
    }

    /// Sets the clock. Default: [`SystemClock`](crate::certificate::SystemClock).
    #[must_use]
    pub fn with_clock(self, clock: impl Clock) -> Self {
        self.with(|admission| admission.clock = Arc::new(clock))
    }

    /// Passes requests of clients that presented no certificate. Default: off.
    ///
    /// A presented certificate must still satisfy the policy: a wrong one is rejected, not ignored. Handlers distinguish the
    /// two by [`admitted`](crate::admitted) or by extracting `Option<ClientCertificate>`.
    #[must_use]
    pub fn allow_missing(self) -> Self {
        self.with(|admission| admission.allow_missing = true)
    }

    /// Passes every request, and logs and counts those that the policy would reject. Default: off, the policy is enforced.
    ///
    /// For trials of a policy on real traffic. Rejected requests pass *without* an admission: handlers extract
    /// `Option<ClientCertificate>`, which is None for them. A handler that extracts `ClientCertificate` responds with 500,
    /// and the log names shadow mode as the cause. Requests without a captured certificate still get 500.
    #[must_use]
    pub fn shadow(self) -> Self {
        self.with(|admission| admission.shadow = true)
    }

    /// Lets admitted requests finish that the policy would reject now. Default: off, `serve` cuts them
    /// within 2 seconds.
    ///
    /// While a request is in flight, its certificate is judged again every second: a long response, an upload, a stream or a
    /// tunnel ends once the certificate expires or the policy changes. An asynchronous decision is not repeated. No effect
    /// behind other servers, where requests in flight always finish.
    ///
    /// ```
    /// use tower_mtls::{Policy, RequireCertificateLayer};
    ///
    /// let policy = Policy::builder().thumbprint("CA06F56B258B7A0D4F2B05470939478651151984".parse()?).build()?;
    /// let layer = RequireCertificateLayer::new(policy).allow_revoked_to_finish();
    /// # drop(layer);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn allow_revoked_to_finish(self) -> Self {
        self.with(|admission| admission.allow_revoked_to_finish = true)
    }

    /// Sets the response to rejected requests. Default: see the [module](super).
    ///
    /// The closure receives the request's head and the rejection. With the feature `axum` it returns anything that is
    /// axum's `IntoResponse`, otherwise an `http::Response`: see [`IntoRefusal`]. Its body must be in memory (text, JSON,
    /// HTML) and at most 1 MiB: otherwise the default response is sent. Status 200 is replaced by 403, 503 or 500. Not called if no certificate was captured (500).
    ///
    /// gRPC callers get the default gRPC response, unless the closure's response has the content type
    /// `application/grpc`, or [`AnyProtocol`](super::AnyProtocol) in its extensions. The rejection is put into the
    /// response's extensions, and the body of a response to HEAD is removed. Do not send the reason to the client: it
    /// helps an attacker.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let partner = rcgen::generate_simple_self_signed(vec![])?;
    /// # let stranger = rcgen::generate_simple_self_signed(vec![])?;
    /// use http::{Request, Response, StatusCode};
    /// use tower::{Layer, ServiceExt, service_fn};
    /// use tower_mtls::{Certificate, Policy, RequireCertificateLayer, danger::AssumePresentedLayer};
    ///
    /// let partner = Certificate::from_der(partner.cert.der())?;
    /// let stranger = Certificate::from_der(stranger.cert.der())?;
    /// let policy = Policy::builder().thumbprint(partner.sha256_thumbprint()).build()?;
    /// let layer = RequireCertificateLayer::new(policy).with_refusal(|parts, rejection| {
    ///     eprintln!("{} {}: {rejection}", parts.method, parts.uri);
    ///     let mut response = Response::new(String::from("no"));
    ///     *response.status_mut() = StatusCode::UNAUTHORIZED;
    ///     response
    /// });
    /// let service = layer.layer(service_fn(|_: Request<String>| async {
    ///     Ok::<_, std::convert::Infallible>(Response::new(String::from("yes")))
    /// }));
    /// for (caller, status) in [(partner, StatusCode::OK), (stranger, StatusCode::UNAUTHORIZED)] {
    ///     let service = AssumePresentedLayer::new(caller).layer(service.clone());
    ///     assert_eq!(service.oneshot(Request::new(String::new())).await?.status(), status);
    /// }
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn with_refusal<R: IntoRefusal>(
        self,
        refusal: impl Fn(&Parts, &Rejection) -> R + Send + Sync + 'static,
    ) -> Self {
        let refusal = move |parts: &Parts, rejection: &Rejection| refusal(parts, rejection).into_refusal();
        self.with(|admission| admission.refusal = Some(Arc::new(refusal)))
    }

    /// Adds an asynchronous decision after the rules, such as a lookup of roles in a database: see
    /// [`AuthorizeLayer`].
    ///
    /// `decide` is called on every request whose certificate the policy admits, with the request's head and the
    /// certificate. It returns the head, with additions to `parts.extensions`, or a [`Rejection`]: the response to
    /// [`not_authorized`](Rejection::not_authorized) is 403, to [`unavailable`](Rejection::unavailable) 503.
    #[cfg(feature = "authorize")]
    pub fn authorize<F, D>(self, decide: F) -> AuthorizeLayer
    where
        F: Fn(Parts, ClientCertificate) -> D + Send + Sync + 'static,
        D: Future<Output = Result<Parts, Rejection>> + Send + 'static,
    {
        AuthorizeLayer::new(self.0, decide)
    }

    fn with(self, change: impl FnOnce(&mut Admission)) -> Self {
        let mut admission = Admission::clone(&self.0);
        change(&mut admission);
        Self(Arc::new(admission))
    }
}

impl<S> Layer<S> for RequireCertificateLayer {
    type Service = RequireCertificate<S>;

    fn layer(&self, inner: S) -> Self::Service {
        RequireCertificate::with_admission(inner, self.0.clone())
    }
}
