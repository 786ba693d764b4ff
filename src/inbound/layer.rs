#[cfg(feature = "authorize")]
use std::future::Future;
use std::sync::Arc;

use http::request::Parts;
use tower_layer::Layer;

#[cfg(feature = "authorize")]
use super::{AuthorizeLayer, ClientCertificate};
use super::{IntoRefusal, RequireCertificate, service::Settings};
use crate::{
    certificate::Clock,
    policy::{Policy, Rejection},
    shared::Shared,
};

/// Layer of [`RequireCertificate`]. See the [module](super) for when a request passes.
#[derive(Debug, Clone)]
pub struct RequireCertificateLayer(Arc<Settings>);

impl RequireCertificateLayer {
    /// Admits what `policy` admits: a [`Policy`](crate::Policy), or a [`Shared<Policy>`](crate::Shared) that is replaced while
    /// serving.
    pub fn new(policy: impl Into<Shared<Policy>>) -> Self {
        Self(Arc::new(Settings::new(policy.into())))
    }

    /// Takes the time from `clock`. Default: [`SystemClock`].
    #[must_use]
    pub fn with_clock(self, clock: impl Clock) -> Self {
        self.with(|settings| settings.clock = Arc::new(clock))
    }

    /// Lets callers pass who presented no certificate at all. Default: off.
    ///
    /// A certificate that is presented must satisfy the policy all the same: a wrong one is refused, not
    /// ignored. Handlers tell the two apart by [`admitted`](super::admitted) or by extracting
    /// `Option<ClientCertificate>`.
    #[must_use]
    pub fn allow_missing(self) -> Self {
        self.with(|settings| settings.allow_missing = true)
    }

    /// Only watches: lets every caller pass, and logs and counts whom the policy would have refused. Default:
    /// off, the policy is enforced.
    ///
    /// For trying a policy on real traffic. What it would have refused passes *without* being admitted: handlers
    /// extract `Option<ClientCertificate>`, which is None for such a caller. One that extracts a
    /// `ClientCertificate` answers 500 to it, and the log names shadow mode as the cause. A request of which
    /// nothing was captured is answered with 500 as ever.
    #[must_use]
    pub fn shadow(self) -> Self {
        self.with(|settings| settings.shadow = true)
    }

    /// Responds to rejected requests with a response of your own. Default: see the [module](super).
    ///
    /// The closure receives the request's head and the rejection. With the feature `axum` it returns anything that is
    /// axum's `IntoResponse`, otherwise an `http::Response`: see [`IntoRefusal`]. Its body must be in memory (text, JSON,
    /// HTML): a streaming body is dropped, and the default response is sent. Not called if nothing was captured (500).
    ///
    /// gRPC callers get the default gRPC response, unless the closure's response has the content type
    /// `application/grpc`, or [`AnyProtocol`](super::AnyProtocol) in its extensions. The rejection is put into the
    /// response's extensions, and the body of a response to HEAD is left out. Do not send the reason to the caller: it
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
        self.with(|settings| settings.refusal = Some(Arc::new(refusal)))
    }

    /// Adds an asynchronous decision after the rules, such as a lookup of roles in a database: see
    /// [`AuthorizeLayer`].
    ///
    /// `decide` is called on every request whose certificate the policy admits, with the request's head and the
    /// certificate. It returns the head, with whatever it adds to `parts.extensions`, or a [`Rejection`]:
    /// [`not_authorized`](Rejection::not_authorized) is answered with 403, [`unavailable`](Rejection::unavailable) with
    /// 503.
    #[cfg(feature = "authorize")]
    pub fn authorize<F, D>(self, decide: F) -> AuthorizeLayer
    where
        F: Fn(Parts, ClientCertificate) -> D + Send + Sync + 'static,
        D: Future<Output = Result<Parts, Rejection>> + Send + 'static,
    {
        AuthorizeLayer::new(self.0, decide)
    }

    fn with(self, change: impl FnOnce(&mut Settings)) -> Self {
        let mut settings = Settings::clone(&self.0);
        change(&mut settings);
        Self(Arc::new(settings))
    }
}

impl<S> Layer<S> for RequireCertificateLayer {
    type Service = RequireCertificate<S>;

    fn layer(&self, inner: S) -> Self::Service {
        RequireCertificate::with_settings(inner, self.0.clone())
    }
}
