use super::{SharedUpstreamTrust, UpstreamTrust};

/// What one request demands of its upstream, in place of its route's trust.
///
/// Put into a request's extensions by a layer outside of [`IdentityLayer`](super::IdentityLayer), which takes it out
/// again: for a route that leads to several upstreams. It counts wherever the route's would, and for routes without a
/// trust of their own too; over `http` it has no effect. Connections and TLS sessions are those of this trust and of no
/// other, so that a lenient one lends nothing to a strict one. Extensions do not travel over the wire: no caller sets
/// one.
#[derive(Debug, Clone)]
pub struct RequestTrust(SharedUpstreamTrust);

impl RequestTrust {
    /// This trust: a [`UpstreamTrust`], or a [`SharedUpstreamTrust`] that is replaced while serving.
    ///
    /// Keep the trust and clone it for each request: one that is built anew shares no connections with others.
    pub fn new(trust: impl Into<SharedUpstreamTrust>) -> Self {
        Self(trust.into())
    }

    /// The trust as it is now.
    pub fn current(&self) -> UpstreamTrust {
        self.0.current()
    }
}
