//! Tower middleware for mutual TLS: authorize callers by client certificate, and call upstreams with a per-route client
//! identity.
//!
//! The TLS handshake proves that the caller owns the key of its certificate, and nothing else. A [`Policy`] decides
//! trust, in a layer, on every request: each route can have its own rules, a rejection is an HTTP response with its
//! reason in the log, and an expiry or a replaced policy takes effect on open connections. Upstreams are called under
//! the identity of the route, and a connection belongs to exactly one identity.
//!
//! The guides show how the parts work together: [`guide::layers`], [`guide::authorization`], [`guide::testing`],
//! [`guide::live_changes`] and [`guide::migrating`].
//!
//! # Authorize callers
//!
//! A policy requires a proof (a chain to your roots, or a pin) and any further rules. [`Policy::builder`] starts with
//! the validity period. [`RequireCertificateLayer`] carries the policy out, [`MtlsListener`] accepts connections, and
//! [`serve`](serve()) serves them within limits, each request with the certificate of its connection. The extractor
//! [`ClientCertificate`] is a certificate that the layer admitted.
//!
//! ```
//! # #[cfg(all(feature = "acceptor", feature = "axum", feature = "trust"))]
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use axum::{Router, routing::get};
//! use tower_mtls::{ClientCertificate, Policy, PolicyError, RequireCertificateLayer, TrustAnchors};
//! use tower_mtls::{MtlsListener, ServerTls};
//!
//! fn app(ca: &[u8]) -> Result<Router, Box<dyn std::error::Error>> {
//!     let policy = Policy::builder()
//!         .trust(TrustAnchors::from_pem(ca)?)
//!         .subject("CN=orders-client, O=Contoso".parse()?)
//!         .subject("CN=billing-client, O=Contoso".parse()?)
//!         .build()?;
//!     Ok(Router::new()
//!         .route("/orders", get(|caller: ClientCertificate| async move { caller.subject().to_string() }))
//!         .route_layer(RequireCertificateLayer::new(policy)) // guards the routes above it
//!         .route("/health", get(|| async { "ok" })))         // needs no certificate
//! }
//!
//! async fn run(app: Router, chain: &[u8], key: &[u8]) -> Result<(), Box<dyn std::error::Error>> {
//!     let listener = MtlsListener::bind("0.0.0.0:8443", ServerTls::from_pem(chain, key)?).await?;
//!     tower_mtls::serve(listener, app).await;
//!     Ok(())
//! }
//!
//! // A name alone proves nothing: the creator of a certificate chooses it.
//! let forgeable = Policy::builder().subject("CN=orders-client, O=Contoso".parse()?).build();
//! assert_eq!(forgeable.unwrap_err(), PolicyError::Unanchored);
//! # let mut params = rcgen::CertificateParams::default();
//! # params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
//! # app(params.self_signed(&rcgen::KeyPair::generate()?)?.pem().as_bytes())?;
//! # let _ = run;
//! # Ok(())
//! # }
//! # #[cfg(not(all(feature = "acceptor", feature = "axum", feature = "trust")))]
//! # fn main() {}
//! ```
//!
//! See [`policy`] for the rules, [`inbound`] for rejections, [`request`] for extensions and gRPC, and [`acceptor`] for tonic,
//! axum-server and plain hyper.
//!
//! # Call upstreams
//!
//! One [`MtlsClient`] for all routes, and an [`IdentityLayer`] for each. Without an identity nothing is sent, unless
//! [`IdentityLayer::anonymous`] is chosen. [`MtlsConnectorLayer`] is for hyper clients and tonic endpoints of your own.
//!
//! ```no_run
//! # #[cfg(feature = "outbound")]
//! # async fn call(pfx: &[u8], renewed: &[u8], ca: &[u8]) -> Result<(), Box<dyn std::error::Error>> {
//! use http::Request;
//! use http_body_util::Empty;
//! use tower::{Layer, ServiceExt};
//! use tower_mtls::{ClientIdentity, IdentityLayer, MtlsClient, Shared, UpstreamTrust};
//!
//! let client: MtlsClient<Empty<bytes::Bytes>> =
//!     MtlsClient::builder().trust(UpstreamTrust::from_pem(ca)?).build();
//! let identity = Shared::new(ClientIdentity::from_pfx(pfx, "password")?);
//! let orders = IdentityLayer::new(identity.clone()).layer(client.clone());
//!
//! let request = Request::get("https://orders.internal/42").body(Empty::new())?;
//! let response = orders.oneshot(request).await?;
//! assert!(response.status().is_success());
//! identity.replace(ClientIdentity::from_pfx(renewed, "password")?); // presented from the next request on
//! # Ok(())
//! # }
//! ```
//!
//! See [`identity`] for keys, [`outbound`] for connections and retries, and [`proxy`] to forward requests.
//!
//! # Modules
//!
//! In the order of their dependencies: a module imports only those above it, and [`Shared`].
//!
//! | module | contains |
//! |---|---|
//! | [`certificate`] | facts of certificates: names, validity, keys, thumbprints |
//! | [`keys`] | key material of both sides: PEM, key pairs |
//! | [`policy`] | rules and decisions about client certificates |
//! | [`request`] | values that travel with a request: admitted certificate, extensions, gRPC |
//! | [`inbound`] | admission of requests: layers and rejections |
//! | [`acceptor`] | callers' sockets: listener, handshakes, server certificates |
//! | [`identity`] | client identities: .pfx, PEM, signers, references |
//! | [`outbound`] | calls to upstreams: trust, connector, pooled client |
//! | [`proxy`] | reverse proxy, normalized paths |
//! | [`serve`](mod@serve) | HTTP server: deadlines, limits, floods, drain |
//! | [`apim`] | policy documents of Azure API Management |
//! | [`reload`] | values that follow their files |
//! | [`danger`] | re-exports that give up a protection |
//!
//! # Feature flags
//!
//! | feature | default | adds |
//! |---|---|---|
//! | `acceptor` | yes | [`acceptor`]: [`MtlsListener`], [`ServerTls`]; implies `inbound` |
//! | `serve` | yes | [`serve`](mod@serve): an HTTP server with bounded connections; implies `acceptor` |
//! | `axum` | yes | [`capture`] for `axum::serve`, and [`ClientCertificate`] as an extractor; implies `inbound` |
//! | `trust` | yes | [`TrustAnchors`] |
//! | `aws-lc-rs` | yes | aws-lc-rs as the crypto provider |
//! | `ring` | | ring as the crypto provider; aws-lc-rs is used when both are on |
//! | `inbound` | | [`inbound`] and [`request`]: the layer alone, without a runtime or a TLS stack |
//! | `authorize` | | `RequireCertificateLayer::authorize`: an asynchronous decision after the rules; implied by `acceptor` and `axum` |
//! | `reason-phrase` | | the reason phrase of a 403 on HTTP/1.1; implied by `acceptor` and `axum` |
//! | `tonic` | | [`MtlsListener::incoming`] and [`acceptor::tonic::TonicCaptureLayer`]; implies `acceptor` |
//! | `axum-server` | | [`acceptor::MtlsAcceptor`] as an acceptor of axum-server; implies `acceptor` |
//! | `identity` | | [`identity`]: [`ClientIdentity`]; with this, `acceptor` or `trust` also [`keys`] |
//! | `outbound` | | [`outbound`]: [`MtlsClient`], [`MtlsConnectorLayer`]; implies `identity` |
//! | `proxy` | | [`proxy`]: [`ReverseProxyLayer`]; implies `outbound` and `inbound` |
//! | `apim` | | [`apim`]: policy documents of Azure API Management; implies `inbound` and `trust` |
//! | `reload` | | replaces policy, identity and trust when their files change |
//! | `metrics` | | counters through the `metrics` facade: `tower_mtls_requests_refused_total{reason}`, `tower_mtls_requests_shadow_refused_total{reason}`, `tower_mtls_handshakes_failed_total{reason}`, `tower_mtls_dangerous_trusts_total{mode}`; with labels `identity` and `upstream`: `tower_mtls_upstream_requests_total`, `tower_mtls_upstream_errors_total{code}`, `tower_mtls_upstream_handshakes_total{resumed}` and the gauge `tower_mtls_upstream_connections`; with `reload` the gauge `tower_mtls_reload_stale{files}` |
//! | `full` | | all of these but `ring` |
//!
//! # Crates in the public interface
//!
//! A new major version of one of these is a new major version of this crate:
//!
//! - `inbound`: `http`, `http-body`, `bytes`, `tower-layer`, `tower-service`, `hyper` (reason phrases);
//! - `acceptor`: `tokio` (sockets), `rustls` (provider, certified keys, verifier traits);
//! - `identity`: `rustls`;
//! - `outbound`: `bytes`, `hyper` (errors and I/O traits), `hyper-util` (`Connection`), `tower` (`retry::Policy`);
//! - `axum`, `axum-server`, `tonic`: the crates of these names, and `futures-core` (`Stream`) with `tonic`.
//!
//! `x509-parser`, `rustls-webpki`, `hyper-rustls`, `tokio-rustls`, `p12-keystore` and the rest are private.
//!
//! # Guarantees
//!
//! 1. A presented certificate is never taken for an admitted one: [`admitted`] and the extractor return the latter only.
//! 2. A missing, unreadable or undecidable certificate is never admitted. Behind
//!    [`allow_missing`](RequireCertificateLayer::allow_missing) and [`shadow`](RequireCertificateLayer::shadow) no
//!    certificate is extracted from such a request.
//! 3. No certificate is read from a request's header.
//! 4. A caller does not learn why it was rejected.
//! 5. A connection or TLS session of one identity never serves another.
//! 6. No process-wide crypto provider is read or installed.
//! 7. No key or password is in an error, a log line or a `Debug` text.
//!
//! Everything that gives up a protection is in the module [`danger`].
#![cfg_attr(docsrs, feature(doc_cfg))]

#[cfg(feature = "acceptor")]
pub mod acceptor;
#[cfg(feature = "apim")]
pub mod apim;
pub mod certificate;
pub mod danger;
mod generation;
#[cfg(any(
    all(doc, not(doctest)),
    all(
        doctest,
        feature = "acceptor",
        feature = "apim",
        feature = "aws-lc-rs",
        feature = "axum",
        feature = "proxy",
        feature = "trust"
    )
))]
pub mod guide;
#[cfg(feature = "identity")]
pub mod identity;
#[cfg(feature = "inbound")]
pub mod inbound;
#[cfg(any(feature = "trust", feature = "acceptor", feature = "identity"))]
pub mod keys;
#[cfg(feature = "outbound")]
pub mod outbound;
pub mod policy;
#[cfg(feature = "proxy")]
pub mod proxy;
#[cfg(feature = "reload")]
pub mod reload;
#[cfg(feature = "inbound")]
pub mod request;
#[cfg(feature = "serve")]
pub mod serve;
mod shared;
#[cfg(any(feature = "acceptor", feature = "outbound"))]
mod workers;

#[cfg(test)]
#[path = "../tests/support/pki.rs"]
mod pki;

#[cfg(all(feature = "acceptor", feature = "axum"))]
pub use acceptor::axum::capture;
#[cfg(feature = "acceptor")]
pub use acceptor::{MtlsListener, ServerTls};
pub use certificate::Certificate;
#[cfg(feature = "identity")]
pub use identity::ClientIdentity;
#[cfg(feature = "inbound")]
pub use inbound::{RequireCertificate, RequireCertificateLayer};
#[cfg(feature = "outbound")]
pub use outbound::{IdentityLayer, MtlsClient, MtlsConnectorLayer, UpstreamTrust};
#[cfg(feature = "trust")]
pub use policy::TrustAnchors;
pub use policy::{Policy, PolicyError, Rule};
#[cfg(feature = "proxy")]
pub use proxy::{ReverseProxyLayer, Upstream};
#[cfg(feature = "inbound")]
pub use request::{ClientCertificate, admitted, remote_addr, verification};
#[cfg(feature = "serve")]
pub use serve::serve;
pub use shared::{Publish, Shared};
#[cfg(feature = "acceptor")]
pub use workers::Workers;

/// The code blocks of README.md, as doctests.
#[cfg(all(
    doctest,
    feature = "acceptor",
    feature = "aws-lc-rs",
    feature = "axum",
    feature = "outbound",
    feature = "trust"
))]
#[doc = include_str!("../README.md")]
struct Readme;
