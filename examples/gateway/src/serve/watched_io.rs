//! A socket that tells when bytes arrive, and on HTTP/1 hands on only what can be read in one way.

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
    time::{Sleep, sleep},
};

use super::{activity::Activity, strict_http1::Guard};

/// How long a caller has to read an answer that came before its request was whole.
const LINGER: Duration = Duration::from_secs(5);

#[derive(Debug)]
pub(super) struct WatchedIo<T> {
    io: T,
    activity: Arc<Activity>,
    /// On HTTP/1 connections.
    guard: Option<Guard>,
    /// Until when it is read on behind its last answer.
    lingering: Option<Pin<Box<Sleep>>>,
}

impl<T> WatchedIo<T> {
    pub(super) fn new(io: T, activity: Arc<Activity>, guard: Option<Guard>) -> Self {
        Self { io, activity, guard, lingering: None }
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for WatchedIo<T> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let Self { io, activity, guard, .. } = self.get_mut();
        if let Some(read) = guard.as_mut().and_then(|guard| guard.read(buf)) {
            return Poll::Ready(read);
        }
        let before = buf.filled().len();
        ready!(Pin::new(io).poll_read(cx, buf))?;
        if buf.filled().len() > before {
            activity.received();
        }
        match guard {
            Some(guard) if !activity.is_tunnel() => Poll::Ready(guard.examine(buf, before)),
            _ => Poll::Ready(Ok(())),
        }
    }
}

impl<T: AsyncRead + AsyncWrite + Unpin> AsyncWrite for WatchedIo<T> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(Pin::new(&mut self.io).poll_flush(cx))?;
        self.activity.flush.done();
        Poll::Ready(Ok(()))
    }

    /// To close a socket on which octets are unread resets it, and may take away an answer that its caller has not
    /// read yet: who was answered in the middle of an upload is read on for a while, to no purpose.
    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Self { io, activity, guard, lingering } = self.get_mut();
        if lingering.is_none() {
            ready!(Pin::new(&mut *io).poll_shutdown(cx))?;
            if activity.is_tunnel() || !guard.as_ref().is_some_and(Guard::is_within_request) {
                return Poll::Ready(Ok(()));
            }
        }
        let lingering = lingering.get_or_insert_with(|| Box::pin(sleep(LINGER)));
        while lingering.as_mut().poll(cx).is_pending() {
            let mut octets = [0; 4_096];
            let mut unread = ReadBuf::new(&mut octets);
            let read = ready!(Pin::new(&mut *io).poll_read(cx, &mut unread));
            if read.is_err() || unread.filled().is_empty() {
                break;
            }
        }
        Poll::Ready(Ok(()))
    }
}
