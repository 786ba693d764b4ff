//! Audit log: one line for each change, applied or rejected.

use std::net::SocketAddr;

use http::request::Parts;
use tower_mtls::{admitted, policy::Verification, remote_addr, verification};

use super::ApiError;
use crate::store::{CertificateEntry, ChangeError};

/// A requested change.
pub(super) struct Audit {
    action: &'static str,
    /// `certificate`, `api`, `policy` or `backend`.
    kind: String,
    id: String,
    /// Subject of the client's certificate, or `the token`.
    by: String,
    /// Whether the client's certificate is proven; None: only the token authenticates the client.
    verified: Option<bool>,
    remote: Option<SocketAddr>,
}

impl Audit {
    pub(super) fn new(action: &'static str, noun: &str, head: &Parts, id: &str) -> Self {
        let by = admitted(&head.extensions).map(|certificate| certificate.subject().to_string());
        let by = by.unwrap_or_else(|| "the token".to_owned());
        let verified = verification(&head.extensions).map(Verification::is_proven);
        let kind = noun.to_ascii_lowercase();
        Self { action, kind, id: id.to_owned(), by, verified, remote: remote_addr(&head.extensions) }
    }

    /// Logs an applied change; `certificate` is the changed certificate, if any.
    pub(super) fn done(
        &self,
        outcome: &'static str,
        revision: Option<u64>,
        certificate: Option<&CertificateEntry>,
    ) {
        self.log(outcome, revision, certificate, None);
    }

    /// Logs a change that the store rejected, and returns the response to it.
    pub(super) fn store_error(&self, error: ChangeError, item: &str) -> ApiError {
        let error = ApiError::from_change(error, item);
        self.rejected(&error);
        error
    }

    /// Logs a rejected change.
    pub(super) fn rejected(&self, error: &ApiError) {
        self.log("refused", None, None, Some(error));
    }

    fn log(
        &self,
        outcome: &'static str,
        revision: Option<u64>,
        certificate: Option<&CertificateEntry>,
        error: Option<&ApiError>,
    ) {
        let Self { action, kind, id, by, verified, remote } = self;
        tracing::info!(
            action,
            kind,
            outcome,
            id,
            purpose = certificate.map(|entry| entry.purpose.as_str()),
            thumbprint = certificate.map(|entry| display(entry.certificate.sha256_thumbprint())),
            // As in the API and in policy documents.
            thumbprint_sha1 = certificate.map(|entry| display(entry.certificate.sha1_thumbprint())),
            revision,
            code = error.map(ApiError::code),
            status = error.map(|error| error.status.as_u16()),
            by,
            verified,
            remote = remote.map(display),
            "management"
        );
    }
}
