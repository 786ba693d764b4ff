//! Calling upstreams as the right client.
//!
//! An upstream connection belongs to exactly one *identity generation*: the pooled [`MtlsClient`] keeps, for
//! each combination of [`ClientIdentity`](crate::ClientIdentity), [`UpstreamTrust`] and authority, connections
//! and a TLS session store of their own. TLS sessions of one identity are never resumed by another.
//!
//! A request is sent when
//! 1. an [`IdentityLayer`] chose its identity, or chose by name to have none (otherwise it fails with
//!    [`ClientErrorKind::NoIdentity`]);
//! 2. that identity exists (otherwise [`ClientErrorKind::UnknownIdentity`]: it is never sent anonymously instead);
//! 3. its URI is absolute: `https`, or `http` if it is anonymous;
//! 4. the upstream proves its certificate as the [`UpstreamTrust`] demands (by default a chain to the system's
//!    roots and the name in the URI).
//!
//! HTTP/2 is used where the upstream agrees to it by ALPN, else HTTP/1.1. A Host field that differs from the URI
//! is kept: as `:authority` on HTTP/2. Failures are [`ClientError`]s with a kind, which say whether anything
//! [was sent](ClientError::was_sent).
//!
//! # Replacing an identity or a trust
//!
//! The identity is chosen when a request is dispatched: once a connection is at hand, and again if the request
//! could not be begun on it. So a request that starts after [`Shared::replace`] returned is sent under
//! the new identity, and the same holds for [`Shared::replace`] and [`Shared::replace`].
//! Connections of the old one serve what is in flight and nothing else. Idle ones are closed within a second
//! after the last clone of the old identity is gone, or at once by [`MtlsClient::retire_identity`]; those that
//! still have something in flight after the
//! [drain timeout](MtlsClientBuilder::with_drain_timeout) are cut off.
//!
//! [`Shared::replace`]: crate::Shared::replace
//! [`Shared::replace`]: crate::Shared::replace
//!
//! # What is sent twice, and what is not
//!
//! A request that was never begun, because the upstream had closed an idle connection, is dispatched again,
//! whatever its method. A request of which a single octet may have been sent is not, unless
//! [`RetryIdempotent`] is put around the route and its method allows it.
//!
//! # Connections
//!
//! HTTP/1.1: one for each request at a time. HTTP/2: up to 100 streams share one, fewer if the upstream says so.
//! A response's head may have 16 KiB on HTTP/1.1 and 64 KiB on HTTP/2; of its body at most 16 KiB at a time, or an
//! HTTP/2 window of 64 KiB, are read ahead of the caller. There is no limit of connections by default: see [`MtlsClientBuilder::with_max_connections`], and tower's
//! `ConcurrencyLimitLayer` for requests. A pool that nobody used for ten minutes is forgotten, and its TLS
//! sessions with it; identities and trusts that are configured but unused cost nothing here.
//!
//! For a hyper client or a tonic `Endpoint` of your own there is [`MtlsConnectorLayer`]: a connector bound to
//! one identity, TLS whatever the scheme says.
//!
//! ```no_run
//! # async fn call(pfx: &[u8], ca: &[u8]) -> Result<(), Box<dyn std::error::Error>> {
//! use http::Request;
//! use http_body_util::Empty;
//! use tower::{Layer, ServiceExt};
//! use tower_mtls::{UpstreamTrust, ClientIdentity, IdentityLayer, MtlsClient};
//!
//! let orders = ClientIdentity::from_pfx(pfx, "password")?;
//! let client: MtlsClient<Empty<bytes::Bytes>> = MtlsClient::builder().build();
//! let route = IdentityLayer::new(orders).with_trust(UpstreamTrust::from_pem(ca)?).layer(client);
//! let response = route.oneshot(Request::get("https://orders.internal/42").body(Empty::new())?).await?;
//! assert!(response.status().is_success());
//! # Ok(())
//! # }
//! ```

mod cause;
mod client;
mod connector;
mod error;
mod identity_layer;
mod pin;
mod pool;
mod request_trust;
mod resolver;
mod retry;
mod stream;
mod tls;
mod trust;
mod verifier;

#[cfg(feature = "proxy")]
pub(crate) use self::pool::TunnelGuard;
pub(crate) use self::trust::Verification;
pub use self::{
    client::{ClientFuture, MtlsClient, MtlsClientBuilder},
    connector::{Connecting, MtlsConnector, MtlsConnectorLayer},
    error::{ClientError, ClientErrorKind},
    identity_layer::{IdentityLayer, IdentityService, RequestIdentity},
    pin::{UpstreamPin, UpstreamPinParseError},
    pool::UpstreamBody,
    request_trust::RequestTrust,
    retry::RetryIdempotent,
    stream::UpstreamStream,
    trust::{UpstreamTrust, UpstreamTrustBuilder, UpstreamTrustError},
};
