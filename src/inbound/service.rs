use std::{
    fmt,
    sync::Arc,
    task::{Context, Poll},
};

use bytes::Bytes;
use http::{Extensions, Request, Response};
use tower_service::Service;

use super::{
    ResponseBody, ResponseFuture,
    capture::{Captured, Verdict},
    refusal::Refusal,
};
use crate::{
    certificate::{Clock, Presented},
    policy::{Rejection, RejectionKind, SharedPolicy},
};

/// Service that admits or refuses. See the [module](super).
#[derive(Debug, Clone)]
pub struct RequireCertificate<S> {
    inner: S,
    // One pointer, so that cloning the service costs one count.
    settings: Arc<Settings>,
}

#[derive(Clone)]
pub(super) struct Settings {
    pub(super) policy: SharedPolicy,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) allow_missing: bool,
    pub(super) shadow: bool,
    pub(super) refusal: Option<Arc<dyn Fn(Rejection) -> Response<Bytes> + Send + Sync>>,
}

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settings")
            .field("policy", &self.policy)
            .field("clock", &self.clock)
            .field("allow_missing", &self.allow_missing)
            .field("shadow", &self.shadow)
            .finish_non_exhaustive()
    }
}

impl<S> RequireCertificate<S> {
    pub(super) fn new(inner: S, settings: Arc<Settings>) -> Self {
        Self { inner, settings }
    }
}

impl Settings {
    /// Judges the request and marks its certificate as admitted.
    #[inline]
    fn admit(&self, extensions: &mut Extensions) -> Result<(), Rejection> {
        let Some(captured) = extensions.get_mut::<Captured>() else {
            return Err(Rejection::new(RejectionKind::NotCaptured));
        };
        match self.policy.judge(&captured.presented, self.clock.now()) {
            Ok(()) => {
                captured.verdict = Verdict::Admitted;
                Ok(())
            }
            Err(rejection) => self.let_through(captured, rejection),
        }
    }

    /// Out of line, so that `call` is small enough to be inlined: the request is then not copied on its way in.
    #[cold]
    #[inline(never)]
    fn refuse<B, F>(&self, rejection: Rejection, request: Request<B>) -> ResponseFuture<F> {
        report(rejection, &request);
        ResponseFuture::refused(Refusal::new(rejection, request, self.refusal.as_deref()))
    }

    /// Whether a request that is not admitted passes all the same.
    #[cold]
    fn let_through(&self, captured: &mut Captured, rejection: Rejection) -> Result<(), Rejection> {
        let is_allowed = self.allow_missing && rejection.kind() == RejectionKind::Missing;
        if !is_allowed && !self.shadow {
            return Err(rejection);
        }
        if !is_allowed {
            report_shadow(rejection, &captured.presented);
        }
        // Watching changes nothing about what an outer layer admitted.
        if captured.verdict == Verdict::Unjudged {
            captured.verdict = Verdict::LetThrough;
        }
        Ok(())
    }
}

impl<S, B, R> Service<Request<B>> for RequireCertificate<S>
where
    S: Service<Request<B>, Response = Response<R>>,
{
    type Response = Response<ResponseBody<R>>;
    type Error = S::Error;
    type Future = ResponseFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(cx)
    }

    #[inline]
    fn call(&mut self, mut request: Request<B>) -> Self::Future {
        match self.settings.admit(request.extensions_mut()) {
            Ok(()) => ResponseFuture::admitted(self.inner.call(request)),
            Err(rejection) => self.settings.refuse(rejection, request),
        }
    }
}

fn report_shadow(rejection: Rejection, presented: &Presented) {
    let reason = rejection.kind().as_str();
    #[cfg(feature = "metrics")]
    metrics::counter!("tower_mtls_requests_shadow_refused_total", "reason" => reason).increment(1);
    match presented {
        Presented::Certificate(certificate) => tracing::info!(
            reason,
            subject = %certificate.subject(),
            thumbprint = %certificate.sha256_thumbprint(),
            "request would be refused: {rejection}"
        ),
        _ => tracing::info!(reason, "request would be refused: {rejection}"),
    }
}

#[cold]
fn report<B>(rejection: Rejection, request: &Request<B>) {
    let reason = rejection.kind().as_str();
    #[cfg(feature = "metrics")]
    metrics::counter!("tower_mtls_requests_refused_total", "reason" => reason).increment(1);
    let method = request.method();
    // Only the path: a query may hold secrets.
    let path = request.uri().path();
    match super::presented(request.extensions()) {
        None => tracing::error!(
            reason, %method, path,
            "request refused with 500: no listener captured the caller's certificate; serve with MtlsListener and capture(..)"
        ),
        Some(Presented::Certificate(certificate)) => tracing::info!(
            reason, %method, path,
            subject = %certificate.subject(),
            issuer = %certificate.issuer(),
            thumbprint = %certificate.sha256_thumbprint(),
            not_after = %certificate.validity().not_after,
            "request refused: {rejection}"
        ),
        Some(Presented::Unreadable(error)) => {
            tracing::info!(reason, %method, path, %error, "request refused: {rejection}");
        }
        Some(Presented::Nothing) => tracing::info!(reason, %method, path, "request refused: {rejection}"),
    }
}
