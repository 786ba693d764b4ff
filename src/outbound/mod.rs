//! Calling back ends as the right client.
//!
//! A back-end connection belongs to exactly one *identity generation*: the pooled [`MtlsClient`] keeps, for
//! each pair of [`ClientIdentity`](crate::ClientIdentity) and [`BackEndTrust`], a client, a pool and a TLS
//! session store of its own. A request that starts after
//! [`SharedIdentity::replace`](crate::SharedIdentity::replace) returned is sent under the new identity;
//! requests in flight finish on the old connections, on which nothing new starts. TLS sessions of one
//! identity are never resumed by another.
//!
//! A request is sent when
//! 1. an [`IdentityLayer`] chose its identity, or chose by name to have none (otherwise it fails with
//!    [`ClientErrorKind::NoIdentity`]);
//! 2. its URI is absolute: `https`, or `http` if it is anonymous;
//! 3. the back end proves its certificate as the [`BackEndTrust`] demands (by default a chain to the system's
//!    roots and the name in the URI).
//!
//! HTTP/2 is used where the back end agrees to it by ALPN, else HTTP/1.1. Failures are [`ClientError`]s with a
//! kind.
//!
//! For a hyper client or a tonic `Endpoint` of your own there is [`MtlsConnectorLayer`]: a connector bound to
//! one identity, TLS whatever the scheme says.
//!
//! ```no_run
//! # async fn call(pfx: &[u8], ca: &[u8]) -> Result<(), Box<dyn std::error::Error>> {
//! use http::Request;
//! use http_body_util::Empty;
//! use tower::{Layer, ServiceExt};
//! use tower_mtls::{BackEndTrust, ClientIdentity, IdentityLayer, MtlsClient};
//!
//! let orders = ClientIdentity::from_pfx(pfx, "password")?;
//! let client: MtlsClient<Empty<bytes::Bytes>> = MtlsClient::builder().build();
//! let route = IdentityLayer::new(orders).with_trust(BackEndTrust::from_pem(ca)?).layer(client);
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
mod retry;
mod shared_trust;
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
    identity_layer::{IdentityLayer, IdentityService},
    pin::{BackEndPin, BackEndPinParseError},
    pool::BackEndBody,
    retry::RetryIdempotent,
    shared_trust::SharedBackEndTrust,
    stream::BackEndStream,
    trust::{BackEndTrust, BackEndTrustBuilder, BackEndTrustError},
};
