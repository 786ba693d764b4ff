use std::{
    fmt, io,
    pin::Pin,
    sync::{Arc, OnceLock},
    task::{Context, Poll, ready},
};

use http::Extensions;
use hyper::rt::{Read, ReadBuf, ReadBufCursor, Write};
use hyper_rustls::MaybeHttpsStream;
use hyper_util::client::legacy::connect::{Connected, Connection};
use rustls::AlertDescription;

use super::cause::alert_in;

/// A TLS connection to a back end.
///
/// It remembers the alert with which the back end ended it. On TLS 1.3 a client certificate is refused after
/// the handshake, when a request may be under way, and HTTP/2 tells that request only that its connection is
/// gone.
pub struct BackEndStream<T> {
    tls: MaybeHttpsStream<T>,
    alert: Alert,
    /// A write that failed, while what the back end said before is still to be read.
    failed: Option<io::Error>,
}

/// The alert of a connection, which its requests find among the connection's facts.
#[derive(Debug, Clone, Default)]
struct Alert(Arc<OnceLock<AlertDescription>>);

/// The alert that ended a connection.
pub(super) fn alert_of(connection: &Connected) -> Option<AlertDescription> {
    let mut facts = Extensions::new();
    connection.get_extras(&mut facts);
    facts.get::<Alert>()?.0.get().copied()
}

impl<T: Read + Write + Unpin> BackEndStream<T> {
    pub(super) fn new(tls: MaybeHttpsStream<T>) -> Self {
        Self { tls, alert: Alert::default(), failed: None }
    }

    fn read(&mut self, cx: &mut Context<'_>, buffer: ReadBufCursor<'_>) -> Poll<io::Result<()>> {
        let read = ready!(Pin::new(&mut self.tls).poll_read(cx, buffer));
        if let Some(alert) = read.as_ref().err().and_then(alert_in) {
            let _ = self.alert.0.set(alert);
        }
        Poll::Ready(read)
    }

    /// Writes; if the back end is gone, first hears what it said. The end of a connection makes it readable,
    /// so this does not wait long.
    fn write<W>(
        &mut self,
        cx: &mut Context<'_>,
        write: impl FnOnce(Pin<&mut MaybeHttpsStream<T>>, &mut Context<'_>) -> Poll<io::Result<W>>,
    ) -> Poll<io::Result<W>> {
        let failed = match self.failed.take() {
            Some(failed) => failed,
            None => match ready!(write(Pin::new(&mut self.tls), cx)) {
                Err(error) if is_gone(&error) => error,
                written => return Poll::Ready(written),
            },
        };
        // Without room for data, this reads alerts only.
        if self.read(cx, ReadBuf::new(&mut []).unfilled()).is_pending() {
            self.failed = Some(failed);
            return Poll::Pending;
        }
        Poll::Ready(Err(failed))
    }
}

fn is_gone(error: &io::Error) -> bool {
    use io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset};
    matches!(error.kind(), BrokenPipe | ConnectionAborted | ConnectionReset)
}

impl<T: Read + Write + Connection + Unpin> Connection for BackEndStream<T> {
    fn connected(&self) -> Connected {
        self.tls.connected().extra(self.alert.clone())
    }
}

impl<T: Read + Write + Unpin> Read for BackEndStream<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        self.read(cx, buffer)
    }
}

impl<T: Read + Write + Unpin> Write for BackEndStream<T> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &[u8]) -> Poll<io::Result<usize>> {
        self.write(cx, |tls, cx| tls.poll_write(cx, buffer))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffers: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.write(cx, |tls, cx| tls.poll_write_vectored(cx, buffers))
    }

    fn is_write_vectored(&self) -> bool {
        self.tls.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.write(cx, |tls, cx| tls.poll_flush(cx))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tls).poll_shutdown(cx)
    }
}

impl<T> fmt::Debug for BackEndStream<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BackEndStream").field("alert", &self.alert).finish_non_exhaustive()
    }
}
