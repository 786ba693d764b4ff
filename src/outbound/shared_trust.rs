use std::sync::Arc;

use arc_swap::ArcSwap;

use super::BackEndTrust;

/// A back-end trust that can be replaced while requests are sent.
///
/// Clones share it: keep one, give another to the route. Every request that starts after
/// [`replace`](Self::replace) returns is sent on a connection whose back end proved itself under the new trust.
#[derive(Debug, Clone)]
pub struct SharedBackEndTrust(Arc<ArcSwap<BackEndTrust>>);

impl SharedBackEndTrust {
    /// Publishes a first trust.
    pub fn new(trust: BackEndTrust) -> Self {
        Self(Arc::new(ArcSwap::from_pointee(trust)))
    }

    /// Replaces the trust.
    pub fn replace(&self, trust: BackEndTrust) {
        self.0.store(Arc::new(trust));
    }

    /// The trust of a request that starts now.
    pub fn current(&self) -> BackEndTrust {
        BackEndTrust::clone(&self.0.load())
    }
}

impl From<BackEndTrust> for SharedBackEndTrust {
    fn from(trust: BackEndTrust) -> Self {
        Self::new(trust)
    }
}
