use std::sync::Arc;

use arc_swap::ArcSwap;

use super::UpstreamTrust;

/// An upstream trust that can be replaced while requests are sent.
///
/// Clones share it: keep one, give another to the route. Every request that starts after
/// [`replace`](Self::replace) returns is sent on a connection whose upstream proved itself under the new trust.
#[derive(Debug, Clone)]
pub struct SharedUpstreamTrust(Arc<ArcSwap<UpstreamTrust>>);

impl SharedUpstreamTrust {
    /// Publishes a first trust.
    pub fn new(trust: UpstreamTrust) -> Self {
        Self(Arc::new(ArcSwap::from_pointee(trust)))
    }

    /// Replaces the trust.
    pub fn replace(&self, trust: UpstreamTrust) {
        self.0.store(Arc::new(trust));
    }

    /// The trust of a request that starts now.
    pub fn current(&self) -> UpstreamTrust {
        UpstreamTrust::clone(&self.0.load())
    }
}

impl From<UpstreamTrust> for SharedUpstreamTrust {
    fn from(trust: UpstreamTrust) -> Self {
        Self::new(trust)
    }
}
