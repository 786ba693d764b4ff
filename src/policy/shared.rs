use super::{ADMITTED, Policy, Rejection, Verification, verdict_cache::VerdictCache};
use crate::{
    certificate::{Presented, Timestamp},
    shared::{Shared, sealed::Sealed},
};

impl Sealed for Policy {
    fn generation(&self) -> u64 {
        Self::generation(self).get()
    }
}

impl Shared<Policy> {
    /// Judges by the current policy. See [`Policy::judge`].
    ///
    /// # Errors
    ///
    /// As [`Policy::judge`].
    #[inline]
    pub fn judge(&self, presented: &Presented, now: Timestamp) -> Result<(), Rejection> {
        if self.is_admitted(presented, now) { Ok(()) } else { self.evaluate(presented, now).map(drop) }
    }

    /// Returns true if a cached verdict admits the certificate with a proof.
    #[inline]
    pub(crate) fn is_admitted(&self, presented: &Presented, now: Timestamp) -> bool {
        let Presented::Certificate(certificate) = presented else { return false };
        VerdictCache::of(certificate).get(self.generation(), now) == Some(ADMITTED)
    }

    /// Evaluates the rules, unless a verdict without a proof is cached.
    #[inline]
    pub(crate) fn evaluate(&self, presented: &Presented, now: Timestamp) -> Result<Verification, Rejection> {
        self.load().evaluate(presented, now)
    }
}
