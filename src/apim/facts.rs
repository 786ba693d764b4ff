use std::net::IpAddr;

use http::{HeaderMap, Method, Request, Uri};

use crate::certificate::Presented;

/// What a document is told of a request.
#[derive(Debug, Clone, Copy)]
pub struct RequestFacts<'r> {
    pub(crate) method: &'r Method,
    pub(crate) uri: &'r Uri,
    pub(crate) headers: &'r HeaderMap,
    pub(crate) presented: &'r Presented,
    pub(crate) remote: Option<IpAddr>,
}

impl<'r> RequestFacts<'r> {
    /// A request's head, and what its caller presented in the handshake.
    pub fn new<B>(request: &'r Request<B>, presented: &'r Presented) -> Self {
        Self {
            method: request.method(),
            uri: request.uri(),
            headers: request.headers(),
            presented,
            remote: None,
        }
    }

    /// Where the connection comes from (`context.Request.IpAddress`). Default: unknown, which is null.
    ///
    /// An IPv4 address that a listener for both families saw as IPv6 (`::ffff:192.0.2.1`) is the IPv4 address.
    #[must_use]
    pub fn with_remote(self, remote: impl Into<Option<IpAddr>>) -> Self {
        Self { remote: remote.into().map(|remote| remote.to_canonical()), ..self }
    }
}
