//! Evaluation of rules: a pure function of a certificate and the time.

use super::{Kind, Rule};
use crate::{
    certificate::{Certificate, Thumbprint, Timestamp},
    policy::{Answer, RejectionKind, matcher::Matcher, rule_result::RuleResult},
};

impl Rule {
    pub(in crate::policy) fn judge(&self, certificate: &Certificate, now: Timestamp) -> RuleResult<'_> {
        match &self.0 {
            Kind::Validity => validity(certificate, now),
            #[cfg(feature = "trust")]
            Kind::Trust(anchors) => anchors.judge_chain(certificate, now),
            #[cfg(feature = "trust")]
            Kind::IssuerThumbprint(pins) => pins.judge(certificate, now),
            Kind::Matchers(kind, matchers) => one_of(*kind, matchers, certificate),
            Kind::Thumbprint(pins) => {
                RuleResult::cacheable(pins.contain_certificate(certificate), RejectionKind::Thumbprint)
            }
            Kind::Spki(pins) => {
                let holds = pins.contains(Thumbprint::Sha256(certificate.spki_sha256()));
                RuleResult::cacheable(holds, RejectionKind::SpkiPin)
            }
            Kind::Member(set) => uncached(set.contains(certificate), RejectionKind::NotMember),
            Kind::Custom(name, rule) => {
                let result = uncached(rule(certificate, now), RejectionKind::Custom);
                RuleResult { rule: Some(name), ..result }
            }
            Kind::All(rules) => group(rules, Answer::Fails, certificate, now),
            Kind::Any(rules) => group(rules, Answer::Holds, certificate, now),
            Kind::Not(rule) => not(rule, certificate, now),
        }
    }
}

/// An answer that can change until the next request.
fn uncached<'r>(answer: Answer, kind: RejectionKind) -> RuleResult<'r> {
    let kind = if answer == Answer::CannotTell { RejectionKind::Undecidable } else { kind };
    RuleResult::uncached(answer, kind)
}

/// An entry that holds decides; otherwise an undecided one.
fn one_of<'r>(kind: RejectionKind, matchers: &'r [Matcher], certificate: &Certificate) -> RuleResult<'r> {
    let mut answer = Answer::Fails;
    for matcher in matchers {
        match matcher.judge(certificate) {
            Answer::Holds => return RuleResult::cacheable(true, kind),
            Answer::CannotTell => answer = Answer::CannotTell,
            Answer::Fails => {}
        }
    }
    let kind = if answer == Answer::CannotTell { RejectionKind::Undecidable } else { kind };
    RuleResult::cacheable(answer, kind)
}

fn validity<'r>(certificate: &Certificate, now: Timestamp) -> RuleResult<'r> {
    let validity = certificate.validity();
    if now < validity.not_before {
        RuleResult::cacheable(false, RejectionKind::NotYetValid).valid_until(validity.not_before.plus(-1))
    } else if now > validity.not_after {
        RuleResult::cacheable(false, RejectionKind::Expired)
    } else {
        RuleResult::cacheable(true, RejectionKind::Expired).valid_until(validity.not_after)
    }
}

/// `decisive` ends the group: a failing rule ends `all`, a holding rule ends `any`. Without one, an undecided rule takes
/// precedence over the rest.
fn group<'r>(
    rules: &'r [Rule],
    decisive: Answer,
    certificate: &Certificate,
    now: Timestamp,
) -> RuleResult<'r> {
    let mut outcome: Option<RuleResult<'r>> = None;
    let mut until = Timestamp::MAX;
    for rule in rules {
        let result = rule.judge(certificate, now);
        if result.answer == decisive {
            return result;
        }
        until = until.min(result.until);
        let decides = |earlier: RuleResult<'_>| {
            earlier.answer == Answer::CannotTell || result.answer != Answer::CannotTell
        };
        if !outcome.is_some_and(decides) {
            outcome = Some(result);
        }
    }
    match outcome {
        Some(result) => result.valid_until(until),
        // `build` rejects empty groups; one that got here would reject the client.
        None => RuleResult::uncached(Answer::CannotTell, RejectionKind::Undecidable),
    }
}

fn not<'r>(rule: &'r Rule, certificate: &Certificate, now: Timestamp) -> RuleResult<'r> {
    let result = rule.judge(certificate, now);
    match result.answer {
        Answer::Holds => RuleResult { answer: Answer::Fails, kind: RejectionKind::Excluded, ..result },
        Answer::Fails => RuleResult { answer: Answer::Holds, ..result },
        Answer::CannotTell => result,
    }
}
