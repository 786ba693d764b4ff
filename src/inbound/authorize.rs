//! An asynchronous decision after the rules.

use std::{
    fmt,
    future::Future,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use http::{Request, Response, request::Parts};
use pin_project_lite::pin_project;
use tokio::{sync::Semaphore, time::timeout};
use tower_layer::Layer;
use tower_service::Service;

use super::{ResponseBody, refusal::Refusal, report, service::Admission};
use crate::{
    policy::{Rejection, RejectionKind},
    request::{ClientCertificate, admitted, captured::withdraw},
};

const DEFAULT_TIMEOUT: Duration = Duration::from_secs(1);
const DEFAULT_MAX_CONCURRENT: usize = 256;

type Decision = Pin<Box<dyn Future<Output = Result<Parts, Rejection>> + Send>>;
type Decide = dyn Fn(Parts, ClientCertificate) -> Decision + Send + Sync;

/// Layer of [`Authorize`]: the rules of a [`RequireCertificateLayer`](super::RequireCertificateLayer), and then an
/// asynchronous decision. Built by [`RequireCertificateLayer::authorize`](super::RequireCertificateLayer::authorize).
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
/// [`allow_missing`](super::RequireCertificateLayer::allow_missing). In
/// [`shadow`](super::RequireCertificateLayer::shadow) mode a rejected request passes and is logged, and its certificate is
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

#[derive(Clone)]
struct Authorization {
    decide: Arc<Decide>,
    timeout: Duration,
    permits: Arc<Semaphore>,
}

impl AuthorizeLayer {
    pub(super) fn new<F, D>(admission: Arc<Admission>, decide: F) -> Self
    where
        F: Fn(Parts, ClientCertificate) -> D + Send + Sync + 'static,
        D: Future<Output = Result<Parts, Rejection>> + Send + 'static,
    {
        let authorization = Authorization {
            decide: Arc::new(move |parts, certificate| Box::pin(decide(parts, certificate))),
            timeout: DEFAULT_TIMEOUT,
            permits: Arc::new(Semaphore::new(DEFAULT_MAX_CONCURRENT)),
        };
        Self { admission, authorization }
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

/// Service that admits a request by its certificate and an asynchronous decision. See [`AuthorizeLayer`].
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use tower::Layer;
/// use tower_mtls::{Policy, RequireCertificateLayer, inbound::Authorize};
///
/// let policy = Policy::builder().thumbprint("CA06F56B258B7A0D4F2B05470939478651151984".parse()?).build()?;
/// let layer = RequireCertificateLayer::new(policy).authorize(|parts, _caller| async { Ok(parts) });
/// let service: Authorize<&str> = layer.layer("inner");
/// assert_eq!(service.into_inner(), "inner");
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct Authorize<S> {
    inner: S,
    admission: Arc<Admission>,
    authorization: Authorization,
}

impl<S> Authorize<S> {
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

impl Authorization {
    /// Decides within the timeout.
    fn decide(&self, parts: Parts, certificate: ClientCertificate) -> Decision {
        let Self { decide, timeout: limit, permits } = self.clone();
        Box::pin(async move {
            let decided = timeout(limit, async {
                // The semaphore is never closed.
                let _permit = permits.acquire().await;
                CatchUnwind { future: async move { decide(parts, certificate).await } }.await
            });
            match decided.await {
                Ok(Some(decided)) => decided,
                Ok(None) => Err(Rejection::new(RejectionKind::AuthorizationPanicked)),
                Err(_) => Err(Rejection::new(RejectionKind::AuthorizationTimeout)),
            }
        })
    }
}

impl<S, B, R> Service<Request<B>> for Authorize<S>
where
    S: Service<Request<B>, Response = Response<R>> + Clone,
{
    type Response = Response<ResponseBody<R>>;
    type Error = S::Error;
    type Future = AuthorizeFuture<S, B, S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<B>) -> Self::Future {
        let admitted = self.admission.admit(request.extensions_mut()).and_then(|()| {
            admitted(request.extensions()).ok_or_else(|| Rejection::new(RejectionKind::NotCaptured))
        });
        let certificate = match admitted {
            Ok(certificate) => certificate,
            Err(rejection) => {
                return AuthorizeFuture::new(match self.admission.decline(rejection, request) {
                    Ok(request) => Kind::Passed { future: self.inner.call(request) },
                    Err(refusal) => Kind::Refused { refusal: Some(refusal) },
                });
            }
        };
        // The decision can outlast a later call, so the ready service moves into the future.
        let next = self.inner.clone();
        let inner = std::mem::replace(&mut self.inner, next);
        let (parts, body) = request.into_parts();
        AuthorizeFuture::new(Kind::Deciding {
            decision: self.authorization.decide(parts.clone(), certificate),
            request: Some(PendingRequest { inner, body, parts, admission: self.admission.clone() }),
        })
    }
}

/// A request whose decision is in progress.
struct PendingRequest<S, B> {
    inner: S,
    body: B,
    parts: Parts,
    admission: Arc<Admission>,
}

impl<S, B> PendingRequest<S, B> {
    /// Continues the request after the decision.
    fn resume<R>(mut self, decided: Result<Parts, Rejection>) -> Kind<S, B, S::Future>
    where
        S: Service<Request<B>, Response = Response<R>>,
    {
        let parts = match decided {
            Ok(parts) => parts,
            Err(rejection) if self.admission.shadow => {
                withdraw(&mut self.parts.extensions);
                let request = Request::from_parts(self.parts, ());
                report::would_refuse(&rejection, &request);
                request.into_parts().0
            }
            Err(rejection) => {
                withdraw(&mut self.parts.extensions);
                let request = Request::from_parts(self.parts, ());
                report::refused(&rejection, &request);
                let refusal = Refusal::new(rejection, request, self.admission.refusal.as_deref());
                return Kind::Refused { refusal: Some(refusal) };
            }
        };
        Kind::Passed { future: self.inner.call(Request::from_parts(parts, self.body)) }
    }
}

pin_project! {
    /// Response future of [`Authorize`].
    ///
    /// Panics if it is polled after completion.
    ///
    /// ```
    /// use http::Request;
    /// use tower::Service;
    /// use tower_mtls::inbound::{Authorize, AuthorizeFuture};
    ///
    /// /// A service that wraps [`Authorize`] without a box.
    /// struct Route<S>(Authorize<S>);
    ///
    /// impl<S, R> Route<S>
    /// where
    ///     S: Service<Request<String>, Response = http::Response<R>> + Clone,
    /// {
    ///     fn call(&mut self, request: Request<String>) -> AuthorizeFuture<S, String, S::Future> {
    ///         self.0.call(request)
    ///     }
    /// }
    /// ```
    pub struct AuthorizeFuture<S, B, F> {
        #[pin]
        kind: Kind<S, B, F>,
    }
}

pin_project! {
    #[project = KindProjection]
    enum Kind<S, B, F> {
        Deciding { decision: Decision, request: Option<PendingRequest<S, B>> },
        Passed { #[pin] future: F },
        Refused { refusal: Option<Refusal> },
    }
}

impl<S, B, F> AuthorizeFuture<S, B, F> {
    fn new(kind: Kind<S, B, F>) -> Self {
        Self { kind }
    }
}

impl<S, B, R> Future for AuthorizeFuture<S, B, S::Future>
where
    S: Service<Request<B>, Response = Response<R>>,
{
    type Output = Result<Response<ResponseBody<R>>, S::Error>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        loop {
            match this.kind.as_mut().project() {
                KindProjection::Deciding { decision, request } => {
                    let decided = ready!(decision.as_mut().poll(cx));
                    let request = request.take().expect("`AuthorizeFuture` polled after completion");
                    this.kind.set(request.resume(decided));
                }
                KindProjection::Passed { future } => {
                    return Poll::Ready(Ok(ready!(future.poll(cx))?.map(ResponseBody::inner)));
                }
                KindProjection::Refused { refusal } => {
                    let refusal = refusal.take().expect("`AuthorizeFuture` polled after completion");
                    return Poll::Ready(Ok(refusal.into_response()));
                }
            }
        }
    }
}

impl<S, B, F> fmt::Debug for AuthorizeFuture<S, B, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AuthorizeFuture").finish_non_exhaustive()
    }
}

impl fmt::Debug for Authorization {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Authorization").field("timeout", &self.timeout).finish_non_exhaustive()
    }
}

pin_project! {
    /// Resolves to None if the future panics.
    struct CatchUnwind<F> {
        #[pin]
        future: F,
    }
}

impl<F: Future> Future for CatchUnwind<F> {
    type Output = Option<F::Output>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let future = self.project().future;
        // The future is dropped after a panic and not polled again.
        match catch_unwind(AssertUnwindSafe(|| future.poll(cx))) {
            Ok(polled) => polled.map(Some),
            Err(_) => Poll::Ready(None),
        }
    }
}
