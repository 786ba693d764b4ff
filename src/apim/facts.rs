use std::net::IpAddr;

use http::{HeaderMap, Method, Request, Uri};

use crate::certificate::Presented;

/// The properties of a request that a document reads.
///
/// ```
/// use http::Request;
/// use tower_mtls::{apim::RequestFacts, certificate::Presented};
///
/// let request = Request::get("/orders").body(()).expect("a valid request");
/// let facts = RequestFacts::new(&request, &Presented::Nothing).with_remote(std::net::IpAddr::from([192, 0, 2, 1]));
/// assert!(format!("{facts:?}").contains("192.0.2.1"));
/// ```
#[derive(Debug, Clone, Copy)]
pub struct RequestFacts<'r> {
    pub(crate) method: &'r Method,
    pub(crate) uri: &'r Uri,
    pub(crate) headers: &'r HeaderMap,
    pub(crate) presented: &'r Presented,
    pub(crate) remote: Option<IpAddr>,
}

impl<'r> RequestFacts<'r> {
    /// Creates the facts from a request's head and the result of the TLS handshake.
    ///
    /// ```
    /// use http::Request;
    /// use tower_mtls::{apim::RequestFacts, certificate::Presented};
    ///
    /// let request = Request::delete("/orders/42").body("of any type")?;
    /// let facts = RequestFacts::new(&request, &Presented::Nothing);
    /// assert!(format!("{facts:?}").contains("DELETE"));
    /// # Ok::<(), http::Error>(())
    /// ```
    pub fn new<B>(request: &'r Request<B>, presented: &'r Presented) -> Self {
        Self {
            method: request.method(),
            uri: request.uri(),
            headers: request.headers(),
            presented,
            remote: None,
        }
    }

    /// Sets the remote address (`context.Request.IpAddress`). Default: unknown, which is null.
    ///
    /// An IPv4-mapped IPv6 address (`::ffff:192.0.2.1`) becomes the IPv4 address.
    #[must_use]
    pub fn with_remote(self, remote: impl Into<Option<IpAddr>>) -> Self {
        Self { remote: remote.into().map(|remote| remote.to_canonical()), ..self }
    }
}
