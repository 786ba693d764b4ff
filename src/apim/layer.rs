use std::sync::Arc;

use tower_layer::Layer;

use super::{ApimPolicy, SharedDocument, service::Settings};
use crate::certificate::{Clock, SystemClock};

/// Layer of [`ApimPolicy`]. See the [module](super) for when a request passes.
#[derive(Debug, Clone)]
pub struct ApimPolicyLayer(Arc<Settings>);

impl ApimPolicyLayer {
    /// Enforces `document`: a [`Document`](super::Document), or a [`SharedDocument`] that can be replaced while serving.
    pub fn new(document: impl Into<SharedDocument>) -> Self {
        Self(Arc::new(Settings { document: document.into(), clock: Arc::new(SystemClock), shadow: false }))
    }

    /// Sets the clock. Default: [`SystemClock`].
    #[must_use]
    pub fn with_clock(self, clock: impl Clock) -> Self {
        Self(Arc::new(Settings { clock: Arc::new(clock), ..Settings::clone(&self.0) }))
    }

    /// Logs and counts rejections without sending them; such a request is not admitted. Default: off, the document is
    /// enforced.
    ///
    /// The rest of the document runs, so the backend receives the headers and the identity of a request that passes. A
    /// request from a listener that captures nothing still gets 500. See
    /// [`Document::evaluate_shadow`](super::Document::evaluate_shadow).
    #[must_use]
    pub fn shadow(self) -> Self {
        Self(Arc::new(Settings { shadow: true, ..Settings::clone(&self.0) }))
    }
}

impl<S> Layer<S> for ApimPolicyLayer {
    type Service = ApimPolicy<S>;

    fn layer(&self, inner: S) -> Self::Service {
        ApimPolicy::new(inner, self.0.clone())
    }
}
