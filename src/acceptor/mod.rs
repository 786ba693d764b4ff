//! A TLS listener that asks every caller for a certificate and makes it prove that it holds the key.
//!
//! The handshake decides nothing else: chain, dates and names are judged by
//! [`RequireCertificateLayer`](crate::RequireCertificateLayer) on every request, so a refusal is an HTTP
//! answer and each route can trust other authorities. A connection is accepted when
//! 1. its TLS handshake (1.2 with extended master secret, or 1.3) completes within the handshake timeout;
//! 2. the caller presents no certificate, or one whose private key it proves to hold.
//!
//! A certificate whose public key cannot be read or used ends in a TLS alert, since nothing can be proved
//! with it. Everything else that proves possession reaches the policy: expired, self-signed and version 1
//! certificates too.
//!
//! Handshakes run concurrently, each in a task of its own, bounded in number and in time, so a caller that
//! stalls delays nobody. TLS asks for the certificate before the path is known: browsers prompt on every
//! name this listener serves, so give people a listener with
//! [`ClientCertificateRequest::Off`]. HTTP/2 and HTTP/1.1 are offered by ALPN: a server that speaks HTTP/1.1 only
//! must say [`only_http1`](ServerTlsBuilder::only_http1).
//!
//! A renewed certificate is published by [`Shared::replace`], without a restart.
//! [`MtlsListener::drain`] ends a listener without losing the callers whose handshake is under way.
//!
//! With axum, one line serves ([`capture`](axum::capture) tells the layers what was presented):
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

#[cfg(feature = "axum")]
pub mod axum;
#[cfg(feature = "axum-server")]
mod axum_server;
mod counted;
mod handshake;
mod listener;
mod pending_handshakes;
mod server_tls;
mod stream;
#[cfg(feature = "tonic")]
pub mod tonic;
mod verifier;

pub use self::{
    handshake::MtlsAcceptor,
    listener::{DrainingListener, ListenerLimits, MtlsListener},
    server_tls::{ClientCertificateRequest, ServerTls, ServerTlsBuilder},
    stream::MtlsStream,
    verifier::PossessionVerifier,
};
