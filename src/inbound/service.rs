use std::{
    fmt,
    sync::Arc,
    task::{Context, Poll},
};

use http::{Extensions, Request, Response};
use tower_service::Service;

use super::{
    RequireCertificateLayer, ResponseBody, ResponseFuture,
    capture::{Captured, Verdict, mark},
    refusal::{Custom as CustomRefusal, Refusal},
    report,
};
use crate::{
    certificate::{Clock, SystemClock},
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
    pub(super) refusal: Option<Arc<CustomRefusal>>,
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
    /// Admits to `inner` the requests whose certificate `policy` admits, with the defaults of
    /// [`RequireCertificateLayer`].
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let partner = rcgen::generate_simple_self_signed(vec![])?;
    /// use http::{Request, Response};
    /// use tower::{Layer, ServiceExt, service_fn};
    /// use tower_mtls::{Certificate, Policy, RequireCertificate, certificate::Presented, danger::AssumePresentedLayer};
    ///
    /// let partner = Certificate::from_der(partner.cert.der())?;
    /// let policy = Policy::builder().thumbprint(partner.sha256_thumbprint()).build()?;
    /// let greet = service_fn(|_: Request<String>| async {
    ///     Ok::<_, std::convert::Infallible>(Response::new(String::from("hello")))
    /// });
    /// let service = RequireCertificate::new(greet, policy);
    /// for (caller, status) in [(Presented::from(partner), 200), (Presented::Nothing, 403)] {
    ///     let service = AssumePresentedLayer::new(caller).layer(service.clone());
    ///     assert_eq!(service.oneshot(Request::new(String::new())).await?.status(), status);
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn new(inner: S, policy: impl Into<Shared<Policy>>) -> Self {
        Self::with_settings(inner, Arc::new(Settings::new(policy.into())))
    }

    /// Returns the layer that makes this service: [`RequireCertificateLayer::new`].
    pub fn layer(policy: impl Into<Shared<Policy>>) -> RequireCertificateLayer {
        RequireCertificateLayer::new(policy)
    }

    pub(super) fn with_settings(inner: S, settings: Arc<Settings>) -> Self {
        Self { inner, settings }
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

impl Settings {
    pub(super) fn new(policy: Shared<Policy>) -> Self {
        Self { policy, clock: Arc::new(SystemClock), allow_missing: false, shadow: false, refusal: None }
    }

    /// Judges the request and marks its certificate as admitted.
    #[inline]
    pub(super) fn admit(&self, extensions: &mut Extensions) -> Result<(), Rejection> {
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
    pub(super) fn decline<B>(
        &self,
        rejection: Rejection,
        mut request: Request<B>,
    ) -> Result<Request<B>, Refusal> {
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
