//! State of one connection that its socket, its listener and its HTTP server share.

use std::{
    fmt, io,
    net::SocketAddr,
    sync::atomic::{AtomicU8, Ordering},
    task::{Context, Poll},
};

use atomic_waker::AtomicWaker;
use tokio::time::Instant;

/// Reason for which a listener closes a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Closing {
    /// Other callers need its place.
    Evicted = 1,
    /// The listener has been drained.
    Drained = 2,
}

/// State of one connection. The socket fails once it is closed.
pub(crate) struct ConnectionState {
    remote: SocketAddr,
    accepted: Instant,
    /// A [`Closing`]. 0: open.
    closing: AtomicU8,
    /// Task that reads from or writes to the socket.
    task: AtomicWaker,
}

impl ConnectionState {
    pub(super) fn new(remote: SocketAddr) -> Self {
        Self { remote, accepted: Instant::now(), closing: AtomicU8::new(0), task: AtomicWaker::new() }
    }

    pub(super) fn remote(&self) -> SocketAddr {
        self.remote
    }

    /// Returns the time at which the connection was accepted.
    pub(super) fn accepted(&self) -> Instant {
        self.accepted
    }

    /// Closes the connection: the next operation of its socket fails.
    pub(crate) fn close(&self, closing: Closing) {
        if self.closing.swap(closing as u8, Ordering::AcqRel) == 0 {
            self.task.wake();
        }
    }

    /// Returns the reason for which the connection was closed. None: it is open.
    pub(crate) fn closing(&self) -> Option<Closing> {
        match self.closing.load(Ordering::Acquire) {
            0 => None,
            reason if reason == Closing::Evicted as u8 => Some(Closing::Evicted),
            _ => Some(Closing::Drained),
        }
    }

    /// Ready with an error once the connection is closed. Registers the task otherwise.
    pub(crate) fn poll_closed(&self, cx: &mut Context<'_>) -> Poll<io::Error> {
        self.task.register(cx.waker());
        self.error().map_or(Poll::Pending, Poll::Ready)
    }

    /// Returns the error of all operations of a closed socket.
    pub(super) fn error(&self) -> Option<io::Error> {
        let message = match self.closing()? {
            Closing::Evicted => "connection closed: other callers need its place",
            Closing::Drained => "connection closed: the listener has been drained",
        };
        Some(io::Error::new(io::ErrorKind::ConnectionAborted, message))
    }
}

impl fmt::Debug for ConnectionState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConnectionState")
            .field("remote", &self.remote)
            .field("closing", &self.closing())
            .finish_non_exhaustive()
    }
}
