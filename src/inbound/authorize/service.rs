use std::{
    sync::Arc,
    task::{Context, Poll},
};

use http::{Request, Response};
use tower_service::Service;

use super::{
    authorization::Authorization,
    future::{AuthorizeFuture, Kind, PendingRequest},
};
use crate::{
    inbound::{ResponseBody, service::Admission},
    policy::{Rejection, RejectionKind},
    request::admitted,
};

/// Service that admits a request by its certificate and an asynchronous decision. See
/// [`AuthorizeLayer`](super::AuthorizeLayer).
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
    pub(super) inner: S,
    pub(super) admission: Arc<Admission>,
    pub(super) authorization: Authorization,
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
