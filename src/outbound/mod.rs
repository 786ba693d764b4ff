//! Calls to upstreams under a client identity.
//!
//! Built on [`identity`](crate::identity), [`keys`](crate::keys) and [`certificate`](crate::certificate).
//!
//! An upstream connection belongs to exactly one *identity generation*: the pooled [`MtlsClient`] keeps
//! separate connections and a separate TLS session store for each combination of
//! [`ClientIdentity`](crate::ClientIdentity), [`UpstreamTrust`] and authority. TLS sessions of one identity are never
//! resumed under another.
//!
//! A request is sent when
//! 1. an [`IdentityLayer`] chose its identity, or anonymity (otherwise it fails with [`ClientErrorKind::NoIdentity`]);
//! 2. that identity exists (otherwise [`ClientErrorKind::UnknownIdentity`]: it is not sent anonymously instead);
//! 3. its URI is absolute: `https`, or `http` if it is anonymous;
//! 4. the upstream satisfies the [`UpstreamTrust`] (by default a chain to the system's
//!    roots and the name in the URI).
//!
//! HTTP/2 is used where the upstream agrees to it by ALPN, else HTTP/1.1. A Host field that differs from the URI
//! is kept: as `:authority` on HTTP/2. Failures are [`ClientError`]s with a kind, which report whether
//! any of the request [was sent](ClientError::was_sent).
//!
//! # Replacing an identity or a trust
//!
//! The identity is chosen when a request is dispatched, and again after a connection was established and before each
//! retry. A request that starts after [`Shared::replace`](crate::Shared::replace) has returned is sent under the new
//! identity or trust. Connections of the old one serve requests in flight only. Idle ones are closed within a second
//! after the last clone of the old identity was dropped, or at once by [`MtlsClient::retire_identity`]; connections
//! with requests in flight are closed at the [drain timeout](MtlsClientBuilder::with_drain_timeout).
//!
//! # Retries
//!
//! A request of which nothing was sent, because the upstream had closed an idle connection, is dispatched again,
//! whatever its method. A request that may have been partly sent is repeated only by a client of
//! [`MtlsClientBuilder::build_repeating`], and only if its method is idempotent.
//!
//! # Connections
//!
//! HTTP/1.1: one for each concurrent request. HTTP/2: up to 100 streams share one, fewer if the upstream allows fewer.
//! A response head is limited to 64 KiB; of a body at most 64 KiB, on HTTP/2 the stream's window, are read ahead of the
//! caller. The number of connections is unlimited by default: see
//! [`MtlsClientBuilder::with_max_connections`], [`ConnectionShare`] for the shares of routes, and tower's `ConcurrencyLimitLayer` for requests. A pool that was unused
//! for ten minutes is removed together with its TLS sessions.
//!
//! For an own hyper client or tonic `Endpoint` see [`MtlsConnectorLayer`], for reqwest see [`client_config`].
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

// Imports point from the left to the right: client, pool, connect, trust, and the files beside them.
mod cause;
mod client;
mod connect;
mod connection_stats;
mod error;
mod pool;
pub(crate) mod trust;

#[cfg(feature = "proxy")]
pub(crate) use self::pool::TunnelGuard;
pub use self::{
    client::{
        ClientFuture, IdentityLayer, IdentityService, MtlsClient, MtlsClientBuilder, RequestIdentity,
        RequestTrust,
    },
    connect::{Connecting, MtlsConnector, MtlsConnectorLayer, UpstreamStream, client_config},
    error::{ClientError, ClientErrorKind},
    pool::{ConnectionShare, UpstreamBody},
    trust::{UpstreamPin, UpstreamPinParseError, UpstreamTrust, UpstreamTrustBuilder, UpstreamTrustError},
};
