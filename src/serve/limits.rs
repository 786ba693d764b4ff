//! Limits of HTTP connections.

use std::time::Duration;

use crate::shared::sealed::Sealed;

/// Limits of the HTTP connections of a server. Replaced at run time through a [`Shared`](crate::Shared): effective on
/// open connections within a second.
///
/// ```
/// use std::time::Duration;
/// use tower_mtls::serve::HttpLimits;
///
/// let limits = HttpLimits::default().with_idle_timeout(Duration::from_secs(15)).with_body_timeout(None);
/// # drop(limits);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub struct HttpLimits {
    pub(super) head_timeout: Duration,
    pub(super) idle_timeout: Duration,
    pub(super) body_timeout: Option<Duration>,
    pub(super) drain_timeout: Duration,
}

impl Default for HttpLimits {
    fn default() -> Self {
        Self {
            head_timeout: Duration::from_secs(10),
            idle_timeout: Duration::from_secs(60),
            body_timeout: Some(Duration::from_secs(60)),
            drain_timeout: Duration::from_secs(30),
        }
    }
}

impl HttpLimits {
    /// Time from the first to the last byte of a request's head. Default: 10 seconds.
    pub fn with_head_timeout(mut self, timeout: Duration) -> Self {
        self.head_timeout = timeout;
        self
    }

    /// Time without a request after which a connection is closed. Default: 60 seconds.
    pub fn with_idle_timeout(mut self, timeout: Duration) -> Self {
        self.idle_timeout = timeout;
        self
    }

    /// Time for which a caller reads nothing while bytes of a response are ready. Default: 60 seconds. None: unlimited.
    pub fn with_body_timeout(mut self, timeout: Option<Duration>) -> Self {
        self.body_timeout = timeout;
        self
    }

    /// Time for requests in flight to finish after the shutdown began. Default: 30 seconds.
    pub fn with_drain_timeout(mut self, timeout: Duration) -> Self {
        self.drain_timeout = timeout;
        self
    }
}

impl Sealed for HttpLimits {}
