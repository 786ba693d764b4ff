use std::{
    fmt,
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use http::{Request, Response, request::Parts};
use pin_project_lite::pin_project;
use tower_service::Service;

use super::authorization::Decision;
use crate::{
    inbound::{ResponseBody, refusal::Refusal, report, service::Admission},
    policy::Rejection,
    request::captured::withdraw,
};

/// A request whose decision is in progress.
pub(super) struct PendingRequest<S, B> {
    pub(super) inner: S,
    pub(super) body: B,
    pub(super) parts: Parts,
    pub(super) admission: Arc<Admission>,
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
    /// Response future of [`Authorize`](super::Authorize).
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
    pub(super) enum Kind<S, B, F> {
        Deciding { decision: Decision, request: Option<PendingRequest<S, B>> },
        Passed { #[pin] future: F },
        Refused { refusal: Option<Refusal> },
    }
}

impl<S, B, F> AuthorizeFuture<S, B, F> {
    pub(super) fn new(kind: Kind<S, B, F>) -> Self {
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
