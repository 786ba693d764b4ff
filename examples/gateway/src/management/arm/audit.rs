//! Who changes what: a line in the log for each change, made or refused.

use std::net::SocketAddr;

use http::request::Parts;
use tower_mtls::{Verification, admitted, remote_addr, verification};
use tracing::field::display;

use super::Problem;
use crate::store::{ChangeError, Entry};

/// A change that somebody asks for.
pub(super) struct Audit {
    action: &'static str,
    /// `certificate`, `api`, `policy` or `backend`.
    kind: &'static str,
    id: String,
    by: String,
    /// Whether a proof stands behind the certificate of whoever asks; None: the token alone does.
    verified: Option<bool>,
    remote: Option<SocketAddr>,
}

impl Audit {
    pub(super) fn new(action: &'static str, kind: &'static str, head: &Parts, id: &str) -> Self {
        let by = admitted(&head.extensions).map(|certificate| certificate.subject().to_string());
        let by = by.unwrap_or_else(|| "the token".to_owned());
        let verified = verification(&head.extensions).map(Verification::is_proven);
        Self { action, kind, id: id.to_owned(), by, verified, remote: remote_addr(&head.extensions) }
    }

    /// It was made; `certificate` is what it was about, if it was about one.
    pub(super) fn done(&self, outcome: &'static str, revision: Option<u64>, certificate: Option<&Entry>) {
        let Self { action, kind, id, by, verified, remote } = self;
        let remote = remote.map(display);
        let purpose = certificate.map(|entry| entry.purpose.as_str());
        let thumbprint = certificate.map(|entry| display(entry.certificate.sha256_thumbprint()));
        // As the API tells it, and documents compare it.
        let thumbprint_sha1 = certificate.map(|entry| display(entry.certificate.sha1_thumbprint()));
        tracing::info!(
            action,
            kind,
            outcome,
            id,
            purpose,
            thumbprint,
            thumbprint_sha1,
            revision,
            by,
            verified,
            remote,
            "management"
        );
    }

    /// What is answered to a change that was not made.
    pub(super) fn refusal(&self, refusal: ChangeError, what: &str) -> Problem {
        let problem = Problem::of(refusal, what);
        self.refused(&problem);
        problem
    }

    pub(super) fn refused(&self, problem: &Problem) {
        let Self { action, kind, id, by, verified, remote } = self;
        let remote = remote.map(display);
        let (code, status) = (problem.code(), problem.status.as_u16());
        tracing::info!(
            action,
            kind,
            outcome = "refused",
            id,
            code,
            status,
            by,
            verified,
            remote,
            "management"
        );
    }
}
