//! Observation of connections.

use std::sync::Arc;

/// Observer of the connections of a server, for metrics. Called from the tasks of the connections; must not block.
///
/// ```
/// use std::sync::atomic::{AtomicUsize, Ordering};
/// use tower_mtls::serve::{ConnectionObserver, TimeoutKind};
///
/// #[derive(Debug, Default)]
/// struct Open(AtomicUsize);
///
/// impl ConnectionObserver for Open {
///     fn opened(&self) {
///         self.0.fetch_add(1, Ordering::Relaxed);
///     }
///
///     fn closed(&self) {
///         self.0.fetch_sub(1, Ordering::Relaxed);
///     }
///
///     fn timed_out(&self, timeout: TimeoutKind) {
///         eprintln!("connection timed out: {}", timeout.as_str());
///     }
/// }
/// ```
pub trait ConnectionObserver: Send + Sync {
    /// A connection has completed its handshake.
    fn opened(&self);

    /// A connection has been closed, tunnels included.
    fn closed(&self);

    /// A connection is closed for this reason.
    fn timed_out(&self, timeout: TimeoutKind);
}

/// Timeout that closes a connection.
///
/// ```
/// use tower_mtls::serve::TimeoutKind;
///
/// assert_eq!(TimeoutKind::Unread.as_str(), "unread");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum TimeoutKind {
    /// No request began in time.
    Idle,
    /// A request's head was not completed in time.
    Head,
    /// The caller did not read its responses in time.
    Unread,
}

impl TimeoutKind {
    /// Returns the value of a metric's label.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Idle => "idle",
            Self::Head => "head",
            Self::Unread => "unread",
        }
    }
}

/// An observed connection, until the last clone is dropped.
#[derive(Clone)]
pub(super) struct OpenConnection(Arc<Observed>);

struct Observed(Option<Arc<dyn ConnectionObserver>>);

impl OpenConnection {
    pub(super) fn new(observer: Option<Arc<dyn ConnectionObserver>>) -> Self {
        if let Some(observer) = &observer {
            observer.opened();
        }
        Self(Arc::new(Observed(observer)))
    }

    pub(super) fn timed_out(&self, timeout: TimeoutKind) {
        if let Some(observer) = &self.0.0 {
            observer.timed_out(timeout);
        }
    }
}

impl Drop for Observed {
    fn drop(&mut self) {
        if let Some(observer) = &self.0 {
            observer.closed();
        }
    }
}
