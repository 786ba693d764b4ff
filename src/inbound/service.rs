use std::{
    fmt,
    net::SocketAddr,
    sync::Arc,
    task::{Context, Poll},
};

use http::{Extensions, Request, Response};
use tower_service::Service;

use super::{
    RequireCertificateLayer, ResponseBody, ResponseFuture,
    refusal::{Custom as CustomRefusal, Refusal},
    report,
};
use crate::{
    certificate::{Clock, Presented, SystemClock},
    policy::{Policy, Rejection, RejectionKind, Verification},
    request::captured::{AdmissionObserver, Captured, OnAdmission, Recheck, Verdict, mark},
    shared::Shared,
};

/// Service that admits or rejects requests. See the [module](super).
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use tower_mtls::{Policy, RequireCertificate};
///
/// struct Api<S> {
///     orders: RequireCertificate<S>,
/// }
///
/// # let policy = Policy::builder().thumbprint("CA06F56B258B7A0D4F2B05470939478651151984".parse()?).build()?;
/// let api = Api { orders: RequireCertificate::new("inner", policy) };
/// assert_eq!(api.orders.into_inner(), "inner");
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct RequireCertificate<S> {
    inner: S,
    // One pointer, so that a clone costs one reference count.
    admission: Arc<Admission>,
}

/// Policy and options of a layer.
#[derive(Clone)]
pub(super) struct Admission {
    pub(super) policy: Shared<Policy>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) allow_missing: bool,
    pub(super) shadow: bool,
    /// True if requests in flight finish after a change by which they would be rejected.
    pub(super) allow_revoked_to_finish: bool,
    pub(super) refusal: Option<Arc<CustomRefusal>>,
}

impl fmt::Debug for Admission {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Admission")
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
        Self::with_admission(inner, Arc::new(Admission::new(policy.into())))
    }

    /// Returns the layer of this service: [`RequireCertificateLayer::new`].
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use tower::Layer;
    /// use tower_mtls::{Policy, RequireCertificate};
    ///
    /// let policy = Policy::builder().thumbprint("CA06F56B258B7A0D4F2B05470939478651151984".parse()?).build()?;
    /// let service = RequireCertificate::<&str>::layer(policy).layer("inner");
    /// assert_eq!(service.into_inner(), "inner");
    /// # Ok(())
    /// # }
    /// ```
    pub fn layer(policy: impl Into<Shared<Policy>>) -> RequireCertificateLayer {
        RequireCertificateLayer::new(policy)
    }

    pub(super) fn with_admission(inner: S, admission: Arc<Admission>) -> Self {
        Self { inner, admission }
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

impl Admission {
    pub(super) fn new(policy: Shared<Policy>) -> Self {
        Self {
            policy,
            clock: Arc::new(SystemClock),
            allow_missing: false,
            shadow: false,
            allow_revoked_to_finish: false,
            refusal: None,
        }
    }

    /// Judges the request and marks its certificate as admitted.
    #[inline]
    pub(super) fn admit(self: &Arc<Self>, extensions: &mut Extensions) -> Result<(), Rejection> {
        let Some(captured) = extensions.get_mut::<Captured>() else {
            return Err(Rejection::new(RejectionKind::NotCaptured));
        };
        let now = self.clock.now();
        if self.policy.is_admitted(&captured.presented, now) {
            captured.verdict = Verdict::Admitted(Verification::Proven);
            if let Some(AdmissionObserver(observer)) = &captured.admission {
                observer.admitted();
                self.recheck_in_flight(&**observer);
            }
        } else {
            let verification = self.policy.evaluate(&captured.presented, now)?;
            captured.record(Verdict::Admitted(verification));
            if let Some(AdmissionObserver(observer)) = &captured.admission {
                self.recheck_in_flight(&**observer);
            }
        }
        Ok(())
    }

    /// Has the request judged again while it is in flight.
    #[inline(never)]
    fn recheck_in_flight(self: &Arc<Self>, observer: &dyn OnAdmission) {
        if !self.shadow && !self.allow_revoked_to_finish {
            observer.recheck_by(self.clone());
        }
    }

    /// Passes (`allow_missing`, `shadow`) or rejects a request that is not admitted.
    ///
    /// Out of line and by value, so that `call` can be inlined and an admitted request is not copied.
    #[cold]
    #[inline(never)]
    pub(super) fn decline<B>(
        &self,
        rejection: Rejection,
        mut request: Request<B>,
    ) -> Result<Request<B>, Refusal> {
        if self.passes_unadmitted(&rejection, &mut request) {
            return Ok(request);
        }
        report::refused(&rejection, &request);
        Err(Refusal::new(rejection, request, self.refusal.as_deref()))
    }

    /// Returns true if a request that is not admitted passes.
    fn passes_unadmitted<B>(&self, rejection: &Rejection, request: &mut Request<B>) -> bool {
        let verdict = if self.allow_missing && rejection.kind() == RejectionKind::Missing {
            Verdict::MissingAllowed
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

impl Recheck for Admission {
    fn is_admitted(&self, presented: &Presented, remote: SocketAddr) -> bool {
        let judged = self.policy.judge(presented, self.clock.now());
        judged.inspect_err(|rejection| report::cut(rejection, presented, remote)).is_ok()
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
        match self.admission.admit(request.extensions_mut()) {
            Ok(()) => ResponseFuture::admitted(self.inner.call(request)),
            Err(rejection) => match self.admission.decline(rejection, request) {
                Ok(request) => ResponseFuture::admitted(self.inner.call(request)),
                Err(refusal) => ResponseFuture::refused(refusal),
            },
        }
    }
}
