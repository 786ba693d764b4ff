//! Sockets that report reads and writes to the connection's [`Activity`], validate HTTP/1 requests, and end floods of
//! HTTP/2 frames.

use std::{
    future::Future,
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::{Instant, Sleep, sleep},
};

use super::{
    activity::Activity,
    http2_frames::{CallerFrames, GO_AWAY_LENGTH},
    observer::OpenConnection,
    strict_http1::Http1Validator,
};
use crate::acceptor::MtlsStream;

/// Maximum time for which a closed connection discards input after an early response or a GOAWAY.
const LINGER: Duration = Duration::from_secs(1);

/// Maximum number of bytes that a closed connection discards.
const MAX_DISCARDED: usize = 64 * 1024 * 1024;

pub(super) struct WatchedIo<T> {
    io: T,
    /// Returns the number of bytes that the operating system has accepted.
    written: fn(&T) -> u64,
    /// Last result of `written`.
    accepted: u64,
    activity: Arc<Activity>,
    /// HTTP/1 only.
    validator: Option<Http1Validator>,
    /// HTTP/2 only.
    frames: Option<CallerFrames>,
    /// Number of bytes that hyper has written.
    sent: u64,
    /// Number of bytes written of the GOAWAY that ends a flood.
    go_away: usize,
    /// End of discarding, after the last response.
    lingering: Option<Pin<Box<Sleep>>>,
    discarded: usize,
    /// A tunnel counts as an open connection.
    _open: OpenConnection,
}

impl<T> WatchedIo<T> {
    /// `written` returns the number of bytes that the operating system has accepted.
    pub(super) fn new(
        io: T,
        written: fn(&T) -> u64,
        activity: Arc<Activity>,
        validator: Option<Http1Validator>,
        open: OpenConnection,
    ) -> Self {
        Self {
            io,
            written,
            accepted: 0,
            activity,
            validator,
            frames: None,
            sent: 0,
            go_away: 0,
            lingering: None,
            discarded: 0,
            _open: open,
        }
    }

    /// Limits the caller's HTTP/2 frames.
    pub(super) fn with_frames(mut self, frames: Option<CallerFrames>) -> Self {
        self.frames = frames;
        self
    }

    /// Reports a write of hyper.
    fn report_write(&mut self, written: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        if let Poll::Ready(Ok(count)) = &written {
            self.sent += *count as u64;
        }
        self.report(written)
    }

    /// Reports a write, flush or shutdown. TLS buffers writes, so only the socket's count shows progress.
    fn report<R>(&mut self, result: Poll<R>) -> Poll<R> {
        let accepted = (self.written)(&self.io);
        if result.is_pending() {
            self.activity.write_blocked(accepted);
        } else if accepted != self.accepted {
            self.activity.written(accepted);
        }
        self.accepted = accepted;
        result
    }
}

impl WatchedIo<MtlsStream> {
    /// Waits until a byte or the end of file can be read.
    pub(super) fn poll_readable(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.io.poll_readable(cx)
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for WatchedIo<T> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let Self { io, activity, validator, frames, sent, .. } = self.get_mut();
        if let Some(frames) = frames {
            let before = buf.filled().len();
            if !frames.has_ended() {
                ready!(Pin::new(io).poll_read(cx, buf))?;
                let length = frames.scan(&buf.filled()[before..], *sent, || Instant::now().into_std());
                buf.set_filled(before + length);
                activity.input.set_block_since(frames.head_since());
                if let Some(flood) = frames.flood() {
                    activity.input.flood_begins(flood);
                }
            }
            // After a flood the end of file: hyper flushes whole frames, drops its requests and shuts down.
            return Poll::Ready(Ok(()));
        }
        if let Some(read) = validator.as_mut().and_then(|validator| validator.read(buf)) {
            return read;
        }
        let before = buf.filled().len();
        // Bytes within a request can belong to a body that is discarded after its response.
        let is_between_requests = !validator.as_ref().is_some_and(Http1Validator::is_within_request);
        ready!(Pin::new(io).poll_read(cx, buf))?;
        if is_between_requests && buf.filled().len() > before {
            activity.received();
        }
        match validator {
            Some(validator) if !activity.is_tunnel() => {
                let validated = validator.validate(buf, before);
                activity.set_partial_head(validator.is_within_head());
                activity.set_partial_request(validator.is_within_request());
                if let Some(rejection) = validator.head_rejection() {
                    activity.input.reject_head(rejection);
                }
                Poll::Ready(validated)
            }
            _ => Poll::Ready(Ok(())),
        }
    }
}

impl<T: AsyncRead + AsyncWrite + Unpin> AsyncWrite for WatchedIo<T> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.io).poll_write(cx, buf);
        self.report_write(written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.io).poll_write_vectored(cx, bufs);
        self.report_write(written)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.io).poll_flush(cx);
        ready!(self.report(flushed))?;
        self.activity.flush.done();
        Poll::Ready(Ok(()))
    }

    /// Shuts down the sending side, after a flood by GOAWAY, and discards the rest of an upload or flood for a limited
    /// time. Closing a socket with unread bytes resets it, which can discard a response that the caller has not read yet.
    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.lingering.is_none() {
            let flood = this.frames.as_ref().filter(|frames| frames.has_ended()).map(CallerFrames::go_away);
            if let Some(go_away) = flood {
                while this.go_away < GO_AWAY_LENGTH {
                    let written = Pin::new(&mut this.io).poll_write(cx, &go_away[this.go_away..]);
                    match ready!(this.report(written))? {
                        0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                        count => this.go_away += count,
                    }
                }
            }
            let shut_down = Pin::new(&mut this.io).poll_shutdown(cx);
            ready!(this.report(shut_down))?;
            let has_unread =
                flood.is_some() || this.validator.as_ref().is_some_and(Http1Validator::is_within_request);
            if this.activity.is_tunnel() || !has_unread {
                return Poll::Ready(Ok(()));
            }
        }
        let Self { io, lingering, discarded, .. } = this;
        let lingering = lingering.get_or_insert_with(|| Box::pin(sleep(LINGER)));
        while lingering.as_mut().poll(cx).is_pending() {
            let mut bytes = [0; 4_096];
            let mut unread = ReadBuf::new(&mut bytes);
            let read = ready!(Pin::new(&mut *io).poll_read(cx, &mut unread));
            *discarded += unread.filled().len();
            if read.is_err() || unread.filled().is_empty() || *discarded > MAX_DISCARDED {
                break;
            }
        }
        Poll::Ready(Ok(()))
    }
}
