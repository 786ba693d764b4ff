use std::sync::Arc;

use arc_swap::ArcSwap;

use super::ClientIdentity;

/// An identity that can be replaced while requests are sent.
///
/// Clones share it: keep one, give another to the route. Every request that starts after
/// [`replace`](Self::replace) returns is sent under the new identity, on a connection of its own.
#[derive(Debug, Clone)]
pub struct SharedIdentity(Arc<ArcSwap<ClientIdentity>>);

impl SharedIdentity {
    /// Publishes a first identity.
    pub fn new(identity: ClientIdentity) -> Self {
        Self(Arc::new(ArcSwap::from_pointee(identity)))
    }

    /// Replaces the identity.
    pub fn replace(&self, identity: ClientIdentity) {
        self.0.store(Arc::new(identity));
    }

    /// The identity of a request that starts now.
    pub fn current(&self) -> ClientIdentity {
        ClientIdentity::clone(&self.0.load())
    }
}

impl From<ClientIdentity> for SharedIdentity {
    fn from(identity: ClientIdentity) -> Self {
        Self::new(identity)
    }
}
