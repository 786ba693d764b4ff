//! Tower layers with which any Tower server decides who may call it by the caller's certificate, and calls its
//! upstreams as the right client.
//!
//! The TLS handshake proves that the caller holds the key of its certificate, and nothing else. A [`Policy`]
//! decides about trust, in a layer, on every request: so each route can have rules of its own, a refusal is an
//! HTTP answer with its reason in the log, and an expiry or a replaced policy takes effect on connections that
//! are already open. Calls to upstreams are made under the identity of the route, and a connection belongs to
//! exactly one identity.
//!
//! # Who may call
//!
//! A policy demands something that cannot be forged (a chain to your roots, or a thumbprint), and whatever else
//! you name. [`Policy::builder`] starts with validity.
//!
//! ```
//! # #[cfg(feature = "trust")]
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let params = { let mut params = rcgen::CertificateParams::default(); params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained); params };
//! # let roots = params.self_signed(&rcgen::KeyPair::generate()?)?.pem();
//! use tower_mtls::{Policy, PolicyError, TrustAnchors};
//!
//! let policy = Policy::builder()
//!     .trust(TrustAnchors::from_pem(roots.as_bytes())?)
//!     .issuer("CN=Contoso Issuing CA, O=Contoso".parse()?)
//!     .common_name("orders-client")
//!     .common_name("billing-client")
//!     .build()?;
//!
//! // A name alone proves nothing: whoever makes a certificate chooses it.
//! let forgeable = Policy::builder().common_name("orders-client").build();
//! assert_eq!(forgeable.unwrap_err(), PolicyError::Unanchored);
//! # drop(policy);
//! # Ok(())
//! # }
//! # #[cfg(not(feature = "trust"))]
//! # fn main() {}
//! ```
//!
//! Put it behind a [`Shared<Policy>`](crate::Shared) to replace it while serving. See [`policy`] for the rules.
//!
//! # Serve it
//!
//! [`MtlsListener`] accepts, [`capture`] tells the layers what each connection's caller presented, and
//! [`RequireCertificateLayer`] admits or refuses. What a handler extracts is a certificate that the layer
//! admitted.
//!
//! ```no_run
//! # #[cfg(all(feature = "acceptor", feature = "axum"))]
//! # async fn serve(policy: tower_mtls::Policy, chain: &[u8], key: &[u8]) -> Result<(), Box<dyn std::error::Error>> {
//! use axum::{Router, routing::get};
//! use tower_mtls::{ClientCertificate, MtlsListener, RequireCertificateLayer, ServerTls, capture};
//!
//! async fn orders(caller: ClientCertificate) -> String {
//!     format!("hello {}", caller.subject())
//! }
//!
//! let app = Router::new()
//!     .route("/orders", get(orders))
//!     .route_layer(RequireCertificateLayer::new(policy)) // guards the routes above it
//!     .route("/health", get(|| async { "ok" }));         // needs no certificate
//!
//! let tls = ServerTls::from_pem(chain, key)?;
//! axum::serve(MtlsListener::bind("0.0.0.0:8443", tls).await?, capture(app)).await?;
//! # Ok(())
//! # }
//! ```
//!
//! Plain hyper takes one line for each connection: see [`acceptor`]. Refusals are described in [`inbound`].
//!
//! # As whom we call
//!
//! One [`MtlsClient`] for all routes, an [`IdentityLayer`] for each. Without a choice nothing is sent;
//! [`IdentityLayer::anonymous`] is a choice.
//!
//! ```no_run
//! # #[cfg(feature = "outbound")]
//! # async fn call(pfx: &[u8], ca: &[u8]) -> Result<(), Box<dyn std::error::Error>> {
//! use http::Request;
//! use http_body_util::Empty;
//! use tower::{Layer, ServiceExt};
//! use tower_mtls::{UpstreamTrust, ClientIdentity, IdentityLayer, MtlsClient, Shared};
//!
//! let client: MtlsClient<Empty<bytes::Bytes>> =
//!     MtlsClient::builder().trust(UpstreamTrust::from_pem(ca)?).build();
//! let identity = Shared::new(ClientIdentity::from_pfx(pfx, "password")?);
//! let orders = IdentityLayer::new(identity.clone()).layer(client.clone());
//!
//! let request = Request::get("https://orders.internal/42").body(Empty::new())?;
//! let response = orders.oneshot(request).await?;
//! assert!(response.status().is_success());
//! // identity.replace(renewed): the next request shows the new certificate, on a connection of its own.
//! # Ok(())
//! # }
//! ```
//!
//! # With a client of your own
//!
//! [`MtlsConnectorLayer`] goes around a TCP connector and is bound to one identity.
//!
//! ```no_run
//! # #[cfg(feature = "outbound")]
//! # fn connect(orders: tower_mtls::ClientIdentity, trust: &tower_mtls::UpstreamTrust) -> Result<(), Box<dyn std::error::Error>> {
//! use http_body_util::Empty;
//! use hyper_util::{client::legacy::{Client, connect::HttpConnector}, rt::TokioExecutor};
//! use tower::Layer;
//! use tower_mtls::MtlsConnectorLayer;
//!
//! let connector = MtlsConnectorLayer::new(orders, trust)?.layer(HttpConnector::new());
//! let client: Client<_, Empty<bytes::Bytes>> = Client::builder(TokioExecutor::new()).build(connector);
//! # drop(client);
//! # Ok(())
//! # }
//! ```
//!
//! # Which layer goes where
//!
//! From the caller inwards, and on to the upstream:
//!
//! ```text
//! caller --> capture --> trace --> timeout --> routing --> RequireCertificate --> limit --> compression --> handler
//!
//! handler --> limit --> retry --> IdentityLayer --> MtlsClient --> upstream
//! ```
//!
//! | layer | where | why |
//! |---|---|---|
//! | [`capture`], [`MtlsStream::capture`](acceptor::MtlsStream::capture), [`TonicCaptureLayer`](acceptor::tonic::TonicCaptureLayer) | outermost | without it the decision has nothing to go by and answers 500 |
//! | tracing, metrics | outside of the decision | they see refusals, and read the [`Rejection`] out of the response's extensions |
//! | timeouts; limits that protect from strangers (rate, load shedding) | outside of the decision | a queue counts towards the timeout; refusals count too |
//! | [`RequireCertificateLayer`] | after routing, before whatever must not run for strangers | each route has its rules; without it the extractor answers 500 |
//! | limits that ration work (concurrency), buffers, caches | inside of the decision | a stranger takes no permit and no place |
//! | compression, limits and readers of bodies | inside of the decision | a refusal is not compressed, and a refused body not read |
//! | retries | outside of [`IdentityLayer`] | each attempt asks for the identity again, and finds a replaced one |
//! | [`ReverseProxyLayer`] | around [`IdentityLayer`] | |
//! | [`IdentityLayer`] | directly around [`MtlsClient`] | without it nothing is sent: [`ClientErrorKind::NoIdentity`] |
//!
//! In axum, `Router::route_layer` puts a layer after routing. `Router::layer` would guard the fallback as well, so
//! that strangers get 403 on unknown paths, where others get 404. Layers that are added later lie outside.
//!
//! Readiness knows no request: in one stack (`ServiceBuilder`, or a service of plain hyper) a concurrency limit
//! inside hands out its permit before the decision, so strangers queue for it as well. In axum each `route_layer`
//! asks what is inside when it is called, after the decision.
//!
//! The example `compose` shows all of it, and asserts it.
//!
//! # Feature flags
//!
//! | feature | default | adds |
//! |---|---|---|
//! | `acceptor` | yes | [`acceptor`]: [`MtlsListener`], [`ServerTls`]; implies `inbound` |
//! | `axum` | yes | [`capture`], and [`ClientCertificate`] as an extractor; implies `inbound` |
//! | `trust` | yes | [`TrustAnchors`] |
//! | `aws-lc-rs` | yes | aws-lc-rs as the crypto provider |
//! | `ring` | | ring as the crypto provider; aws-lc-rs is preferred when both are on |
//! | `inbound` | | [`inbound`]: the layer alone, without a runtime or a TLS stack |
//! | `tonic` | | [`MtlsListener::incoming`] and [`acceptor::tonic::TonicCaptureLayer`]; implies `acceptor` |
//! | `axum-server` | | [`acceptor::MtlsAcceptor`] as an acceptor of axum-server; implies `acceptor` |
//! | `identity` | | [`identity`]: [`ClientIdentity`] |
//! | `outbound` | | [`outbound`]: [`MtlsClient`], [`MtlsConnectorLayer`]; implies `identity` |
//! | `proxy` | | [`proxy`]: [`ReverseProxyLayer`]; implies `outbound` and `inbound` |
//! | `apim` | | [`apim`]: [`ApimPolicyLayer`](apim::ApimPolicyLayer), policy documents of Azure API Management; implies `inbound` and `trust` |
//! | `reload` | | [`reload`]: files that replace a [`Shared`] value when they change |
//! | `full` | | everything but `ring` |
//! | `metrics` | | `tower_mtls_requests_refused_total{reason}`, `tower_mtls_requests_shadow_refused_total{reason}`, `tower_mtls_handshakes_failed_total{reason}`, `tower_mtls_dangerous_trusts_total{mode}`, and for each pair of identity and upstream `tower_mtls_upstream_requests_total`, `tower_mtls_upstream_errors_total{code}`, `tower_mtls_upstream_handshakes_total{resumed}` and the gauge `tower_mtls_upstream_connections` |
//!
//! # Crates in the public interface
//!
//! A new major version of one of these is one of this crate: `http`, `http-body`, `bytes`, `tower-layer`,
//! `tower-service` and `hyper` (the reason phrase in a refusal's extensions) with `inbound`; `tokio` (sockets) and
//! `rustls` (provider, certified keys, the verifier's trait) with `acceptor`; `rustls` with `identity`; `bytes`,
//! `hyper` (its errors and I/O traits), `hyper-util` (`Connection`) and `tower` (`retry::Policy`) with `outbound`;
//! `axum`, `axum-server` and `tonic` with the features of their names, `futures-core` (`Stream`) with `tonic`. `x509-parser`, `rustls-webpki`,
//! `hyper-rustls`, `tokio-rustls`, `p12-keystore` and the rest stay inside.
//!
//! # What never happens
//!
//! 1. A certificate that was merely presented is taken for one that was admitted: [`admitted`] and the extractor
//!    return the latter only.
//! 2. A missing, unreadable or undecidable certificate is admitted. Where
//!    [`allow_missing`](RequireCertificateLayer::allow_missing) or [`shadow`](RequireCertificateLayer::shadow) let
//!    such a request pass, no certificate is extracted from it.
//! 3. A certificate is read out of a request's header.
//! 4. A caller is told why it was refused.
//! 5. A connection or TLS session of one identity serves another.
//! 6. A process-wide crypto provider is read or installed.
//! 7. A key or password is in an error, a log line or a `Debug` text.
//!
//! What gives up a protection is in the module [`danger`].
#![cfg_attr(docsrs, feature(doc_cfg))]

#[cfg(feature = "acceptor")]
pub mod acceptor;
#[cfg(feature = "apim")]
pub mod apim;
pub mod certificate;
#[cfg(any(feature = "apim", feature = "proxy"))]
mod claims;
#[cfg(doc)]
pub mod coming_from;
pub mod danger;
mod generation;
#[cfg(feature = "identity")]
pub mod identity;
#[cfg(feature = "inbound")]
pub mod inbound;
#[cfg(any(feature = "acceptor", feature = "identity"))]
mod key_pair;
#[cfg(feature = "outbound")]
pub mod outbound;
#[cfg(any(feature = "trust", feature = "acceptor", feature = "identity"))]
pub mod pem;
pub mod policy;
#[cfg(any(feature = "acceptor", feature = "identity"))]
mod provider;
#[cfg(feature = "proxy")]
pub mod proxy;
#[cfg(feature = "reload")]
pub mod reload;
mod shared;

#[cfg(test)]
#[path = "../tests/support/pki.rs"]
mod pki;

#[cfg(all(feature = "acceptor", feature = "axum"))]
pub use acceptor::axum::capture;
#[cfg(feature = "acceptor")]
pub use acceptor::{MtlsListener, MtlsStream, ServerTls};
pub use certificate::*;
#[cfg(feature = "identity")]
pub use identity::{ClientIdentity, Identities, IdentityError, IdentityReference, ResolveIdentity};
#[cfg(feature = "inbound")]
pub use inbound::{
    Capture, ClientCertificate, RequireCertificate, RequireCertificateLayer, admitted, remote_addr,
    verification,
};
#[cfg(any(feature = "acceptor", feature = "identity"))]
pub use key_pair::KeyPairError;
#[cfg(feature = "outbound")]
pub use outbound::{
    ClientError, ClientErrorKind, IdentityLayer, MtlsClient, MtlsConnectorLayer, RetryIdempotent,
    UpstreamPin, UpstreamTrust,
};
#[cfg(any(feature = "trust", feature = "acceptor", feature = "identity"))]
pub use pem::PemError;
pub use policy::*;
#[cfg(feature = "proxy")]
pub use proxy::{ReverseProxy, ReverseProxyLayer, Upstream};
pub use shared::{Publish, Shared};

/// The code blocks of the README, run as they stand there.
#[cfg(all(doctest, feature = "acceptor", feature = "axum", feature = "aws-lc-rs"))]
#[doc = include_str!("../README.md")]
struct Readme;
