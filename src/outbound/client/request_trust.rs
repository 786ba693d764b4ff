use crate::{outbound::UpstreamTrust, shared::Shared};

/// Trust of one request, in place of its route's.
///
/// A layer outside of [`IdentityLayer`](super::IdentityLayer) inserts it into a request's extensions, for a route that
/// leads to several upstreams; `IdentityLayer` removes it. It replaces the route's trust and the client's; over `http`
/// it has no effect. Connections and TLS sessions belong to this trust alone. Extensions are not sent over the wire, so
/// callers cannot set one.
///
/// ```
/// # fn select(trust: tower_mtls::UpstreamTrust) {
/// use http::Request;
/// use tower_mtls::outbound::RequestTrust;
///
/// let mut request = Request::new(());
/// request.extensions_mut().insert(RequestTrust::new(trust.clone()));
/// assert!(request.extensions().get::<RequestTrust>().unwrap().current().ptr_eq(&trust));
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct RequestTrust(Shared<UpstreamTrust>);

impl RequestTrust {
    /// Requires this trust: an [`UpstreamTrust`] or a [`Shared<UpstreamTrust>`](crate::Shared).
    ///
    /// Clone one trust for all requests: a new one shares no connections with others.
    ///
    /// ```
    /// # #[cfg(any(feature = "aws-lc-rs", feature = "ring"))]
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let mut params = rcgen::CertificateParams::default();
    /// # params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    /// # let roots = params.self_signed(&rcgen::KeyPair::generate()?)?.pem();
    /// use tower_mtls::{Shared, UpstreamTrust, outbound::RequestTrust};
    ///
    /// let trust = Shared::new(UpstreamTrust::from_pem(roots)?);
    /// let of_request = RequestTrust::new(trust.clone());
    /// trust.replace(trust.current().renewed());
    /// assert!(of_request.current().ptr_eq(&trust.current()));
    /// # Ok(())
    /// # }
    /// # #[cfg(not(any(feature = "aws-lc-rs", feature = "ring")))]
    /// # fn main() {}
    /// ```
    pub fn new(trust: impl Into<Shared<UpstreamTrust>>) -> Self {
        Self(trust.into())
    }

    /// Returns the current trust.
    pub fn current(&self) -> UpstreamTrust {
        UpstreamTrust::clone(&self.0.load())
    }
}
