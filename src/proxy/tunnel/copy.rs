//! The bytes of a tunnel, and the time without any.

use std::{
    future, io,
    pin::Pin,
    sync::atomic::{AtomicU64, Ordering},
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf, copy_bidirectional},
    time::{Instant, sleep_until},
};

/// Time of the last byte that moved in either direction.
pub(super) struct Progress {
    start: Instant,
    /// In milliseconds since the start.
    last: AtomicU64,
}

impl Progress {
    pub(super) fn new() -> Self {
        Self { start: Instant::now(), last: AtomicU64::new(0) }
    }

    fn record(&self) {
        let elapsed = u64::try_from(self.start.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.last.store(elapsed, Ordering::Relaxed);
    }

    /// Completes when no byte has moved for `timeout`. None: never.
    pub(super) async fn stalled(&self, timeout: Option<Duration>) -> io::Error {
        let Some(timeout) = timeout else { return future::pending().await };
        loop {
            let last = Duration::from_millis(self.last.load(Ordering::Relaxed));
            let Some(end) = self.start.checked_add(last).and_then(|last| last.checked_add(timeout)) else {
                return future::pending().await;
            };
            if Instant::now() >= end {
                let reason = format!("no bytes for {timeout:?} (tunnel_idle_timeout)");
                return io::Error::new(io::ErrorKind::TimedOut, reason);
            }
            sleep_until(end).await;
        }
    }
}

/// Copies bytes both ways until both sides are closed. A byte counts as progress when the other side takes it, not when
/// it is read. Returns the numbers of bytes to the upstream and to the client.
pub(super) async fn copy<C, U>(client: C, upstream: U, progress: &Progress) -> io::Result<(u64, u64)>
where
    C: AsyncRead + AsyncWrite + Unpin,
    U: AsyncRead + AsyncWrite + Unpin,
{
    let (mut client, mut upstream) = (Recorded { io: client, progress }, Recorded { io: upstream, progress });
    copy_bidirectional(&mut client, &mut upstream).await
}

/// A side of a tunnel, whose writes count as progress.
struct Recorded<'a, T> {
    io: T,
    progress: &'a Progress,
}

impl<T: AsyncRead + Unpin> AsyncRead for Recorded<'_, T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_read(cx, buffer)
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for Recorded<'_, T> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &[u8]) -> Poll<io::Result<usize>> {
        let written = ready!(Pin::new(&mut self.io).poll_write(cx, buffer))?;
        if written > 0 {
            self.progress.record();
        }
        Poll::Ready(Ok(written))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}
