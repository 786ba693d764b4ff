use crate::shared::Shared;
use std::sync::Arc;

use tower_layer::Layer;

use super::{ApimPolicy, Document, service::Settings};
use crate::certificate::{Clock, SystemClock};

/// Layer of [`ApimPolicy`]. See the [module](super) for when a request passes.
#[derive(Debug, Clone)]
pub struct ApimPolicyLayer(Arc<Settings>);

impl ApimPolicyLayer {
    /// Decides by `document`: a [`Document`](super::Document), or a [`Shared<Document>`](crate::Shared) that is replaced while
    /// serving.
    pub fn new(document: impl Into<Shared<Document>>) -> Self {
        Self(Arc::new(Settings { document: document.into(), clock: Arc::new(SystemClock), shadow: false }))
    }

    /// Takes the time from `clock`. Default: [`SystemClock`].
    #[must_use]
    pub fn with_clock(self, clock: impl Clock) -> Self {
        Self(Arc::new(Settings { clock: Arc::new(clock), ..Settings::clone(&self.0) }))
    }

    /// Only watches: whom the document would refuse passes without being admitted, and is logged and counted.
    /// Default: off, the document is enforced.
    ///
    /// The rest of the document runs all the same, so the backend sees the headers and the identity of a request
    /// that passes. A request of which nothing was captured is answered with 500 as ever. See
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
