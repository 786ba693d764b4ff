use std::sync::Arc;

use tower_layer::Layer;

use super::{ApimPolicy, SharedDocument};
use crate::certificate::{Clock, SystemClock};

/// Layer of [`ApimPolicy`]. See the [module](super) for when a request passes.
#[derive(Debug, Clone)]
pub struct ApimPolicyLayer {
    document: SharedDocument,
    clock: Arc<dyn Clock>,
}

impl ApimPolicyLayer {
    /// Decides by `document`: a [`Document`](super::Document), or a [`SharedDocument`] that is replaced while
    /// serving.
    pub fn new(document: impl Into<SharedDocument>) -> Self {
        Self { document: document.into(), clock: Arc::new(SystemClock) }
    }

    /// Takes the time from `clock`. Default: [`SystemClock`].
    #[must_use]
    pub fn with_clock(self, clock: impl Clock) -> Self {
        Self { clock: Arc::new(clock), ..self }
    }
}

impl<S> Layer<S> for ApimPolicyLayer {
    type Service = ApimPolicy<S>;

    fn layer(&self, inner: S) -> Self::Service {
        ApimPolicy::new(inner, self.document.clone(), self.clock.clone())
    }
}
