use std::sync::Arc;

use tower_layer::Layer;

use super::{RequireCertificate, service::Settings};
use crate::{
    certificate::{Clock, SystemClock},
    policy::SharedPolicy,
};

/// Layer of [`RequireCertificate`]. See the [module](super) for when a request passes.
#[derive(Debug, Clone)]
pub struct RequireCertificateLayer(Arc<Settings>);

impl RequireCertificateLayer {
    /// Admits what `policy` admits: a [`Policy`](crate::Policy), or a [`SharedPolicy`] that is replaced while
    /// serving.
    pub fn new(policy: impl Into<SharedPolicy>) -> Self {
        Self(Arc::new(Settings {
            policy: policy.into(),
            clock: Arc::new(SystemClock),
        }))
    }

    /// Takes the time from `clock`. Default: [`SystemClock`].
    #[must_use]
    pub fn with_clock(self, clock: impl Clock) -> Self {
        Self(Arc::new(Settings {
            policy: self.0.policy.clone(),
            clock: Arc::new(clock),
        }))
    }
}

impl<S> Layer<S> for RequireCertificateLayer {
    type Service = RequireCertificate<S>;

    fn layer(&self, inner: S) -> Self::Service {
        RequireCertificate::new(inner, self.0.clone())
    }
}
