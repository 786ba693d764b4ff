//! Replacing policy, identity, trust and server certificate while serving.
//!
//! [`Shared<T>`](crate::Shared) contains a value that is replaced as a whole: keep one clone, give another to the layer,
//! client or listener. Build the new value first; only a valid one is published.
//!
//! | value | given to | effective |
//! |---|---|---|
//! | [`Policy`](crate::Policy) | [`RequireCertificateLayer::new`](crate::RequireCertificateLayer::new) | on the next request, also on open connections; on requests in flight within 2 s |
//! | [`ClientIdentity`](crate::ClientIdentity) | [`IdentityLayer::new`](crate::IdentityLayer::new) | on the next request, on a connection of its own; requests in flight finish under the old identity |
//! | [`Identities`](crate::identity::Identities) | [`IdentityLayer::by_reference`](crate::IdentityLayer::by_reference) | on the next request |
//! | [`UpstreamTrust`](crate::UpstreamTrust) | [`IdentityLayer::with_trust`](crate::IdentityLayer::with_trust) | on the next request, on a connection of its own |
//! | [`ServerTls`](crate::ServerTls) | [`MtlsListener`](crate::MtlsListener) | on the next handshake; sessions of the old certificate are not resumed |
//! | [`apim::Document`](crate::apim::Document) | [`ApimPolicyLayer`](crate::apim::ApimPolicyLayer) | on the next request; its guards on requests in flight within 2 s |
//!
//! # Policy
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let certificate = tower_mtls::Certificate::from_der(rcgen::generate_simple_self_signed(vec![])?.cert.der())?;
//! use http::{Request, Response, StatusCode};
//! use tower::{Layer, ServiceExt, service_fn};
//! use tower_mtls::{Policy, RequireCertificateLayer, Shared, certificate::Thumbprint, danger::AssumePresentedLayer};
//!
//! let policy = Shared::new(Policy::builder().thumbprint(certificate.sha256_thumbprint()).build()?);
//! let guarded = RequireCertificateLayer::new(policy.clone()).layer(service_fn(|_: Request<String>| async {
//!     Ok::<_, std::convert::Infallible>(Response::new(String::new()))
//! }));
//! let connection = AssumePresentedLayer::new(certificate).layer(guarded);
//!
//! assert_eq!(connection.clone().oneshot(Request::default()).await?.status(), StatusCode::OK);
//! policy.replace(Policy::builder().thumbprint(Thumbprint::Sha256([0; 32])).build()?);
//! assert_eq!(connection.oneshot(Request::default()).await?.status(), StatusCode::FORBIDDEN); // the same connection
//! # Ok(())
//! # }
//! ```
//!
//! A caller is locked out by a policy without it. [`serve`](crate::serve()) judges requests in flight again every second,
//! and cuts those that would be rejected: long responses, uploads, streams and tunnels. A layer with
//! [`allow_revoked_to_finish`](crate::RequireCertificateLayer::allow_revoked_to_finish) lets them finish. Behind other servers
//! they continue; to end them, drop their connections.
//!
//! # Identity and upstream trust
//!
//! ```no_run
//! # async fn call(pfx: &[u8], renewed_pfx: &[u8], ca: &[u8], new_ca: &[u8]) -> Result<(), Box<dyn std::error::Error>> {
//! # use http_body_util::Empty;
//! # use tower::{Layer, Service, ServiceExt};
//! use tower_mtls::{ClientIdentity, IdentityLayer, MtlsClient, Shared, UpstreamTrust};
//!
//! let identity = Shared::new(ClientIdentity::from_pfx(pfx, "password")?);
//! let trust = Shared::new(UpstreamTrust::from_pem(ca)?);
//! let client: MtlsClient<Empty<bytes::Bytes>> = MtlsClient::builder().build();
//! let mut orders = IdentityLayer::new(identity.clone()).with_trust(trust.clone()).layer(client.clone());
//!
//! let old = identity.current();
//! identity.replace(ClientIdentity::from_pfx(renewed_pfx, "password")?);
//! trust.replace(UpstreamTrust::from_pem(new_ca)?);
//! // The next request presents the renewed certificate, and requires the new CA.
//! let request = http::Request::get("https://orders.internal/42").body(Empty::new())?;
//! let response = orders.ready().await?.call(request).await?;
//!
//! // Optional: closes idle connections of the old identity immediately instead of within a second.
//! client.retire_identity(&old);
//! # drop(response);
//! # Ok(())
//! # }
//! ```
//!
//! Reading a .pfx derives keys, which takes processor time: in an async program read it in `spawn_blocking`.
//!
//! # Server certificate
//!
//! ```no_run
//! # async fn serve(app: axum::Router, chain: &[u8], key: &[u8], renewed: (&[u8], &[u8])) -> Result<(), Box<dyn std::error::Error>> {
//! use tower_mtls::{MtlsListener, ServerTls, Shared, capture};
//!
//! let tls = Shared::new(ServerTls::from_pem(chain, key)?);
//! let listener = MtlsListener::bind("0.0.0.0:8443", tls.clone()).await?;
//! let serving = tokio::spawn(async move { axum::serve(listener, capture(app)).await });
//!
//! tls.replace(ServerTls::from_pem(renewed.0, renewed.1)?); // from the next handshake on
//! serving.await??;
//! # Ok(())
//! # }
//! ```
//!
//! # Files
//!
//! Write certificate and key in any order, but load them together: [`ServerTls::from_pem`](crate::ServerTls::from_pem)
//! and [`ClientIdentity::from_pem`](crate::ClientIdentity::from_pem) reject a key of another certificate, so a half-written
//! pair leaves the old value in place.
//!
//! With the feature `reload`, a `reload::Watcher` follows files across renames and symbolic links, and replaces a
//! `Shared` value when they change. Contents that the function rejects leave the old value in use and are logged.
//!
//! ```no_run
//! # async fn serve(app: axum::Router) -> Result<(), Box<dyn std::error::Error>> {
//! use tower_mtls::{MtlsListener, ServerTls, capture, reload::Watcher};
//!
//! let (tls, watcher) = Watcher::builder()
//!     .add_file("server.pem")
//!     .add_file("server.key")
//!     .load(|files: &[Vec<u8>]| ServerTls::from_pem(&files[0], &files[1]))?;
//! let listener = MtlsListener::bind("0.0.0.0:8443", tls).await?;
//! axum::serve(listener, capture(app)).await?;
//! drop(watcher); // ends with its last use
//! # Ok(())
//! # }
//! ```
