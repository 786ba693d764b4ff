//! Authorization of the callers of a route.

use tower_mtls::{
    Policy,
    apim::Document,
    certificate::{Presented, Timestamp},
    policy::RejectionKind,
};

/// Authorization of a route.
#[derive(Debug)]
pub(crate) enum RoutePolicy {
    /// No certificate is required.
    None,
    Rules(Policy),
    Document(Document),
}

impl RoutePolicy {
    /// Returns true if no caller is admitted without a certificate that rules or proofs of a document have judged.
    pub(crate) fn judges_certificates(&self) -> bool {
        match self {
            Self::None => false,
            Self::Rules(_) => true,
            Self::Document(document) => document.summary().proves_certificate,
        }
    }

    /// Judges a request in flight again, without side effects. Of a document only the proofs are judged; one without proofs
    /// rejects callers whose certificate has been judged.
    ///
    /// # Errors
    ///
    /// The kind of rejection.
    pub(super) fn judge_again(
        &self,
        was_judged: bool,
        presented: &Presented,
        now: Timestamp,
    ) -> Result<(), RejectionKind> {
        let judged = match self {
            Self::None => Ok(()),
            Self::Rules(policy) => policy.judge(presented, now),
            Self::Document(_) if !was_judged && !self.judges_certificates() => Ok(()),
            Self::Document(document) => document.judge_proofs(presented, now),
        };
        judged.map_err(|rejection| rejection.kind())
    }

    /// Returns the policy document, if there is one.
    pub(crate) fn document(&self) -> Option<&Document> {
        match self {
            Self::Document(document) => Some(document),
            Self::None | Self::Rules(_) => None,
        }
    }
}
