#[cfg(feature = "trust")]
use super::chain::ChainVerdict;
use super::{Answer, RejectionKind, rule_name::RuleName};
use crate::certificate::Timestamp;

/// An answer, the kind of rejection if it is not `Holds`, and the last second in which it is valid.
#[derive(Debug, Clone, Copy)]
pub(super) struct RuleResult<'r> {
    pub(super) answer: Answer,
    pub(super) kind: RejectionKind,
    pub(super) until: Timestamp,
    /// The custom rule that decided.
    pub(super) rule: Option<&'r RuleName>,
    /// The verdict on the chain that decided.
    #[cfg(feature = "trust")]
    pub(super) chain: Option<ChainVerdict>,
}

impl RuleResult<'_> {
    /// An answer that depends on the certificate alone.
    pub(super) fn cacheable(answer: impl Into<Answer>, kind: RejectionKind) -> Self {
        Self { until: Timestamp::MAX, ..Self::uncached(answer.into(), kind) }
    }

    #[cfg(feature = "trust")]
    pub(super) fn of_chain(verdict: ChainVerdict) -> Self {
        let result = Self::cacheable(verdict == ChainVerdict::Trusted, verdict.kind());
        Self { chain: Some(verdict), ..result }
    }

    /// An answer that is valid for this request only.
    pub(super) fn uncached(answer: Answer, kind: RejectionKind) -> Self {
        Self {
            answer,
            kind,
            until: Timestamp::MIN,
            rule: None,
            #[cfg(feature = "trust")]
            chain: None,
        }
    }

    pub(super) fn valid_until(self, until: Timestamp) -> Self {
        Self { until: self.until.min(until), ..self }
    }
}
