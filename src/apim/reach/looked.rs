//! Conditions, with what they come to where they have looked at the certificate.
//!
//! Only a rule that looked at the certificate admits it: `context.Request.Method == "PUT" && ...Thumbprint != "..."` says
//! nothing about the certificate of a GET.

use super::{
    expression::Evaluation,
    value::{Seen, Truth},
};
use crate::apim::{
    expression::{Kind, Node},
    program::Slot,
};

/// Possible results of a condition.
#[derive(Debug, Clone, Copy)]
pub(super) struct Outcomes {
    /// On any way.
    pub(super) all: Truth,
    /// On ways that may have looked at the certificate.
    pub(super) looked: Truth,
}

impl Outcomes {
    const NEVER: Self = Self { all: Truth::NEVER, looked: Truth::NEVER };

    fn join(self, other: Self) -> Self {
        Self { all: self.all.join(other.all), looked: self.looked.join(other.looked) }
    }

    fn add(&mut self, truth: Truth, has_looked: bool) {
        self.all = self.all.join(truth);
        if has_looked {
            self.looked = self.looked.join(truth);
        }
    }
}

impl<'p> Evaluation<'_, 'p> {
    /// Possible results of the condition; None if it fails for every request.
    pub(super) fn outcomes(&mut self, node: &'p Node) -> Option<Outcomes> {
        match &node.kind {
            Kind::Not(operand) => {
                let Outcomes { all, looked } = self.outcomes(operand)?;
                Some(Outcomes { all: all.not(), looked: looked.not() })
            }
            Kind::And(operands) => self.outcomes_of_all(operands, Truth::TRUE),
            Kind::Or(operands) => self.outcomes_of_all(operands, Truth::FALSE),
            Kind::Ternary(condition, then, otherwise) => {
                let condition = self.outcomes(condition)?;
                let mut found = Outcomes::NEVER;
                for (node, goes, has_looked) in [
                    (then, condition.all.may_hold, condition.looked.may_hold),
                    (otherwise, condition.all.may_fail, condition.looked.may_fail),
                ] {
                    if goes && let Some(mut outcomes) = self.outcomes(node) {
                        outcomes.add(outcomes.all, has_looked);
                        found = found.join(outcomes);
                    }
                }
                (found.all != Truth::NEVER).then_some(found)
            }
            _ => {
                let all = self.value(node).map(Seen::as_condition)?;
                Some(Outcomes { all, looked: if self.looks(node) { all } else { Truth::NEVER } })
            }
        }
    }

    /// `&&` of what all holds at first, `||` of what all fails.
    fn outcomes_of_all(&mut self, operands: &'p [Node], neutral: Truth) -> Option<Outcomes> {
        let ends = |truth: Truth| if neutral.may_hold { truth.may_fail } else { truth.may_hold };
        let goes_on = |truth: Truth| ends(truth.not());
        let (mut found, mut has_looked) = (Outcomes::NEVER, false);
        for operand in operands {
            let next = self.outcomes(operand).unwrap_or(Outcomes::NEVER);
            if ends(next.all) {
                found.add(neutral.not(), has_looked || ends(next.looked));
            }
            if !goes_on(next.all) {
                return (found.all != Truth::NEVER).then_some(found);
            }
            has_looked |= goes_on(next.looked);
        }
        found.add(neutral, has_looked);
        Some(found)
    }

    /// Whether the certificate, or a variable or header that may depend on it, is read anywhere in there.
    pub(super) fn looks(&mut self, node: &Node) -> bool {
        let mut looks = false;
        node.visit(&mut |node| {
            self.steps += 1;
            looks |= match &node.kind {
                Kind::Certificate => true,
                Kind::Variable(name) | Kind::VariableOr(name, ..) | Kind::HasVariable(name) => {
                    self.of_certificate.contains(&Slot::Variable(name))
                }
                Kind::Header(name, _) | Kind::Headers(name) | Kind::HasHeader(name) => {
                    self.of_certificate.contains(&Slot::Header(name))
                }
                _ => false,
            };
        });
        looks
    }
}
