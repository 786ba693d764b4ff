//! The proofs of a document, judged apart from its other elements.

use std::sync::Arc;

use super::recognizer::{guard_when, is_guard, is_proof_operand};
use crate::{
    apim::{
        decision::rejection_kind,
        expression::{Evaluation, ExprKind, Expression, Inputs, Kind, State, SyntaxTree},
        program::{Action, Program, Step},
    },
    policy::RejectionKind,
};

/// Judges the proofs of all guards in the composed `<inbound>`. No other element has an effect.
///
/// # Errors
///
/// The document has no guard, or a proof fails or cannot be evaluated.
pub(crate) fn judge_proofs(program: &Program, inputs: &Inputs<'_>) -> Result<(), RejectionKind> {
    if !program.ruling.has_guard {
        return Err(RejectionKind::Document);
    }
    steps(&program.inbound, inputs, &mut Vec::new())
}

fn steps<'p>(
    steps: &'p [Step],
    inputs: &Inputs<'_>,
    included: &mut Vec<&'p Arc<Program>>,
) -> Result<(), RejectionKind> {
    for step in steps {
        match &step.action {
            Action::Base(base) if !included.iter().any(|known| Arc::ptr_eq(known, base)) => {
                included.push(base);
                self::steps(&base.inbound, inputs, included)?;
            }
            Action::Validate(validation) if is_guard(validation) => {
                validation.judge(inputs).map_err(|invalid| rejection_kind(Some(invalid.code)))?;
            }
            Action::Choose(choose) => {
                let guard = guard_when(choose).and_then(|index| choose.branches.get(index));
                let condition = guard.and_then(|branch| branch.condition.expression());
                if condition.is_some_and(|condition| !proves(condition, inputs)) {
                    return Err(RejectionKind::Document);
                }
            }
            _ => {}
        }
    }
    Ok(())
}

/// Evaluates the operands of a guard's condition that are proofs: they read the certificate, literals and the deployment
/// only. A proof that cannot be evaluated fails.
fn proves(condition: &Expression, inputs: &Inputs<'_>) -> bool {
    let (SyntaxTree::Expression(syntax), node) = (&condition.syntax, &condition.root) else { return false };
    let is_false = |node| Evaluation { inputs, state: &mut State::default() }.condition(node) == Ok(false);
    match (&syntax.kind, &node.kind) {
        (ExprKind::Or(operands), Kind::Or(nodes)) if operands.len() == nodes.len() => {
            let mut proofs = operands.iter().zip(nodes).filter(|(operand, _)| is_proof_operand(operand));
            proofs.all(|(_, node)| is_false(node))
        }
        _ => is_false(node),
    }
}
