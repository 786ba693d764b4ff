use std::sync::Arc;

use bytes::Bytes;
use http::Response;
use tower_layer::Layer;

use super::{RequireCertificate, service::Settings};
use crate::{
    certificate::{Clock, SystemClock},
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
        Self(Arc::new(Settings {
            policy: policy.into(),
            clock: Arc::new(SystemClock),
            allow_missing: false,
            shadow: false,
            refusal: None,
        }))
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

    /// Answers refused callers with a response of your own. Default: see the [module](super).
    ///
    /// The rejection is put into the response's extensions, and the body of an answer to HEAD is left out.
    /// Don't tell the caller the reason: it helps whoever guesses.
    #[must_use]
    pub fn with_refusal(
        self,
        refusal: impl Fn(Rejection) -> Response<Bytes> + Send + Sync + 'static,
    ) -> Self {
        self.with(|settings| settings.refusal = Some(Arc::new(refusal)))
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
        RequireCertificate::new(inner, self.0.clone())
    }
}
