//! Limits of HTTP connections.

use std::time::Duration;

use super::{HeadLimits, ProgressLimits, StreamLimits};
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
    pub(super) min_data_rate: usize,
    pub(super) max_connection_age: Option<Duration>,
    pub(super) drain_timeout: Duration,
    pub(super) stream_idle_timeout: Option<Duration>,
    pub(super) head: HeadLimits,
}

impl Default for HttpLimits {
    fn default() -> Self {
        Self {
            head_timeout: Duration::from_secs(10),
            idle_timeout: Duration::from_secs(60),
            body_timeout: Some(Duration::from_secs(60)),
            min_data_rate: 240,
            max_connection_age: None,
            drain_timeout: Duration::from_secs(30),
            stream_idle_timeout: Some(Duration::from_secs(300)),
            head: HeadLimits::default(),
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

    /// Time for which a caller sends nothing of a request's body that the service awaits, or reads nothing while bytes of
    /// a response are ready. Default: 60 seconds. None: unlimited.
    ///
    /// Only the time counts for which the caller causes the delay: a service that does not read the body, or has not
    /// responded yet, has its own timeouts. It can replace the limits of each [upload](super::Upload), and those of
    /// reading its [response](ProgressLimits).
    pub fn with_body_timeout(mut self, timeout: Option<Duration>) -> Self {
        self.body_timeout = timeout;
        self
    }

    /// Rate in bytes per second at which callers must send request bodies and read responses. Default: 240. 0: none.
    ///
    /// Time counts as for the [body timeout](Self::with_body_timeout). The rate is required after 5 seconds of it.
    pub fn with_min_data_rate(mut self, bytes_per_second: usize) -> Self {
        self.min_data_rate = bytes_per_second;
        self
    }

    /// Age at which a connection drains: an HTTP/2 caller receives GOAWAY, an HTTP/1.1 caller `Connection: close`, and
    /// the connection is closed after the [drain timeout](Self::with_drain_timeout). Default: None, unlimited.
    pub fn with_max_connection_age(mut self, age: Option<Duration>) -> Self {
        self.max_connection_age = age;
        self
    }

    /// Returns the limits of a stream.
    pub(super) fn stream_limits(&self) -> StreamLimits {
        StreamLimits::new(
            ProgressLimits::new(self.body_timeout, self.min_data_rate),
            self.stream_idle_timeout,
        )
    }

    /// Limits of the head of a request, from the next connection on. Default: [`HeadLimits::default`].
    pub fn with_head_limits(mut self, limits: HeadLimits) -> Self {
        self.head = limits;
        self
    }

    /// Time without a byte of either direction after which reading a request's body fails, although its caller can be
    /// silent: over gRPC, and once the response has begun. Default: 5 minutes. None: unlimited.
    pub fn with_stream_idle_timeout(mut self, timeout: Option<Duration>) -> Self {
        self.stream_idle_timeout = timeout;
        self
    }

    /// Time for requests in flight to finish after the shutdown began. Default: 30 seconds.
    pub fn with_drain_timeout(mut self, timeout: Duration) -> Self {
        self.drain_timeout = timeout;
        self
    }
}

impl Sealed for HttpLimits {}
