//! When the gateway's own certificates end.

use tower_mtls::Timestamp;

/// The end of a certificate that the gateway shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Expiry {
    /// To upstreams, or to callers.
    pub(crate) side: Side,
    /// Of the identity, or of the listener.
    pub(crate) name: String,
    pub(crate) not_after: Timestamp,
}

/// To whom a certificate is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Side {
    Identity,
    Listener,
}

impl Expiry {
    pub(crate) fn of_identity(name: &str, not_after: Timestamp) -> Self {
        Self { side: Side::Identity, name: name.to_owned(), not_after }
    }

    pub(crate) fn of_listener(name: &str, not_after: Timestamp) -> Self {
        Self { side: Side::Listener, name: name.to_owned(), not_after }
    }

    /// Days from `now` to the end, negative after it.
    pub(crate) fn days_left(&self, now: Timestamp) -> f64 {
        days_until(self.not_after, now)
    }
}

/// Days from `now` to the end, negative after it.
pub(crate) fn days_until(end: Timestamp, now: Timestamp) -> f64 {
    end.as_unix().saturating_sub(now.as_unix()) as f64 / 86_400.0
}
