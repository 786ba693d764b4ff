use super::UpstreamTrust;
use crate::shared::Shared;

/// What one request demands of its upstream, in place of its route's trust.
///
/// Put into a request's extensions by a layer outside of [`IdentityLayer`](super::IdentityLayer), which takes it out
/// again: for a route that leads to several upstreams. It counts wherever the route's would, and for routes without a
/// trust of their own too; over `http` it has no effect. Connections and TLS sessions are those of this trust and of no
/// other, so that a lenient one lends nothing to a strict one. Extensions do not travel over the wire: no caller sets
/// one.
#[derive(Debug, Clone)]
pub struct RequestTrust(Shared<UpstreamTrust>);

impl RequestTrust {
    /// This trust: a [`UpstreamTrust`], or a [`Shared<UpstreamTrust>`](crate::Shared) that is replaced while serving.
    ///
    /// Keep the trust and clone it for each request: one that is built anew shares no connections with others.
    pub fn new(trust: impl Into<Shared<UpstreamTrust>>) -> Self {
        Self(trust.into())
    }

    /// The trust as it is now.
    pub fn current(&self) -> UpstreamTrust {
        UpstreamTrust::clone(&self.0.load())
    }
}
