//! Expiry of the gateway's own certificates.

use tower_mtls::certificate::Timestamp;

/// Expiry of a certificate that the gateway presents.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Expiry {
    pub(crate) owner: CertificateOwner,
    /// Name of the identity or listener.
    pub(crate) name: String,
    pub(crate) not_after: Timestamp,
}

/// Kind of the certificate's owner.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CertificateOwner {
    Identity,
    Listener,
}

impl Expiry {
    pub(crate) fn identity(name: &str, not_after: Timestamp) -> Self {
        Self { owner: CertificateOwner::Identity, name: name.to_owned(), not_after }
    }

    pub(crate) fn listener(name: &str, not_after: Timestamp) -> Self {
        Self { owner: CertificateOwner::Listener, name: name.to_owned(), not_after }
    }

    /// Returns the days from `now` to the expiry, negative after it.
    pub(crate) fn days_left(&self, now: Timestamp) -> f64 {
        days_until(self.not_after, now)
    }
}

/// Returns the days from `now` to `end`, negative after it.
pub(crate) fn days_until(end: Timestamp, now: Timestamp) -> f64 {
    end.as_unix().saturating_sub(now.as_unix()) as f64 / 86_400.0
}
