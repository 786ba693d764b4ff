//! A TLS listener that requests client certificates and verifies possession of their keys.
//!
//! Built on [`keys`](crate::keys), on [`request`](crate::request), in which it records the presented certificate, and on
//! [`policy`](crate::policy) for the trust of a handshake that requires certificates.
//!
//! The handshake verifies nothing else: chain, dates and names are judged by
//! [`RequireCertificateLayer`](crate::RequireCertificateLayer) on every request, so a rejection is an HTTP
//! response and each route can trust other authorities. A connection is accepted when
//! 1. its TLS handshake (1.2 with extended master secret, or 1.3) completes within the handshake timeout;
//! 2. the caller presents no certificate, or presents one and proves possession of its private key.
//!
//! A certificate whose public key is unreadable or unsupported ends in a TLS alert. All other certificates reach the
//! policy, expired, self-signed and version 1 certificates included.
//!
//! A listener can be stricter: with [`ClientCertificateRequest::Require`] a handshake without a certificate fails, and with
//! [`client_trust`](ServerTlsBuilder::client_trust) one whose chain is not trusted. Callers then get a TLS alert without a
//! reason in place of an HTTP response. A resumed session skips this check, so the layer remains necessary.
//!
//! ```no_run
//! # #[cfg(all(feature = "axum", feature = "serve", feature = "trust"))]
//! # async fn run(app: ::axum::Router, [ca, chain, key]: [&[u8]; 3]) -> Result<(), Box<dyn std::error::Error>> {
//! use tower_mtls::{
//!     MtlsListener, Policy, RequireCertificateLayer, ServerTls, TrustAnchors, acceptor::ClientCertificateRequest, serve,
//! };
//!
//! let roots = TrustAnchors::from_pem(ca)?;
//! let tls = ServerTls::builder()
//!     .certificate_pem(chain, key)
//!     .client_certificate(ClientCertificateRequest::Require)
//!     .client_trust(roots.clone())
//!     .build()?;
//! // Judges each request, those of resumed sessions too.
//! let app = app.layer(RequireCertificateLayer::new(Policy::builder().trust(roots).build()?));
//! serve(MtlsListener::bind("127.0.0.1:8443", tls).await?, app).await;
//! # Ok(())
//! # }
//! ```
//!
//! Handshakes run concurrently in separate tasks, limited in number and time, so that stalled callers do not delay
//! others. TLS requests the certificate before the path is known: browsers show a prompt for every host of the
//! listener, so use a separate listener with [`ClientCertificateRequest::Off`] for them. HTTP/2 and HTTP/1.1 are offered by
//! ALPN: a server without HTTP/2 must set [`only_http1`](ServerTlsBuilder::only_http1).
//!
//! A renewed certificate is published by [`Shared::replace`](crate::Shared::replace), without a restart.
//! [`MtlsListener::drain`] ends a listener without losing callers whose handshake is in progress.
//!
//! [`serve`](crate::serve()) is the server for these listeners.
//!
//! # Other servers
//!
//! `axum::serve`, tonic's `serve_with_incoming` and plain hyper-util can serve a listener too. Its
//! [`ListenerLimits`] then bound connections, handshakes, the time without any byte, and the time for which a caller
//! accepts no bytes. They cannot bound what only an HTTP server sees, and `axum::serve` sets no limit for it:
//!
//! - the time of a request's head: a byte a minute keeps a connection, as there is no head timeout;
//! - bodies that a caller does not send or read, beside other HTTP/2 streams that progress;
//! - floods of HTTP/2 frames, other than those that h2 detects;
//! - memory: 400 KB are buffered for each HTTP/2 stream;
//! - requests in flight: fair admission cannot tell them from idle connections, and closes either.
//!
//! With axum ([`capture`](axum::capture) passes the presented certificate to the layers):
//!
//! ```no_run
//! # #[cfg(feature = "axum")]
//! # async fn serve(app: ::axum::Router, chain: &[u8], key: &[u8]) -> Result<(), Box<dyn std::error::Error>> {
//! use tower_mtls::{MtlsListener, ServerTls, capture};
//!
//! let tls = ServerTls::from_pem(chain, key)?;
//! ::axum::serve(MtlsListener::bind("127.0.0.1:8443", tls).await?, capture(app)).await?;
//! # Ok(())
//! # }
//! ```
//!
//! With plain hyper-util, `stream.capture(service)` does the same for one connection:
//!
//! ```no_run
//! # async fn serve<S>(mut listener: tower_mtls::MtlsListener, service: S)
//! # where S: tower::Service<http::Request<hyper::body::Incoming>, Response = http::Response<String>, Error = std::convert::Infallible> + Clone + Send + 'static,
//! # S::Future: Send + 'static {
//! # use hyper_util::{rt::{TokioExecutor, TokioIo}, server::conn::auto, service::TowerToHyperService};
//! loop {
//!     let (stream, _) = listener.accept().await;
//!     let service = TowerToHyperService::new(stream.capture(service.clone()));
//!     tokio::spawn(async move {
//!         auto::Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(stream), service).await
//!     });
//! }
//! # }
//! ```

mod accepting;
mod admission;
#[cfg(feature = "axum")]
pub mod axum;
#[cfg(feature = "axum-server")]
mod axum_server;
mod client_key;
#[cfg(feature = "trust")]
mod client_trust;
mod connection_state;
mod handshake;
mod limits;
mod listener;
mod recent_certificates;
mod server_tls;
mod server_tls_builder;
mod server_tls_error;
mod sni;
mod socket;
mod stream;
#[cfg(feature = "tonic")]
pub mod tonic;
mod verifier;

#[cfg(feature = "serve")]
pub(crate) use self::{
    admission::Connections,
    connection_state::{Closing, ConnectionState, Occupancy, Occupied},
};
pub use self::{
    handshake::MtlsAcceptor,
    limits::ListenerLimits,
    listener::{DrainingListener, MtlsListener},
    server_tls::{ClientCertificateRequest, ServerTls, TlsVersion},
    server_tls_builder::ServerTlsBuilder,
    server_tls_error::ServerTlsError,
    stream::MtlsStream,
    verifier::PossessionVerifier,
};
