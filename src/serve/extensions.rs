//! Response extensions that a service sets for the connection.

use std::{any::Any, fmt, sync::Arc, time::Duration};

/// Response extension: maximum time for which the caller reads nothing while bytes of this response are ready. None:
/// unlimited. Default: [`HttpLimits::with_body_timeout`](super::HttpLimits::with_body_timeout).
///
/// ```
/// use std::time::Duration;
/// use http::Response;
/// use tower_mtls::serve::ReadTimeout;
///
/// let mut response = Response::new("a report");
/// response.extensions_mut().insert(ReadTimeout(Some(Duration::from_secs(5))));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(clippy::exhaustive_structs, reason = "a value with a meaning of its own")]
pub struct ReadTimeout(pub Option<Duration>);

/// Extension of a response that switches protocols: a value that is dropped when the connection closes, such as the
/// permit of a tunnel.
///
/// ```
/// use std::sync::Arc;
/// use http::Response;
/// use tower_mtls::serve::ReleasedOnClose;
///
/// let permits = Arc::new(tokio::sync::Semaphore::new(1));
/// let mut response = Response::new(());
/// response.extensions_mut().insert(ReleasedOnClose::new(permits.clone().try_acquire_owned()));
/// assert_eq!(permits.available_permits(), 0);
/// drop(response);
/// assert_eq!(permits.available_permits(), 1);
/// ```
#[derive(Clone)]
pub struct ReleasedOnClose {
    _value: Arc<dyn Any + Send + Sync>,
}

impl ReleasedOnClose {
    /// Wraps a value.
    pub fn new(value: impl Any + Send + Sync) -> Self {
        Self { _value: Arc::new(value) }
    }
}

impl fmt::Debug for ReleasedOnClose {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReleasedOnClose").finish_non_exhaustive()
    }
}
