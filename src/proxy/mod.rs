//! Forwarding a request: a streaming reverse proxy service.
//!
//! [`ReverseProxy`] rewrites a request's head and hands it to an inner client, usually an
//! [`IdentityLayer`](crate::IdentityLayer) over an [`MtlsClient`](crate::MtlsClient). Bodies and trailers pass
//! through frame by frame, untouched and unbuffered, in both directions, but for request trailers that belong to
//! points 4 and 5. Of the head it changes
//!
//! 1. the target: the route's path prefix is replaced by the upstream's path, scheme and authority become the
//!    upstream's, the query stays;
//! 2. the Host: the upstream's, or the caller's if [`preserve_host`](ReverseProxyLayer::preserve_host) says so;
//! 3. hop-by-hop fields (RFC 9110, section 7.6.1), those that `Connection` names included, in requests and
//!    responses; `TE: trailers` stays, since gRPC needs it;
//! 4. the fields of a list by which callers could claim an identity, an origin or another target (`Client-Cert`,
//!    `X-Forwarded-Client-Cert`, `X-ARR-ClientCert*`, `X-SSL-*`, `Forwarded`, `X-Forwarded-*`, `X-Original-URL`,
//!    `Remote-User`, ... in any case and with underscores or dots; [`is_removed`] knows all), and those of
//!    [`remove_request_headers`](ReverseProxyLayer::remove_request_headers): removed on every request. It is a list,
//!    not a guarantee: an upstream that believes a header of another name needs it to be added;
//! 5. `Forwarded` and `X-Forwarded-*`: set anew if [`forwarded`](ReverseProxyLayer::forwarded) asks for them;
//!    then what a [`Rewrite`] in the request's extensions sets, which may also name another upstream for this request;
//! 6. `Expect: 100-continue`: removed, since the server meets it when the body is asked for;
//! 7. several `Cookie` fields, into which HTTP/2 splits one: joined again (RFC 9113, section 8.2.3).
//!
//! Of a response it changes the hop-by-hop fields and the version, which is that of the upstream's connection: an
//! `HTTP/1.0` response reaches HTTP/1.1 callers as HTTP/1.1.
//!
//! A request that asks to switch protocols (`Upgrade`, WebSocket above all) is passed on over HTTP/1.1; if the
//! upstream agrees, a [`Tunnel`] carries the octets both ways. The server must serve connections with upgrades.
//! Not passed on is what would lead around the proxy: HTTP itself (`h2c`) and TLS.
//!
//! Routing, path rules and answers to failures are the gateway's: the path that arrives here is used as it is. A
//! path outside of the prefix, or too long for a URI once it is rewritten, is not sent anywhere:
//! [`ClientErrorKind::InvalidUri`](crate::ClientErrorKind::InvalidUri).
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
    pattern::{HeaderPattern, HeaderPatternError},
    rewrite::Rewrite,
    service::{ProxyFuture, ReverseProxy, ReverseProxyLayer},
    target::{Upstream, UpstreamParseError},
    tunnel::{Tunnel, TunnelSlot},
};
