//! Verdicts on chains to the roots of a set.

use super::TrustAnchors;
use crate::{
    certificate::{Certificate, Timestamp},
    policy::{
        Answer, RejectionKind,
        accepted_chains::AcceptedChains,
        chain::ChainVerdict,
        path::{self, PathError, Root, ValidPath},
        rule_result::RuleResult,
        verdict_cache::VerdictCache,
    },
};

/// Seconds before a failed chain is verified again: one of its certificates may have become valid.
const RETRY_AFTER: i64 = 60;

impl TrustAnchors {
    /// The cached or a new verdict; None if `now` is before 1970.
    #[cfg(any(feature = "acceptor", feature = "apim"))]
    pub(crate) fn chain_verdict(&self, certificate: &Certificate, now: Timestamp) -> Option<ChainVerdict> {
        self.verdict(certificate, now).map(|(verdict, _)| verdict)
    }

    pub(in crate::policy) fn judge_chain(&self, certificate: &Certificate, now: Timestamp) -> RuleResult<'_> {
        match self.verdict(certificate, now) {
            Some((verdict, until)) => RuleResult::of_chain(verdict).valid_until(until),
            None => RuleResult::uncached(Answer::CannotTell, RejectionKind::Undecidable),
        }
    }

    /// The cached or a new verdict, and the last second in which it is valid.
    pub(super) fn verdict(
        &self,
        certificate: &Certificate,
        now: Timestamp,
    ) -> Option<(ChainVerdict, Timestamp)> {
        if let Some(code) = VerdictCache::of_chain(certificate).get(self.0.generation, now) {
            // The cache checks the verdict's own end on each lookup.
            return Some((ChainVerdict::from_code(code), now));
        }
        if now.as_unix() < 0 {
            return None;
        }
        let (verdict, until) = self.new_verdict(certificate, now);
        VerdictCache::of_chain(certificate).put(self.0.generation, verdict.code(), now, until);
        Some((verdict, until))
    }

    /// The verdict of an accepted chain is that of another connection, if known.
    fn new_verdict(&self, certificate: &Certificate, now: Timestamp) -> (ChainVerdict, Timestamp) {
        let key = AcceptedChains::key(certificate);
        if let Some(until) = self.0.accepted.get(&key, now) {
            return (ChainVerdict::Trusted, until);
        }
        match self.verify(certificate, now) {
            Ok(path) => {
                self.0.accepted.put(key, now, path.until);
                (ChainVerdict::Trusted, path.until)
            }
            Err(error) => (error.verdict(), now.plus(RETRY_AFTER)),
        }
    }

    fn verify(&self, certificate: &Certificate, now: Timestamp) -> Result<ValidPath, PathError> {
        path::verify(certificate, certificate.chain(), &self.0.roots, now)
    }

    pub(in crate::policy) fn roots(&self) -> &[Root] {
        &self.0.roots
    }

    /// Returns true if every root has revocation lists, or is declared to have none.
    #[cfg(feature = "apim")]
    pub(crate) fn declares_revocation(&self) -> bool {
        self.0.roots.iter().all(|root| root.is_revocation_off() || root.checks_revocation())
    }

    /// Returns true if chains to a root are checked against revocation lists.
    #[cfg(feature = "apim")]
    pub(crate) fn checks_revocation(&self) -> bool {
        self.0.roots.iter().any(Root::checks_revocation)
    }

    /// Reason why the chain is not trusted, with the certificate that causes it; None if it is. Verifies the chain.
    pub(crate) fn failure(&self, certificate: &Certificate, now: Timestamp) -> Option<String> {
        self.verify(certificate, now).err().map(|error| error.to_string())
    }

    /// Reason by the cached verdict: verifies no chain.
    #[cfg(feature = "apim")]
    pub(crate) fn known_failure(&self, certificate: &Certificate, now: Timestamp) -> Option<&'static str> {
        ChainVerdict::from_code(VerdictCache::of_chain(certificate).get(self.0.generation, now)?).describe()
    }
}
