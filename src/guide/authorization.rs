//! Authorization: rules, and your own decision after them.
//!
//! Authentication is the policy's: it proves the certificate by a chain or a pin. Authorization decides what this caller
//! may do. From the simplest to the most flexible:
//!
//! | where | use it for | input |
//! |---|---|---|
//! | a policy per route | fixed names per route | the certificate |
//! | [`Rule::custom`](crate::Rule::custom) | lists in memory | the certificate, the time; must not block |
//! | `RequireCertificateLayer::authorize` | a database, a policy service | the request's head and the admitted certificate; async |
//! | the handler or a middleware inside | decisions that need the body or the application's state | everything |
//!
//! The rules run first in all cases, so that only proven names are looked up.
//!
//! # Roles by route
//!
//! A policy per route, by SPIFFE ID. A trust domain is proved by its own CA, so demand the chain as well.
//!
//! ```
//! # use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair, SanType};
//! # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let mut params = CertificateParams::default();
//! # params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
//! # let ca = CertifiedIssuer::self_signed(params, KeyPair::generate()?)?;
//! # let issue = |uri: &str| -> Result<tower_mtls::Certificate, Box<dyn std::error::Error>> {
//! #     let mut params = CertificateParams::default();
//! #     params.subject_alt_names.push(SanType::URI(uri.try_into()?));
//! #     Ok(tower_mtls::Certificate::from_der(params.signed_by(&KeyPair::generate()?, &ca)?.der())?)
//! # };
//! use axum::{Router, body::Body, http::Request, routing::get};
//! use tower::{Layer, ServiceExt};
//! use tower_mtls::{Policy, RequireCertificateLayer, Rule, TrustAnchors, danger::AssumePresentedLayer};
//!
//! let anchors = TrustAnchors::from_pem(ca.pem().as_bytes())?;
//! let workloads = Policy::builder()
//!     .trust(anchors.clone())
//!     .require(Rule::spiffe_trust_domain(["contoso.com".parse()?]))
//!     .build()?;
//! let operators = Policy::builder()
//!     .trust(anchors)
//!     .require(Rule::spiffe_id(["spiffe://contoso.com/operator".parse()?]))
//!     .build()?;
//! let orders = Router::new()
//!     .route("/orders", get(|| async { "orders" }))
//!     .route_layer(RequireCertificateLayer::new(workloads));
//! let admin = Router::new()
//!     .route("/admin", get(|| async { "admin" }))
//!     .route_layer(RequireCertificateLayer::new(operators));
//! let app = orders.merge(admin);
//!
//! for (uri, path, expected) in [
//!     ("spiffe://contoso.com/shop", "/orders", 200),
//!     ("spiffe://contoso.com/shop", "/admin", 403),
//!     ("spiffe://contoso.com/operator", "/admin", 200),
//!     ("spiffe://elsewhere.com/operator", "/orders", 403),
//! ] {
//!     let app = AssumePresentedLayer::new(issue(uri)?).layer(app.clone());
//!     assert_eq!(app.oneshot(Request::get(path).body(Body::empty())?).await?.status(), expected, "{uri} {path}");
//! }
//! # Ok(())
//! # }
//! ```
//!
//! # RBAC with a database, in the layer
//!
//! `authorize` runs on every request after the rules, also on open connections. What it puts into `parts.extensions`
//! reaches the handler. `Rejection::not_authorized` responds with 403, `Rejection::unavailable` and a timeout (one
//! second by default) with 503, a panic with 500. The number of concurrent decisions is bounded.
//!
//! For your own responses call `with_refusal` before `authorize`. Its closure receives these rejections too: keep 503 for
//! `RejectionKind::AuthorizationUnavailable` and `RejectionKind::AuthorizationTimeout`.
//!
//! ```
//! # use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair, SanType};
//! # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let mut params = CertificateParams::default();
//! # params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
//! # let ca = CertifiedIssuer::self_signed(params, KeyPair::generate()?)?;
//! # let issue = |uri: &str| -> Result<tower_mtls::Certificate, Box<dyn std::error::Error>> {
//! #     let mut params = CertificateParams::default();
//! #     params.subject_alt_names.push(SanType::URI(uri.try_into()?));
//! #     Ok(tower_mtls::Certificate::from_der(params.signed_by(&KeyPair::generate()?, &ca)?.der())?)
//! # };
//! # #[derive(Clone)]
//! # struct Database;
//! # impl Database {
//! #     async fn role_of(&self, id: &str) -> Result<Option<String>, std::io::Error> {
//! #         match id {
//! #             "spiffe://contoso.com/shop" => Ok(Some("reader".to_owned())),
//! #             "spiffe://contoso.com/down" => Err(std::io::Error::other("the database is down")),
//! #             _ => Ok(None),
//! #         }
//! #     }
//! # }
//! use axum::{Extension, Router, body::Body, http::{Request, request::Parts}, routing::get};
//! use tower::{Layer, ServiceExt};
//! use tower_mtls::{ClientCertificate, Policy, RequireCertificateLayer, TrustAnchors};
//! use tower_mtls::{danger::AssumePresentedLayer, policy::Rejection};
//!
//! #[derive(Clone)]
//! struct Role(String);
//!
//! let database = Database; // a connection pool
//! let policy = Policy::builder().trust(TrustAnchors::from_pem(ca.pem().as_bytes())?).build()?;
//! let guard = RequireCertificateLayer::new(policy).authorize(move |mut parts: Parts, caller: ClientCertificate| {
//!     let database = database.clone();
//!     async move {
//!         let id = caller.spiffe_id().ok_or_else(|| Rejection::not_authorized("no SPIFFE ID"))?;
//!         let role = database.role_of(&id.to_string()).await.map_err(Rejection::unavailable)?;
//!         parts.extensions.insert(Role(role.ok_or_else(|| Rejection::not_authorized("no role"))?));
//!         Ok(parts)
//!     }
//! });
//! let app = Router::new()
//!     .route("/", get(|Extension(Role(role)): Extension<Role>| async { role }))
//!     .route_layer(guard);
//!
//! // `issue` makes a certificate of the CA: `params.subject_alt_names.push(SanType::URI(uri.try_into()?))` with rcgen.
//! for (uri, expected) in [
//!     ("spiffe://contoso.com/shop", 200),
//!     ("spiffe://contoso.com/unknown", 403),
//!     ("spiffe://contoso.com/down", 503),
//! ] {
//!     let app = AssumePresentedLayer::new(issue(uri)?).layer(app.clone());
//!     assert_eq!(app.oneshot(Request::new(Body::empty())).await?.status(), expected, "{uri}");
//! }
//! # Ok(())
//! # }
//! ```
//!
//! # RBAC in an axum middleware
//!
//! The same decision in the application, with its own responses. The middleware is inside of the layer, so
//! [`ClientCertificate`](crate::ClientCertificate) is an admitted certificate; bound the query's time here yourself.
//!
//! ```
//! # use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair, SanType};
//! # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let mut params = CertificateParams::default();
//! # params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
//! # let ca = CertifiedIssuer::self_signed(params, KeyPair::generate()?)?;
//! # let issue = |uri: &str| -> Result<tower_mtls::Certificate, Box<dyn std::error::Error>> {
//! #     let mut params = CertificateParams::default();
//! #     params.subject_alt_names.push(SanType::URI(uri.try_into()?));
//! #     Ok(tower_mtls::Certificate::from_der(params.signed_by(&KeyPair::generate()?, &ca)?.der())?)
//! # };
//! # #[derive(Clone)]
//! # struct Database;
//! # impl Database {
//! #     async fn role_of(&self, id: &str) -> Result<Option<String>, std::io::Error> {
//! #         Ok((id == "spiffe://contoso.com/shop").then(|| "reader".to_owned()))
//! #     }
//! # }
//! use axum::{
//!     Extension, Router, body::Body, extract::{Request, State}, http::StatusCode, middleware::{Next, from_fn_with_state},
//!     response::Response, routing::get,
//! };
//! use tower::{Layer, ServiceExt};
//! use tower_mtls::{ClientCertificate, Policy, RequireCertificateLayer, TrustAnchors, danger::AssumePresentedLayer};
//!
//! #[derive(Clone)]
//! struct Role(String);
//!
//! async fn authorize(
//!     State(database): State<Database>,
//!     caller: ClientCertificate,
//!     mut request: Request,
//!     next: Next,
//! ) -> Result<Response, StatusCode> {
//!     let id = caller.spiffe_id().ok_or(StatusCode::FORBIDDEN)?.to_string();
//!     let role = database.role_of(&id).await.map_err(|_| StatusCode::SERVICE_UNAVAILABLE)?;
//!     request.extensions_mut().insert(Role(role.ok_or(StatusCode::FORBIDDEN)?));
//!     Ok(next.run(request).await)
//! }
//!
//! let policy = Policy::builder().trust(TrustAnchors::from_pem(ca.pem().as_bytes())?).build()?;
//! let app = Router::new()
//!     .route("/", get(|Extension(Role(role)): Extension<Role>| async { role }))
//!     .route_layer(from_fn_with_state(Database, authorize)) // inside
//!     .route_layer(RequireCertificateLayer::new(policy));   // outside: runs first
//!
//! for (uri, expected) in [("spiffe://contoso.com/shop", 200), ("spiffe://contoso.com/unknown", 403)] {
//!     let app = AssumePresentedLayer::new(issue(uri)?).layer(app.clone());
//!     assert_eq!(app.oneshot(Request::new(Body::empty())).await?.status(), expected, "{uri}");
//! }
//! # Ok(())
//! # }
//! ```
//!
//! # Rules over lists in memory
//!
//! [`Rule::custom`](crate::Rule::custom) runs on every request and must not block. Its result is three-valued: an
//! unavailable list is [`Answer::CannotTell`](crate::policy::Answer::CannotTell), which rejects. See the last section of
//! [`migrating`](super::migrating#aspnet) for an example.
