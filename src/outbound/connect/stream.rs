use std::{
    fmt, io,
    pin::Pin,
    task::{Context, Poll, ready},
};

use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_util::{
    client::legacy::connect::{Connected, Connection},
    rt::TokioIo,
};
use rustls::HandshakeKind;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_rustls::client::TlsStream;

use crate::outbound::{cause::alert_in, connection_stats::ConnectionStats};

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
        let stats = ConnectionStats::default();
        Self { io: TokioIo::new(Watched { io: tls, stats, write_closed: false }) }
    }

    pub(in crate::outbound) fn stats(&self) -> &ConnectionStats {
        &self.io.inner().stats
    }

    pub(in crate::outbound) fn is_http2(&self) -> bool {
        self.tls().alpn_protocol() == Some(b"h2")
    }

    /// Returns true if the handshake resumed an earlier session.
    pub(in crate::outbound) fn is_resumed(&self) -> bool {
        self.tls().handshake_kind() == Some(HandshakeKind::Resumed)
    }

    fn tls(&self) -> &rustls::ClientConnection {
        self.io.inner().io.get_ref().1
    }
}

impl<T: Connection> Connection for UpstreamStream<T> {
    fn connected(&self) -> Connected {
        let connected = self.io.inner().io.get_ref().0.inner().connected();
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

/// The stream that HTTP reads and writes, with observations recorded.
pub(in crate::outbound) struct Watched<S> {
    io: S,
    stats: ConnectionStats,
    /// True if the upstream has closed its receiving side.
    write_closed: bool,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Watched<S> {
    pub(in crate::outbound) fn new(io: S) -> Self {
        Self { io, stats: ConnectionStats::default(), write_closed: false }
    }

    pub(in crate::outbound) fn stats(&self) -> &ConnectionStats {
        &self.stats
    }

    fn read(&mut self, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let read = ready!(Pin::new(&mut self.io).poll_read(cx, buffer));
        self.stats.record_received(buffer.filled().len() - before);
        if let Some(alert) = read.as_ref().err().and_then(alert_in) {
            self.stats.record_alert(alert);
        }
        match read {
            // rustls reports a missing `close_notify` in this way.
            Err(error)
                if error.kind() == io::ErrorKind::UnexpectedEof
                    && self.stats.allows_missing_close_notify() =>
            {
                Poll::Ready(Ok(()))
            }
            read => Poll::Ready(read),
        }
    }

    /// Writes; once the upstream has closed its receiving side, the rest is discarded. An early response or an alert may
    /// still be unread, and HTTP stops reading after a failed write. The end of the readable data then ends the
    /// connection.
    fn write<W>(
        &mut self,
        cx: &mut Context<'_>,
        discarded: W,
        write: impl FnOnce(Pin<&mut S>, &mut Context<'_>) -> Poll<io::Result<W>>,
    ) -> Poll<io::Result<W>> {
        if self.write_closed {
            return Poll::Ready(Ok(discarded));
        }
        match ready!(write(Pin::new(&mut self.io), cx)) {
            Err(error) if is_disconnect(&error) => {
                self.write_closed = true;
                Poll::Ready(Ok(discarded))
            }
            written => Poll::Ready(written),
        }
    }
}

fn is_disconnect(error: &io::Error) -> bool {
    use io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset};
    matches!(error.kind(), BrokenPipe | ConnectionAborted | ConnectionReset)
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for Watched<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.read(cx, buffer)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Watched<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &[u8]) -> Poll<io::Result<usize>> {
        self.write(cx, buffer.len(), |io, cx| io.poll_write(cx, buffer))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffers: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let length = buffers.iter().map(|buffer| buffer.len()).sum();
        self.write(cx, length, |io, cx| io.poll_write_vectored(cx, buffers))
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.write(cx, (), |io, cx| io.poll_flush(cx))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}
