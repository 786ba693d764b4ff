//! Support of `axum::serve`.

use std::{
    future::Future,
    io,
    net::SocketAddr,
    pin::Pin,
    task::{Context, Poll, ready},
};

use axum::{
    extract::connect_info::Connected,
    serve::{IncomingStream, Listener},
};
use pin_project_lite::pin_project;
use tower_service::Service;

use super::{MtlsListener, MtlsStream};
use crate::{certificate::Presented, request::Capture};

impl Listener for MtlsListener {
    type Io = MtlsStream;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (MtlsStream, SocketAddr) {
        Self::accept(self).await
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        Ok(Self::local_addr(self))
    }
}

/// Passes the certificate that each connection's caller presented to the layers of an application, for `axum::serve`.
///
/// Takes a `Router`, or the result of `Router::into_make_service_with_connect_info::<RemoteAddr>()` with
/// [`RemoteAddr`] as the caller's address.
///
/// ```no_run
/// # async fn serve(tls: tower_mtls::ServerTls) -> std::io::Result<()> {
/// use axum::{Router, extract::ConnectInfo, routing::get};
/// use tower_mtls::{MtlsListener, acceptor::axum::RemoteAddr, capture};
///
/// async fn remote(ConnectInfo(remote): ConnectInfo<RemoteAddr>) -> String {
///     remote.0.to_string()
/// }
///
/// let app: Router = Router::new().route("/", get(remote));
/// let app = capture(app.into_make_service_with_connect_info::<RemoteAddr>());
/// axum::serve(MtlsListener::bind("0.0.0.0:8443", tls).await?, app).await
/// # }
/// ```
pub fn capture<M>(application: M) -> CaptureMakeService<M> {
    CaptureMakeService { application }
}

/// Make-service of [`capture`]: builds one [`Capture`] service per connection.
///
/// ```
/// use axum::Router;
/// use tower_mtls::{acceptor::axum::CaptureMakeService, capture};
///
/// struct Server {
///     app: CaptureMakeService<Router>,
/// }
///
/// let server = Server { app: capture(Router::new()) };
/// # drop(server.app);
/// ```
#[derive(Debug, Clone)]
pub struct CaptureMakeService<M> {
    application: M,
}

impl<'a, M, L> Service<IncomingStream<'a, L>> for CaptureMakeService<M>
where
    M: Service<IncomingStream<'a, L>>,
    L: Listener<Io = MtlsStream>,
{
    type Response = Capture<M::Response>;
    type Error = M::Error;
    type Future = MakeFuture<M::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.application.poll_ready(cx)
    }

    fn call(&mut self, stream: IncomingStream<'a, L>) -> Self::Future {
        let (presented, remote) = (stream.io().presented().clone(), stream.io().remote_addr());
        MakeFuture { making: self.application.call(stream), presented: Some(presented), remote }
    }
}

pin_project! {
    /// Future of [`CaptureMakeService`]. Panics if polled after completion.
    ///
    /// ```
    /// use axum::{Router, serve::IncomingStream};
    /// use tower::Service;
    /// use tower_mtls::{MtlsListener, acceptor::axum::{CaptureMakeService, MakeFuture}};
    ///
    /// type Connection<'a> = IncomingStream<'a, MtlsListener>;
    ///
    /// fn make<'a>(
    ///     app: &mut CaptureMakeService<Router>,
    ///     connection: Connection<'a>,
    /// ) -> MakeFuture<<Router as Service<Connection<'a>>>::Future> {
    ///     app.call(connection)
    /// }
    /// ```
    #[derive(Debug)]
    pub struct MakeFuture<F> {
        #[pin]
        making: F,
        presented: Option<Presented>,
        remote: SocketAddr,
    }
}

impl<F, S, E> Future for MakeFuture<F>
where
    F: Future<Output = Result<S, E>>,
{
    type Output = Result<Capture<S>, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let service = ready!(this.making.poll(cx))?;
        Poll::Ready(Ok(Capture::new(
            service,
            this.presented.take().unwrap_or(Presented::Nothing),
            Some(*this.remote),
        )))
    }
}

/// The caller's address as axum connect info: `ConnectInfo<RemoteAddr>` in a handler.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use axum::{Router, body::Body, extract::ConnectInfo, routing::get};
/// use http::Request;
/// use tower::ServiceExt;
/// use tower_mtls::acceptor::axum::RemoteAddr;
///
/// async fn remote(ConnectInfo(remote): ConnectInfo<RemoteAddr>) -> String {
///     remote.0.ip().to_string()
/// }
///
/// // 500 without into_make_service_with_connect_info::<RemoteAddr>().
/// let app: Router = Router::new().route("/", get(remote));
/// assert_eq!(app.oneshot(Request::new(Body::empty())).await?.status(), 500);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct RemoteAddr(pub SocketAddr);

impl Connected<IncomingStream<'_, MtlsListener>> for RemoteAddr {
    fn connect_info(stream: IncomingStream<'_, MtlsListener>) -> Self {
        Self(stream.io().remote_addr())
    }
}
