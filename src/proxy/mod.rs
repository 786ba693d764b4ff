//! A streaming reverse proxy service, and normalized paths.
//!
//! Built on [`outbound`](crate::outbound), to which it sends, and [`request`](crate::request).
//!
//! [`ReverseProxy`] rewrites the head of a request and calls an inner client, usually an
//! [`IdentityLayer`](crate::IdentityLayer) over an [`MtlsClient`](crate::MtlsClient). Bodies and trailers pass unchanged and
//! unbuffered in both directions, except for request trailers of points 4 and 5. It changes
//!
//! 1. the target: the route's path prefix is replaced by the upstream's path, scheme and authority become the
//!    upstream's, the query stays;
//! 2. the Host: the upstream's, or the client's with [`preserve_host`](ReverseProxyLayer::preserve_host);
//! 3. hop-by-hop fields (RFC 9110, section 7.6.1), including those that `Connection` names: removed from requests and
//!    responses; `TE: trailers` stays, since gRPC needs it;
//! 4. fields that claim an identity, an origin or another target (`Client-Cert`,
//!    `X-Forwarded-Client-Cert`, `X-ARR-ClientCert*`, `X-SSL-*`, `Forwarded`, `X-Forwarded-*`, `X-Original-URL`,
//!    `Remote-User`, ... in any case and with underscores or dots; see [`is_removed`]), and those of
//!    [`remove_request_headers`](ReverseProxyLayer::remove_request_headers): removed from every request. A list,
//!    not a guarantee: if the upstream trusts a header of another name, add it;
//! 5. `Forwarded` and `X-Forwarded-*`: set if [`forwarded`](ReverseProxyLayer::forwarded) is configured; then the fields of
//!    a [`Rewrite`] in the request's extensions, which can also set another upstream for the request;
//! 6. `Expect: 100-continue`: removed, since the server responds to it when the body is first polled;
//! 7. several `Cookie` fields, into which HTTP/2 splits one: joined again (RFC 9113, section 8.2.3).
//!
//! In responses it removes hop-by-hop fields and sets the version to HTTP/1.1; the server sends that of its own connection.
//!
//! A request to switch protocols (`Upgrade`, for example WebSocket) is forwarded over HTTP/1.1; if the upstream agrees, a
//! [`Tunnel`] copies the bytes both ways, and is closed after an hour without any
//! ([`tunnel_idle_timeout`](ReverseProxyLayer::tunnel_idle_timeout)). The server must serve connections with upgrades.
//! `Upgrade` to HTTP (`h2c`) or TLS is removed: requests inside would bypass the proxy.
//!
//! Routing, path rules and responses to failures belong to the application: the path is used as received. Parsers
//! interpret some paths differently (`/orders/..%2Fadmin`), so normalize or reject the path before routes and rules read it:
//! see [`NormalizedPath`]. A request with a path outside the prefix, or too long for a URI after the rewrite, is not sent:
//! [`ClientErrorKind::InvalidUri`](crate::outbound::ClientErrorKind::InvalidUri).
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use http::{Request, Response};
//! use tower::{Layer, ServiceExt, service_fn};
//! use bytes::Bytes;
//! use http_body_util::Empty;
//! use tower_mtls::{ReverseProxyLayer, Upstream, proxy::ProxyBody};
//!
//! let echo = service_fn(|request: Request<ProxyBody<Empty<Bytes>>>| async move {
//!     assert!(!request.headers().contains_key("x-forwarded-client-cert"), "a forgery is removed");
//!     Ok::<_, std::convert::Infallible>(Response::new(request.uri().to_string()))
//! });
//! let upstream: Upstream = "https://orders.internal:9444/api".parse()?;
//! let proxy = ReverseProxyLayer::new("/orders", upstream).layer(echo);
//! let request = Request::get("/orders/42?full=1").header("x-forwarded-client-cert", "CN=admin").body(Empty::new())?;
//! let response = proxy.oneshot(request).await?;
//! assert_eq!(response.into_body(), "https://orders.internal:9444/api/42?full=1");
//! # Ok(())
//! # }
//! ```

mod body;
mod headers;
mod path;
mod pattern;
mod rewrite;
mod service;
mod target;
#[cfg(test)]
mod tests;
mod tunnel;

pub use self::{
    body::ProxyBody,
    headers::{Forwarded, is_removed},
    path::{NormalizedPath, PathError},
    pattern::{HeaderPattern, HeaderPatternError},
    rewrite::Rewrite,
    service::{ProxyFuture, ReverseProxy, ReverseProxyLayer},
    target::{Upstream, UpstreamParseError},
    tunnel::{Tunnel, TunnelSlot},
};
