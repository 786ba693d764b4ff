use super::{RejectionKind, rule::RuleName};
use crate::certificate::Timestamp;

/// What a rule says of a certificate.
///
/// Three values, so that "I cannot tell" is never mistaken for a yes: `not` swaps the first two only, `all`
/// holds if every rule holds, `any` holds if one rule holds, and whatever cannot be told refuses the caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Answer {
    /// The certificate satisfies the rule.
    Holds,
    /// The certificate does not satisfy the rule.
    Fails,
    /// The rule cannot be decided, for example because something it needs is not available.
    CannotTell,
}

impl From<bool> for Answer {
    fn from(holds: bool) -> Self {
        if holds { Self::Holds } else { Self::Fails }
    }
}

/// An answer, the kind of rejection if it is not `Holds`, and the last second in which it stands.
#[derive(Debug, Clone, Copy)]
pub(super) struct Judgement<'r> {
    pub(super) answer: Answer,
    pub(super) kind: RejectionKind,
    pub(super) until: Timestamp,
    /// The custom rule that gave the answer.
    pub(super) rule: Option<&'r RuleName>,
}

impl Judgement<'_> {
    /// An answer that depends on the certificate alone.
    pub(super) fn lasting(answer: impl Into<Answer>, kind: RejectionKind) -> Self {
        Self { answer: answer.into(), kind, until: Timestamp::MAX, rule: None }
    }

    /// An answer that stands at this very moment only.
    pub(super) fn momentary(answer: Answer, kind: RejectionKind) -> Self {
        Self { answer, kind, until: Timestamp::MIN, rule: None }
    }

    pub(super) fn no_longer_than(self, until: Timestamp) -> Self {
        Self { until: self.until.min(until), ..self }
    }
}
