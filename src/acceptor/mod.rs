//! A TLS listener that requests client certificates and verifies possession of their keys.
//!
//! Built on [`keys`](crate::keys), and on [`request`](crate::request), in which it records the presented certificate. It
//! imports no policy.
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
//! Handshakes run concurrently in separate tasks, limited in number and time, so that stalled callers do not delay
//! others. TLS requests the certificate before the path is known: browsers show a prompt for every host of the
//! listener, so use a separate listener with [`ClientCertificateRequest::Off`] for them. HTTP/2 and HTTP/1.1 are offered by
//! ALPN: a server without HTTP/2 must set [`only_http1`](ServerTlsBuilder::only_http1).
//!
//! A renewed certificate is published by [`Shared::replace`](crate::Shared::replace), without a restart.
//! [`MtlsListener::drain`] ends a listener without losing callers whose handshake is in progress.
//!
//! With axum, one line serves ([`capture`](axum::capture) passes the presented certificate to the layers):
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

mod admission;
#[cfg(feature = "axum")]
pub mod axum;
#[cfg(feature = "axum-server")]
mod axum_server;
mod connection_state;
mod handshake;
mod limits;
mod listener;
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
