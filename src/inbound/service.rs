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
    capture::{Captured, Verdict, mark},
    refusal::Refusal,
    report,
};
use crate::{
    certificate::Clock,
    policy::{Policy, Rejection, RejectionKind, Verification},
    shared::Shared,
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
    pub(super) policy: Shared<Policy>,
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
        let now = self.clock.now();
        if self.policy.is_admitted(&captured.presented, now) {
            captured.verdict = Verdict::Admitted(Verification::Proven);
        } else {
            let verification = self.policy.evaluate(&captured.presented, now)?;
            captured.verdict = captured.verdict.max(Verdict::Admitted(verification));
        }
        Ok(())
    }

    /// What becomes of a request that is not admitted: it passes all the same, or is refused.
    ///
    /// Out of line and by value, so that `call` is small enough to be inlined and an admitted request is not
    /// copied on its way in.
    #[cold]
    #[inline(never)]
    fn decline<B>(&self, rejection: Rejection, mut request: Request<B>) -> Result<Request<B>, Refusal> {
        if self.lets_through(&rejection, &mut request) {
            return Ok(request);
        }
        report::refused(&rejection, &request);
        Err(Refusal::new(rejection, request, self.refusal.as_deref()))
    }

    /// Whether a request that is not admitted passes all the same.
    fn lets_through<B>(&self, rejection: &Rejection, request: &mut Request<B>) -> bool {
        let verdict = if self.allow_missing && rejection.kind() == RejectionKind::Missing {
            Verdict::LetThrough
        } else if self.shadow && rejection.kind() != RejectionKind::NotCaptured {
            report::would_refuse(rejection, request);
            Verdict::Shadowed
        } else {
            return false;
        };
        mark(request.extensions_mut(), verdict);
        true
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
            Err(rejection) => match self.settings.decline(rejection, request) {
                Ok(request) => ResponseFuture::admitted(self.inner.call(request)),
                Err(refusal) => ResponseFuture::refused(refusal),
            },
        }
    }
}
