//! The pure decision: what a rule says of a certificate at a moment.

use super::{Kind, Rule};
use crate::{
    certificate::{Certificate, Thumbprint, Timestamp},
    policy::{Answer, RejectionKind, answer::Judgement, claim::Claim},
};

impl Rule {
    pub(in crate::policy) fn judge(&self, certificate: &Certificate, now: Timestamp) -> Judgement<'_> {
        match &self.0 {
            Kind::Validity => validity(certificate, now),
            #[cfg(feature = "trust")]
            Kind::Trust(anchors) => anchors.judge(certificate, now),
            #[cfg(feature = "trust")]
            Kind::IssuerThumbprint(pins) => pins.judge(certificate, now),
            Kind::Claims(kind, claims) => one_of(*kind, claims, certificate),
            Kind::Thumbprint(pins) => {
                Judgement::lasting(pins.contain_certificate(certificate), RejectionKind::Thumbprint)
            }
            Kind::Spki(pins) => {
                let holds = pins.contains(Thumbprint::Sha256(certificate.spki_sha256()));
                Judgement::lasting(holds, RejectionKind::SpkiPin)
            }
            Kind::Member(set) => momentary(set.contains(certificate), RejectionKind::NotMember),
            Kind::Custom(name, rule) => {
                let judgement = momentary(rule(certificate, now), RejectionKind::Custom);
                Judgement { rule: Some(name), ..judgement }
            }
            Kind::All(rules) => group(rules, Answer::Fails, certificate, now),
            Kind::Any(rules) => group(rules, Answer::Holds, certificate, now),
            Kind::Not(rule) => not(rule, certificate, now),
        }
    }
}

/// The answer of something that may answer otherwise next time.
fn momentary<'r>(answer: Answer, kind: RejectionKind) -> Judgement<'r> {
    let kind = if answer == Answer::CannotTell { RejectionKind::Undecidable } else { kind };
    Judgement::momentary(answer, kind)
}

/// A claim that holds decides; else one that cannot tell does.
fn one_of<'r>(kind: RejectionKind, claims: &'r [Claim], certificate: &Certificate) -> Judgement<'r> {
    let mut answer = Answer::Fails;
    for claim in claims {
        match claim.judge(certificate) {
            Answer::Holds => return Judgement::lasting(true, kind),
            Answer::CannotTell => answer = Answer::CannotTell,
            Answer::Fails => {}
        }
    }
    let kind = if answer == Answer::CannotTell { RejectionKind::Undecidable } else { kind };
    Judgement::lasting(answer, kind)
}

fn validity<'r>(certificate: &Certificate, now: Timestamp) -> Judgement<'r> {
    let validity = certificate.validity();
    if now < validity.not_before {
        Judgement::lasting(false, RejectionKind::NotYetValid).no_longer_than(validity.not_before.plus(-1))
    } else if now > validity.not_after {
        Judgement::lasting(false, RejectionKind::Expired)
    } else {
        Judgement::lasting(true, RejectionKind::Expired).no_longer_than(validity.not_after)
    }
}

/// `decisive` ends the group at once: a failing rule ends `all`, a holding rule ends `any`. Without one, a
/// rule that cannot tell decides before the rest.
fn group<'r>(
    rules: &'r [Rule],
    decisive: Answer,
    certificate: &Certificate,
    now: Timestamp,
) -> Judgement<'r> {
    let mut outcome: Option<Judgement<'r>> = None;
    let mut until = Timestamp::MAX;
    for rule in rules {
        let judgement = rule.judge(certificate, now);
        if judgement.answer == decisive {
            return judgement;
        }
        until = until.min(judgement.until);
        let decides = |earlier: Judgement<'_>| {
            earlier.answer == Answer::CannotTell || judgement.answer != Answer::CannotTell
        };
        if !outcome.is_some_and(decides) {
            outcome = Some(judgement);
        }
    }
    match outcome {
        Some(judgement) => judgement.no_longer_than(until),
        // `build` refuses empty groups; should one get here, it refuses the caller.
        None => Judgement::momentary(Answer::CannotTell, RejectionKind::Undecidable),
    }
}

fn not<'r>(rule: &'r Rule, certificate: &Certificate, now: Timestamp) -> Judgement<'r> {
    let judgement = rule.judge(certificate, now);
    match judgement.answer {
        Answer::Holds => Judgement { answer: Answer::Fails, kind: RejectionKind::Excluded, ..judgement },
        Answer::Fails => Judgement { answer: Answer::Holds, ..judgement },
        Answer::CannotTell => judgement,
    }
}
