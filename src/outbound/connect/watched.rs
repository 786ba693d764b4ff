//! Upstream connections whose reads and writes are recorded.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::outbound::{cause::alert_in, connection_stats::ConnectionStats};

/// Bytes at once after which more are expected.
const LARGE_READ: usize = 4 * 1024;

/// The stream that HTTP reads and writes, with observations recorded.
pub(in crate::outbound) struct Watched<S> {
    io: S,
    stats: ConnectionStats,
    /// True if the upstream has closed its receiving side.
    write_closed: bool,
    /// Error of a read that also returned bytes.
    read_error: Option<io::Error>,
}

impl<S> Watched<S> {
    pub(in crate::outbound) fn new(io: S) -> Self {
        Self { io, stats: ConnectionStats::default(), write_closed: false, read_error: None }
    }

    pub(super) fn get_ref(&self) -> &S {
        &self.io
    }

    pub(in crate::outbound) fn stats(&self) -> &ConnectionStats {
        &self.stats
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Watched<S> {
    /// Reads what is available of a large body: TLS returns one record at a time, and each read costs the tasks of both
    /// connections a turn.
    fn read(&mut self, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let start = buffer.filled().len();
        loop {
            let before = buffer.filled().len();
            let read = self.read_record(cx, buffer);
            let (has_earlier, is_partial) = (before > start, buffer.filled().len() - before < LARGE_READ);
            match read {
                Poll::Ready(Ok(())) if is_partial || buffer.remaining() == 0 => return Poll::Ready(Ok(())),
                Poll::Ready(Ok(())) => {}
                Poll::Ready(Err(error)) if has_earlier => {
                    self.read_error = Some(error);
                    return Poll::Ready(Ok(()));
                }
                Poll::Pending if has_earlier => return Poll::Ready(Ok(())),
                read => return read,
            }
        }
    }

    fn read_record(&mut self, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if let Some(error) = self.read_error.take() {
            return Poll::Ready(Err(error));
        }
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

#[cfg(test)]
mod tests {
    use tokio_test::{assert_pending, assert_ready_err, assert_ready_ok, io::Builder, task};

    use super::*;

    const RECORD: [u8; 8 * 1024] = [b'a'; 8 * 1024];

    fn read(io: &mut Watched<tokio_test::io::Mock>, size: usize) -> (Poll<io::Result<()>>, usize) {
        let mut bytes = vec![0; size];
        let mut buffer = ReadBuf::new(&mut bytes);
        let read = task::spawn(()).enter(|cx, _| Pin::new(io).poll_read(cx, &mut buffer));
        let length = buffer.filled().len();
        (read, length)
    }

    #[tokio::test]
    async fn large_reads_return_all_available_records() {
        let mock = Builder::new().read(&RECORD).read(&RECORD).read(b"end").read(b"next").build();
        let mut io = Watched::new(mock);
        let (result, length) = read(&mut io, 64 * 1024);
        assert_ready_ok!(result);
        assert_eq!(length, 2 * RECORD.len() + 3);
        let (result, length) = read(&mut io, 64 * 1024);
        assert_ready_ok!(result);
        assert_eq!(length, 4);
        assert_eq!(io.stats().received(), 2 * RECORD.len() as u64 + 7);
    }

    #[tokio::test]
    async fn large_reads_do_not_wait_and_fill_no_more_than_the_buffer() {
        let mock =
            Builder::new().read(&RECORD).read(&RECORD).wait(std::time::Duration::from_secs(60)).build();
        let mut io = Watched::new(mock);
        let (result, length) = read(&mut io, RECORD.len());
        assert_ready_ok!(result);
        assert_eq!(length, RECORD.len());
        let (result, length) = read(&mut io, 64 * 1024);
        assert_ready_ok!(result);
        assert_eq!(length, RECORD.len());
        assert_pending!(read(&mut io, 64 * 1024).0);
        std::mem::forget(io);
    }

    #[tokio::test]
    async fn error_behind_bytes_is_returned_by_the_next_read() {
        let reset = io::Error::from(io::ErrorKind::ConnectionReset);
        let mut io = Watched::new(Builder::new().read(&RECORD).read_error(reset).build());
        let (result, length) = read(&mut io, 64 * 1024);
        assert_ready_ok!(result);
        assert_eq!(length, RECORD.len());
        let error = assert_ready_err!(read(&mut io, 64 * 1024).0);
        assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
        let (result, length) = read(&mut io, 64 * 1024);
        assert_ready_ok!(result);
        assert_eq!(length, 0);
    }
}
