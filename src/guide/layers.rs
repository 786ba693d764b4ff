//! The order of layers, and how one steers a request.
//!
//! # Order
//!
//! From the caller inwards, and on to the upstream:
//!
//! ```text
//! caller --> capture --> trace --> timeout --> routing --> RequireCertificate --> limit --> compression --> handler
//!
//! handler --> limit --> retry --> IdentityLayer --> MtlsClient --> upstream
//! ```
//!
//! | layer | position | reason |
//! |---|---|---|
//! | [`capture`](crate::capture), [`MtlsStream::capture`](crate::acceptor::MtlsStream::capture), [`TonicCaptureLayer`](crate::acceptor::tonic::TonicCaptureLayer) | outermost | without it [`RequireCertificate`](crate::RequireCertificate) has no certificate to judge and responds with 500 |
//! | tracing, metrics | outside of `RequireCertificate` | they observe rejections, and read the [`Rejection`](crate::policy::Rejection) in the response's extensions |
//! | timeouts; protective limits (rate, load shedding) | outside of `RequireCertificate` | the time in a queue counts towards the timeout; rejected requests count as well |
//! | [`RequireCertificateLayer`](crate::RequireCertificateLayer), [`ApimPolicyLayer`](crate::apim::ApimPolicyLayer) | after routing, before anything that strangers must not reach | each route has its own rules; without it the extractor responds with 500 |
//! | rationing limits (concurrency), buffers, caches | inside of `RequireCertificate` | a rejected request takes no permit |
//! | compression, body limits, body readers | inside of `RequireCertificate` | a rejection is not compressed, and the body of a rejected request is not read |
//! | [`ReverseProxyLayer`](crate::ReverseProxyLayer) | around [`IdentityLayer`](crate::IdentityLayer) | it replaces the target and removes forged headers |
//! | retries | outside of [`IdentityLayer`](crate::IdentityLayer) | each attempt selects the identity again, and uses a replaced one |
//! | [`IdentityLayer`](crate::IdentityLayer) | directly around [`MtlsClient`](crate::MtlsClient) | without it nothing is sent: [`ClientErrorKind::NoIdentity`](crate::outbound::ClientErrorKind::NoIdentity) |
//!
//! **axum.** `Router::route_layer` puts a layer after routing. `Router::layer` would also guard the fallback, so that
//! strangers get 403 on unknown paths instead of 404. Layers that are added later are outside.
//!
//! **Readiness.** `poll_ready` knows no request. In one stack (`ServiceBuilder`, or a service of plain hyper) a
//! concurrency limit inside hands out its permit before the decision, so strangers queue for it as well. In axum each
//! `route_layer` polls the inner service when it is called, after the decision.
//!
//! The example `compose` shows all of it, and asserts it. In one process:
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let new = || -> Result<tower_mtls::Certificate, Box<dyn std::error::Error>> { Ok(tower_mtls::Certificate::from_der(rcgen::generate_simple_self_signed(vec![])?.cert.der())?) };
//! # let (partner, stranger) = (new()?, new()?);
//! use std::time::Duration;
//!
//! use axum::{Router, body::Body, http::{Request, StatusCode}, routing::get};
//! use tower::{Layer, ServiceExt, limit::GlobalConcurrencyLimitLayer};
//! use tower_http::timeout::TimeoutLayer;
//! use tower_mtls::{Policy, RequireCertificateLayer, danger::AssumePresentedLayer};
//!
//! let policy = Policy::builder().thumbprint(partner.sha256_thumbprint()).build()?;
//! let app = Router::new()
//!     .route("/orders", get(|| async { "orders" }))
//!     .route_layer(GlobalConcurrencyLimitLayer::new(64))  // innermost: admitted callers only
//!     .route_layer(RequireCertificateLayer::new(policy))
//!     .route_layer(TimeoutLayer::with_status_code(StatusCode::GATEWAY_TIMEOUT, Duration::from_secs(30)))
//!     .route("/health", get(|| async { "ok" }));          // added after the layers: not guarded
//!
//! for (caller, path, expected) in [
//!     (&partner, "/orders", StatusCode::OK),
//!     (&stranger, "/orders", StatusCode::FORBIDDEN),
//!     (&stranger, "/health", StatusCode::OK),
//!     (&stranger, "/unknown", StatusCode::NOT_FOUND),
//! ] {
//!     let app = AssumePresentedLayer::new(caller.clone()).layer(app.clone());
//!     assert_eq!(app.oneshot(Request::get(path).body(Body::empty())?).await?.status(), expected, "{path}");
//! }
//! # Ok(())
//! # }
//! ```
//!
//! # Steering a request
//!
//! A layer that inserts one of the [extensions of a request](crate::request#extensions) decides in place of the route: put
//! it outside of the layer that uses the extension.
//!
//! ```
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let made = rcgen::generate_simple_self_signed(vec![])?;
//! use http::Request;
//! use tower_mtls::{ClientIdentity, outbound::RequestIdentity, proxy::Rewrite};
//!
//! // In a layer around ReverseProxyLayer and IdentityLayer: this request goes west, under the identity `west`.
//! let west = ClientIdentity::from_pem(made.cert.pem(), made.signing_key.serialize_pem())?;
//! let mut request = Request::get("/orders/42").body(())?;
//! request.extensions_mut().insert(Rewrite::new().upstream("https://orders-west.internal/api".parse()?));
//! request.extensions_mut().insert(RequestIdentity::new(west));
//! # Ok(())
//! # }
//! ```
