use std::{
    fmt, io,
    pin::Pin,
    task::{Context, Poll},
};

use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_util::{
    client::legacy::connect::{Connected, Connection},
    rt::TokioIo,
};
use rustls::HandshakeKind;
use tokio_rustls::client::TlsStream;

use super::watched::Watched;
use crate::outbound::connection_stats::ConnectionStats;

/// A TLS connection to an upstream.
///
/// It records the alert with which the upstream ended it. On TLS 1.3 a client certificate is rejected after the
/// handshake, when a request may be in flight, and HTTP/2 reports to that request only that its connection ended.
///
/// ```
/// use http::Uri;
/// use hyper_util::{client::legacy::connect::HttpConnector, rt::TokioIo};
/// use tokio::net::TcpStream;
/// use tower::ServiceExt;
/// use tower_mtls::outbound::{ClientError, MtlsConnector, UpstreamStream};
///
/// /// Opens a connection, for example for a protocol other than HTTP.
/// async fn open(
///     connector: MtlsConnector<HttpConnector>,
///     upstream: Uri,
/// ) -> Result<UpstreamStream<TokioIo<TcpStream>>, ClientError> {
///     connector.oneshot(upstream).await
/// }
/// ```
pub struct UpstreamStream<T> {
    io: TokioIo<Watched<TlsStream<TokioIo<T>>>>,
}

impl<T> UpstreamStream<T> {
    pub(super) fn new(tls: TlsStream<TokioIo<T>>) -> Self {
        Self { io: TokioIo::new(Watched::new(tls)) }
    }

    pub(in crate::outbound) fn stats(&self) -> &ConnectionStats {
        self.io.inner().stats()
    }

    pub(in crate::outbound) fn is_http2(&self) -> bool {
        self.tls().alpn_protocol() == Some(b"h2")
    }

    /// Returns true if the handshake resumed an earlier session.
    pub(in crate::outbound) fn is_resumed(&self) -> bool {
        self.tls().handshake_kind() == Some(HandshakeKind::Resumed)
    }

    fn tls(&self) -> &rustls::ClientConnection {
        self.io.inner().get_ref().get_ref().1
    }
}

impl<T: Connection> Connection for UpstreamStream<T> {
    fn connected(&self) -> Connected {
        let connected = self.io.inner().get_ref().get_ref().0.inner().connected();
        if self.is_http2() { connected.negotiated_h2() } else { connected }
    }
}

impl<T: Read + Write + Unpin> Read for UpstreamStream<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_read(cx, buffer)
    }
}

impl<T: Read + Write + Unpin> Write for UpstreamStream<T> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(cx, buffer)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffers: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write_vectored(cx, buffers)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}

impl<T> fmt::Debug for UpstreamStream<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UpstreamStream").field("stats", self.stats()).finish_non_exhaustive()
    }
}
