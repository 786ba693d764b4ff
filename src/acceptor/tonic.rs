//! Support of tonic.
//!
//! ```no_run
//! # #[cfg(feature = "serve")]
//! # async fn run(tls: tower_mtls::ServerTls, policy: tower_mtls::Policy, routes: tonic::service::Routes)
//! # -> Result<(), Box<dyn std::error::Error>> {
//! use tower::ServiceBuilder;
//! use tower_mtls::{MtlsListener, RequireCertificateLayer, acceptor::tonic::TonicCaptureLayer, serve};
//!
//! let listener = MtlsListener::bind("127.0.0.1:8443", tls).await?;
//! let service = ServiceBuilder::new()
//!     .layer(TonicCaptureLayer::new())
//!     .layer(RequireCertificateLayer::new(policy))
//!     .service(routes);
//! serve(listener, service).await;
//! # Ok(())
//! # }
//! ```
//!
//! tonic's own server takes [`MtlsListener::incoming`] in `serve_with_incoming`; see [`acceptor`](super#other-servers) for
//! the limits that it lacks. In a method, `tower_mtls::admitted(request.extensions())` returns the caller's certificate, and
//! `request.remote_addr()` its address. Rejected callers get `PERMISSION_DENIED`.

use std::{
    io,
    net::SocketAddr,
    pin::Pin,
    task::{Context, Poll},
};

use futures_core::Stream;
use http::{Extensions, Request};
#[cfg(any(feature = "aws-lc-rs", feature = "ring"))]
use tonic::transport::server::TlsConnectInfo;
use tonic::transport::server::{Connected, TcpConnectInfo};
use tower_layer::Layer;
use tower_service::Service;

use super::{MtlsListener, MtlsStream};
use crate::{
    certificate::Presented,
    request::{captured::capture_into, remote_addr},
};

/// Connection info that tonic passes to each request.
///
/// ```
/// use tonic::transport::server::Connected;
/// use tower_mtls::acceptor::{MtlsStream, tonic::MtlsConnectInfo};
///
/// fn connect_info(stream: &MtlsStream) -> MtlsConnectInfo {
///     stream.connect_info()
/// }
/// ```
#[derive(Debug, Clone)]
pub struct MtlsConnectInfo {
    presented: Presented,
    tcp: TcpConnectInfo,
}

impl Connected for MtlsStream {
    type ConnectInfo = MtlsConnectInfo;

    fn connect_info(&self) -> MtlsConnectInfo {
        let tcp = TcpConnectInfo { local_addr: self.local_addr(), remote_addr: Some(self.remote_addr()) };
        MtlsConnectInfo { presented: self.presented().clone(), tcp }
    }
}

impl MtlsListener {
    /// Returns the accepted connections as a stream for tonic's `serve_with_incoming`.
    pub fn incoming(self) -> Incoming {
        Incoming(self)
    }
}

/// Accepted connections as a stream. Never ends and never fails.
///
/// ```
/// # #[cfg(feature = "aws-lc-rs")]
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let made = rcgen::generate_simple_self_signed(["localhost".to_owned()])?;
/// # let (chain, key) = (made.cert.pem(), made.signing_key.serialize_pem());
/// # let mut roots = rustls::RootCertStore::empty();
/// # roots.add(made.cert.der().clone())?;
/// # let provider = std::sync::Arc::new(rustls::crypto::aws_lc_rs::default_provider());
/// # let config = rustls::ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
/// # let config = config.with_root_certificates(roots).with_no_client_auth();
/// # let connector = tokio_rustls::TlsConnector::from(std::sync::Arc::new(config));
/// use std::{future::poll_fn, pin::Pin};
/// use futures_core::Stream;
/// use tower_mtls::{MtlsListener, ServerTls, acceptor::tonic::Incoming};
///
/// let listener = MtlsListener::bind("127.0.0.1:0", ServerTls::from_pem(chain, key)?).await?;
/// let socket = tokio::net::TcpStream::connect(listener.local_addr()).await?;
/// # let client = tokio::spawn(async move { connector.connect("localhost".try_into().unwrap(), socket).await });
/// let mut incoming: Incoming = listener.incoming();
/// let accepted = poll_fn(|cx| Pin::new(&mut incoming).poll_next(cx)).await;
/// assert!(accepted.is_some_and(|stream| stream.is_ok()));
/// # client.await??;
/// # Ok(())
/// # }
/// # #[cfg(not(feature = "aws-lc-rs"))]
/// # fn main() {}
/// ```
#[derive(Debug)]
pub struct Incoming(MtlsListener);

impl Stream for Incoming {
    type Item = io::Result<MtlsStream>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.0.poll_accept(cx).map(|stream| Some(Ok(stream)))
    }
}

/// Passes the presented certificate to inner layers. Belongs outside of
/// [`RequireCertificateLayer`](crate::RequireCertificateLayer).
///
/// Supports connections of [`MtlsListener::incoming`], requests of [`serve`](crate::serve()), which need it for
/// `request.remote_addr()` only, and tonic's own TLS (`ServerTlsConfig` with a client CA), whose
/// certificates are parsed on every request, since tonic caches no parsed certificate.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use std::convert::Infallible;
/// use http::{Request, Response};
/// use tower::{ServiceBuilder, ServiceExt, service_fn};
/// use tower_mtls::{Policy, RequireCertificateLayer, acceptor::tonic::TonicCaptureLayer};
///
/// let policy = Policy::builder().thumbprint("CA06F56B258B7A0D4F2B05470939478651151984".parse()?).build()?;
/// let service = ServiceBuilder::new()
///     .layer(TonicCaptureLayer::new())
///     .layer(RequireCertificateLayer::new(policy))
///     .service(service_fn(|_: Request<()>| async { Ok::<_, Infallible>(Response::new(String::new())) }));
/// // No certificate was captured: the request comes from another listener.
/// assert_eq!(service.oneshot(Request::new(())).await?.status(), 500);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, Copy, Default)]
pub struct TonicCaptureLayer(());

impl TonicCaptureLayer {
    /// Creates the layer.
    ///
    /// ```
    /// use tower::Layer;
    /// use tower_mtls::acceptor::tonic::TonicCaptureLayer;
    ///
    /// assert_eq!(TonicCaptureLayer::new().layer("inner").into_inner(), "inner");
    /// ```
    pub fn new() -> Self {
        Self::default()
    }
}

impl<S> Layer<S> for TonicCaptureLayer {
    type Service = TonicCapture<S>;

    fn layer(&self, inner: S) -> Self::Service {
        TonicCapture { inner }
    }
}

/// Service of [`TonicCaptureLayer`].
///
/// ```
/// use tower::Layer;
/// use tower_mtls::acceptor::tonic::{TonicCapture, TonicCaptureLayer};
///
/// let service: TonicCapture<&str> = TonicCaptureLayer::new().layer("inner");
/// assert_eq!(*service.get_ref(), "inner");
/// ```
#[derive(Debug, Clone)]
pub struct TonicCapture<S> {
    inner: S,
}

impl<S> TonicCapture<S> {
    /// Wraps a service, as [`TonicCaptureLayer`] does.
    ///
    /// ```
    /// use tower_mtls::acceptor::tonic::TonicCapture;
    ///
    /// assert_eq!(TonicCapture::new("inner").into_inner(), "inner");
    /// ```
    pub fn new(inner: S) -> Self {
        Self { inner }
    }

    /// Returns the layer of this service.
    ///
    /// ```
    /// use tower::Layer;
    /// use tower_mtls::acceptor::tonic::TonicCapture;
    ///
    /// assert_eq!(TonicCapture::<&str>::layer().layer("inner").into_inner(), "inner");
    /// ```
    pub fn layer() -> TonicCaptureLayer {
        TonicCaptureLayer::new()
    }

    /// Returns a reference to the inner service.
    pub fn get_ref(&self) -> &S {
        &self.inner
    }

    /// Returns a mutable reference to the inner service.
    pub fn get_mut(&mut self) -> &mut S {
        &mut self.inner
    }

    /// Returns the inner service.
    pub fn into_inner(self) -> S {
        self.inner
    }
}

impl<S, B> Service<Request<B>> for TonicCapture<S>
where
    S: Service<Request<B>>,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<B>) -> Self::Future {
        let extensions = request.extensions_mut();
        if let Some(MtlsConnectInfo { presented, tcp }) = extensions.remove::<MtlsConnectInfo>() {
            capture_into(extensions, presented, tcp.remote_addr);
            // tonic reads the caller's address from it.
            extensions.insert(tcp);
        } else if let Some(remote) = remote_addr(extensions) {
            // Captured by `serve`.
            extensions.insert(TcpConnectInfo { local_addr: None, remote_addr: Some(remote) });
        } else if let Some((presented, remote)) = presented_to_tonic(extensions) {
            capture_into(extensions, presented, remote);
        }
        self.inner.call(request)
    }
}

/// Returns the certificate that a caller presented to tonic's own TLS.
#[cfg(any(feature = "aws-lc-rs", feature = "ring"))]
fn presented_to_tonic(extensions: &Extensions) -> Option<(Presented, Option<SocketAddr>)> {
    let tls = extensions.get::<TlsConnectInfo<TcpConnectInfo>>()?;
    let chain = tls.peer_certs().unwrap_or_default();
    Some((Presented::from_der_chain(chain.iter().map(AsRef::as_ref)), tls.get_ref().remote_addr))
}

#[cfg(not(any(feature = "aws-lc-rs", feature = "ring")))]
fn presented_to_tonic(_extensions: &Extensions) -> Option<(Presented, Option<SocketAddr>)> {
    None
}
