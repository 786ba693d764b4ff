use std::{
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
};

use super::{admission::Place, connection_state::ConnectionState};

/// A socket that counts written bytes, and fails once its connection is closed from outside.
pub(super) struct Socket {
    tcp: TcpStream,
    written: u64,
    state: Arc<ConnectionState>,
    /// None: the connection belongs to no listener.
    place: Option<Place>,
}

impl Socket {
    pub(super) fn new(tcp: TcpStream, state: Arc<ConnectionState>, place: Option<Place>) -> Self {
        Self { tcp, written: 0, state, place }
    }

    pub(super) fn written(&self) -> u64 {
        self.written
    }

    pub(super) fn state(&self) -> &Arc<ConnectionState> {
        &self.state
    }

    /// The listener hands the connection over.
    pub(super) fn end_handshake(&mut self) {
        if let Some(place) = &mut self.place {
            place.end_handshake();
        }
    }

    /// Fails if the connection has been closed; otherwise `operation` runs, and is woken by the close while it waits.
    fn unless_closed<R>(
        &mut self,
        cx: &mut Context<'_>,
        operation: impl FnOnce(Pin<&mut TcpStream>, &mut Context<'_>) -> Poll<io::Result<R>>,
    ) -> Poll<io::Result<R>> {
        if let Some(error) = self.state.error() {
            return Poll::Ready(Err(error));
        }
        match operation(Pin::new(&mut self.tcp), cx) {
            Poll::Pending => self.state.poll_closed(cx).map(Err),
            ready => ready,
        }
    }

    fn count(&mut self, written: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        if let Poll::Ready(Ok(count)) = &written {
            self.written += *count as u64;
            self.state.count(*count);
        }
        self.state.set_write_blocked(written.is_pending());
        written
    }
}

impl AsyncRead for Socket {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let read = self.unless_closed(cx, |tcp, cx| tcp.poll_read(cx, buf));
        self.state.count(buf.filled().len() - before);
        read
    }
}

impl AsyncWrite for Socket {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let written = self.unless_closed(cx, |tcp, cx| tcp.poll_write(cx, buf));
        self.count(written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = self.unless_closed(cx, |tcp, cx| tcp.poll_write_vectored(cx, bufs));
        self.count(written)
    }

    fn is_write_vectored(&self) -> bool {
        self.tcp.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.unless_closed(cx, |tcp, cx| tcp.poll_flush(cx))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.unless_closed(cx, |tcp, cx| tcp.poll_shutdown(cx))
    }
}
