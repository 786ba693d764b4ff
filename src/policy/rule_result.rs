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
}

impl RuleResult<'_> {
    /// An answer that depends on the certificate alone.
    pub(super) fn cacheable(answer: impl Into<Answer>, kind: RejectionKind) -> Self {
        Self { answer: answer.into(), kind, until: Timestamp::MAX, rule: None }
    }

    /// An answer that is valid for this request only.
    pub(super) fn uncached(answer: Answer, kind: RejectionKind) -> Self {
        Self { answer, kind, until: Timestamp::MIN, rule: None }
    }

    pub(super) fn valid_until(self, until: Timestamp) -> Self {
        Self { until: self.until.min(until), ..self }
    }
}
