//! State of one connection that its socket, its listener and its HTTP server share.

use std::{
    fmt, io,
    net::SocketAddr,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
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
    /// It was silent for too long.
    Silent = 3,
    /// Its caller is not admitted any more.
    #[cfg(feature = "serve")]
    Revoked = 4,
}

/// Occupancy of an HTTP connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Occupancy {
    /// No request has been in flight for this time.
    Idle(Duration),
    /// A request has just ended: its response can be in the socket's buffers.
    Ending,
    /// All requests in flight have unread responses, which the caller delays.
    Stalled {
        /// Time since the first response became unread.
        since: Duration,
        /// True if a layer admitted one of the requests.
        is_admitted: bool,
    },
    /// The connection has switched to another protocol.
    Tunnel,
    /// Requests are in flight.
    Busy {
        /// Time since the first of them began.
        since: Duration,
        /// True if a layer admitted one of them.
        is_admitted: bool,
    },
}

/// Reports the occupancy of a connection.
pub(crate) trait Occupied: Send + Sync {
    /// Returns the occupancy now.
    fn occupancy(&self) -> Occupancy;
}

/// State of one connection. The socket fails once it is closed.
pub(crate) struct ConnectionState {
    remote: SocketAddr,
    accepted: Instant,
    /// True once the handshake is complete.
    is_established: AtomicBool,
    /// True once a layer has admitted a request.
    is_admitted: AtomicBool,
    /// Bytes that the socket has read and written.
    bytes: AtomicU64,
    /// True while the socket does not accept bytes.
    is_write_blocked: AtomicBool,
    /// Set by an HTTP server that reports it.
    occupied: OnceLock<Arc<dyn Occupied>>,
    /// True once a response has ended the connection.
    #[cfg(feature = "serve")]
    has_last_response: AtomicBool,
    /// A [`Closing`]. 0: open.
    closing: AtomicU8,
    /// Task that reads from or writes to the socket.
    task: AtomicWaker,
}

impl ConnectionState {
    pub(crate) fn new(remote: SocketAddr) -> Self {
        Self {
            remote,
            accepted: Instant::now(),
            is_established: AtomicBool::new(false),
            is_admitted: AtomicBool::new(false),
            bytes: AtomicU64::new(0),
            is_write_blocked: AtomicBool::new(false),
            occupied: OnceLock::new(),
            #[cfg(feature = "serve")]
            has_last_response: AtomicBool::new(false),
            closing: AtomicU8::new(0),
            task: AtomicWaker::new(),
        }
    }

    pub(crate) fn remote(&self) -> SocketAddr {
        self.remote
    }

    /// Returns the time at which the connection was accepted.
    #[cfg(feature = "serve")]
    pub(crate) fn accepted(&self) -> Instant {
        self.accepted
    }

    /// Returns the time since the connection was accepted.
    pub(super) fn age(&self) -> Duration {
        self.accepted.elapsed()
    }

    pub(super) fn establish(&self) {
        self.is_established.store(true, Ordering::Relaxed);
    }

    pub(super) fn is_established(&self) -> bool {
        self.is_established.load(Ordering::Relaxed)
    }

    /// Returns true if a layer has admitted a request of this connection.
    pub(super) fn is_admitted(&self) -> bool {
        self.is_admitted.load(Ordering::Relaxed)
    }

    /// Records that a layer has admitted a request of this connection.
    #[cfg(feature = "serve")]
    pub(crate) fn admitted(&self) {
        if !self.is_admitted() {
            self.is_admitted.store(true, Ordering::Relaxed);
        }
    }

    /// Counts bytes that the socket has read or written.
    pub(super) fn count(&self, bytes: usize) {
        self.bytes.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    /// Returns the number of bytes that the socket has read and written.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    pub(super) fn set_write_blocked(&self, is_write_blocked: bool) {
        if self.is_write_blocked() != is_write_blocked {
            self.is_write_blocked.store(is_write_blocked, Ordering::Relaxed);
        }
    }

    pub(super) fn is_write_blocked(&self) -> bool {
        self.is_write_blocked.load(Ordering::Relaxed)
    }

    /// Sets the source of the occupancy, once.
    #[cfg(feature = "serve")]
    pub(crate) fn set_occupied(&self, occupied: Arc<dyn Occupied>) {
        // Cannot fail: a connection is served once.
        let _ = self.occupied.set(occupied);
    }

    /// Returns the occupancy. None: no HTTP server reports it.
    pub(super) fn occupancy(&self) -> Option<Occupancy> {
        self.occupied.get().map(|occupied| occupied.occupancy())
    }

    /// Records that a response ends the connection: it accepts no further requests.
    #[cfg(feature = "serve")]
    pub(crate) fn set_last_response(&self) {
        self.has_last_response.store(true, Ordering::Release);
    }

    #[cfg(feature = "serve")]
    pub(crate) fn has_last_response(&self) -> bool {
        self.has_last_response.load(Ordering::Acquire)
    }

    /// Closes the connection: the next operation of its socket fails. Returns false if it was closed before.
    pub(crate) fn close(&self, closing: Closing) -> bool {
        let first = self.closing.compare_exchange(0, closing as u8, Ordering::AcqRel, Ordering::Acquire);
        if first.is_ok() {
            self.task.wake();
        }
        first.is_ok()
    }

    /// Returns the reason for which the connection was closed. None: it is open.
    pub(crate) fn closing(&self) -> Option<Closing> {
        match self.closing.load(Ordering::Acquire) {
            1 => Some(Closing::Evicted),
            2 => Some(Closing::Drained),
            3 => Some(Closing::Silent),
            #[cfg(feature = "serve")]
            4 => Some(Closing::Revoked),
            _ => None,
        }
    }

    /// Ready with an error once the connection is closed. Registers the task otherwise.
    pub(crate) fn poll_closed(&self, cx: &mut Context<'_>) -> Poll<io::Error> {
        self.task.register(cx.waker());
        self.error().map_or(Poll::Pending, Poll::Ready)
    }

    /// Returns the error of all operations of a closed socket.
    pub(super) fn error(&self) -> Option<io::Error> {
        let closing = self.closing()?;
        #[cfg(feature = "serve")]
        if closing == Closing::Revoked {
            let message = "connection closed: its caller is not admitted any more";
            return Some(io::Error::new(io::ErrorKind::PermissionDenied, message));
        }
        let message = match closing {
            Closing::Evicted => "connection closed: other callers need its place",
            Closing::Drained => "connection closed: the listener has been drained",
            _ => "connection closed: it was silent for too long",
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
