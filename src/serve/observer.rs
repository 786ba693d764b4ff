//! Observation of connections.

use std::sync::Arc;

use super::HeadRejection;

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

    /// The head of a request was rejected. Default: nothing.
    fn head_rejected(&self, rejection: HeadRejection) {
        let _ = rejection;
    }
}

/// Reason for which a connection is closed.
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
    /// The caller read its responses at less than the minimum rate.
    Rate,
    /// The connection reached its maximum age.
    Age,
    /// The caller sent HTTP/2 frames faster than their rate.
    Flood,
}

impl TimeoutKind {
    /// Returns the value of a metric's label.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Idle => "idle",
            Self::Head => "head",
            Self::Unread => "unread",
            Self::Rate => "rate",
            Self::Age => "age",
            Self::Flood => "flood",
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

    #[cold]
    pub(super) fn head_rejected(&self, rejection: HeadRejection) {
        if let Some(observer) = &self.0.0 {
            observer.head_rejected(rejection);
        }
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
