use super::{RejectionKind, rule::RuleName};
use crate::certificate::Timestamp;

/// Result of a rule for a certificate.
///
/// Three-valued: [`not`](super::Rule::not) swaps the first two only, [`all`](super::Rule::all) holds if every rule holds,
/// [`any`](super::Rule::any) holds if one rule holds. A policy rejects the client unless its rules hold.
///
/// ```
/// use tower_mtls::policy::Answer;
///
/// assert_eq!(Answer::from(true), Answer::Holds);
/// assert_eq!(Answer::from(false), Answer::Fails);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Answer {
    /// The certificate satisfies the rule.
    Holds,
    /// The certificate does not satisfy the rule.
    Fails,
    /// The rule cannot be decided, for example because a name is unreadable or a set is unavailable.
    CannotTell,
}

impl From<bool> for Answer {
    fn from(holds: bool) -> Self {
        if holds { Self::Holds } else { Self::Fails }
    }
}

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
