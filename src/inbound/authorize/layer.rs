use std::{future::Future, sync::Arc, time::Duration};

use http::request::Parts;
use tokio::sync::Semaphore;
use tower_layer::Layer;

use super::{Authorize, authorization::Authorization};
use crate::{inbound::service::Admission, policy::Rejection, request::ClientCertificate};

/// Layer of [`Authorize`]: the rules of a [`RequireCertificateLayer`](crate::RequireCertificateLayer), and then an
/// asynchronous decision. Built by [`RequireCertificateLayer::authorize`](crate::RequireCertificateLayer::authorize).
///
/// A request reaches the inner service when
/// 1. the policy admits its certificate;
/// 2. the decision returns the request's head within the timeout. The decision is made on every request and not cached;
///    its additions to `parts.extensions` are visible to the inner service.
///
/// Otherwise the response is
///
/// | when | response | reason in log and metrics |
/// |---|---|---|
/// | the decision returns [`Rejection::not_authorized`] | `403` (gRPC: 7) | `not_authorized` |
/// | it returns [`Rejection::unavailable`] | `503` (gRPC: 14) | `authorization_unavailable` |
/// | it takes longer than the [timeout](Self::with_timeout), waiting for a [permit](Self::with_max_concurrent) included | `503` (gRPC: 14) | `authorization_timeout` |
/// | it panics | `500` (gRPC: 13) | `authorization_panicked` |
///
/// No decision is made for clients without a certificate that pass by
/// [`allow_missing`](crate::RequireCertificateLayer::allow_missing). In
/// [`shadow`](crate::RequireCertificateLayer::shadow) mode a rejected request passes and is logged, and its certificate is
/// not admitted. A client that disconnects cancels the decision.
///
/// The ready inner service is kept during a decision: put a concurrency limit outside of the layer, or in the handler.
/// Decisions need a tokio runtime with its timer.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let orders = rcgen::generate_simple_self_signed(vec![])?;
/// # let billing = rcgen::generate_simple_self_signed(vec![])?;
/// use http::{Request, Response, request::Parts};
/// use tower::{Layer, ServiceExt, service_fn};
/// use tower_mtls::{Certificate, ClientCertificate, Policy, RequireCertificateLayer, danger::AssumePresentedLayer, policy::Rejection};
///
/// #[derive(Clone, PartialEq, Debug)]
/// struct Role(&'static str);
///
/// # let member = Certificate::from_der(orders.cert.der())?.sha256_thumbprint();
/// // Would ask a database.
/// let role_of = move |caller: &ClientCertificate| (caller.sha256_thumbprint() == member).then_some(Role("orders"));
/// let orders = Certificate::from_der(orders.cert.der())?;
/// let billing = Certificate::from_der(billing.cert.der())?;
/// let policy = Policy::builder().thumbprints([orders.sha256_thumbprint(), billing.sha256_thumbprint()]).build()?;
/// let layer = RequireCertificateLayer::new(policy).authorize(move |mut parts: Parts, caller| async move {
///     let role = role_of(&caller).ok_or_else(|| Rejection::not_authorized("no role"))?;
///     parts.extensions.insert(role);
///     Ok(parts)
/// });
/// let service = layer.layer(service_fn(|request: Request<String>| async move {
///     assert_eq!(request.extensions().get(), Some(&Role("orders")));
///     Ok::<_, std::convert::Infallible>(Response::new(String::new()))
/// }));
/// for (caller, status) in [(orders, 200), (billing, 403)] {
///     let service = AssumePresentedLayer::new(caller).layer(service.clone());
///     assert_eq!(service.oneshot(Request::new(String::new())).await?.status(), status);
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct AuthorizeLayer {
    admission: Arc<Admission>,
    authorization: Authorization,
}

impl AuthorizeLayer {
    pub(in crate::inbound) fn new<F, D>(admission: Arc<Admission>, decide: F) -> Self
    where
        F: Fn(Parts, ClientCertificate) -> D + Send + Sync + 'static,
        D: Future<Output = Result<Parts, Rejection>> + Send + 'static,
    {
        let decide = move |parts, certificate| Box::pin(decide(parts, certificate)) as _;
        Self { admission, authorization: Authorization::new(Arc::new(decide)) }
    }

    /// Sets the timeout of one decision, including the wait for a permit. Default: 1 second.
    #[must_use]
    pub fn with_timeout(mut self, timeout: Duration) -> Self {
        self.authorization.timeout = timeout;
        self
    }

    /// Sets the maximum number of decisions in progress, over all services of this layer; further ones wait for a permit
    /// within the timeout. Default: 256.
    #[must_use]
    pub fn with_max_concurrent(mut self, decisions: usize) -> Self {
        self.authorization.permits = Arc::new(Semaphore::new(decisions.min(Semaphore::MAX_PERMITS)));
        self
    }
}

impl<S> Layer<S> for AuthorizeLayer {
    type Service = Authorize<S>;

    fn layer(&self, inner: S) -> Self::Service {
        Authorize { inner, admission: self.admission.clone(), authorization: self.authorization.clone() }
    }
}
