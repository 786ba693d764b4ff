use std::sync::Arc;

use tower_layer::Layer;

use super::{ApimPolicy, SharedDocument, service::Settings};
use crate::certificate::{Clock, SystemClock};

/// Layer of [`ApimPolicy`]. See the [module](super) for when a request passes.
#[derive(Debug, Clone)]
pub struct ApimPolicyLayer(Arc<Settings>);

impl ApimPolicyLayer {
    /// Decides by `document`: a [`Document`](super::Document), or a [`SharedDocument`] that is replaced while
    /// serving.
    pub fn new(document: impl Into<SharedDocument>) -> Self {
        Self(Arc::new(Settings { document: document.into(), clock: Arc::new(SystemClock) }))
    }

    /// Takes the time from `clock`. Default: [`SystemClock`].
    #[must_use]
    pub fn with_clock(self, clock: impl Clock) -> Self {
        Self(Arc::new(Settings { document: self.0.document.clone(), clock: Arc::new(clock) }))
    }
}

impl<S> Layer<S> for ApimPolicyLayer {
    type Service = ApimPolicy<S>;

    fn layer(&self, inner: S) -> Self::Service {
        ApimPolicy::new(inner, self.0.clone())
    }
}
