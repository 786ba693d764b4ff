//! Recognition of guards.
//!
//! A guard is an element after which every request has a certificate with a verified chain, a listed thumbprint, or
//! membership of the deployment. It is at the top level of the composed `<inbound>`, and is either
//! 1. `validate-client-certificate` without `ignore-error`, with `validate-trust` or a thumbprint in each identity; or
//! 2. a `when` of a `choose` that contains one `return-response` with a status of 400 or above, after only such branches.
//!    Its condition is a list of operands of `||`, with `C == null` and one of `!C.Verify()`, `!C.VerifyNoRevocation()`,
//!    `C.Thumbprint != "..."` or several of these with `&&`, and
//!    `!context.Deployment.Certificates.Any(c => c.Value.Thumbprint == C.Thumbprint)`. `C` is
//!    `context.Request.Certificate`. `C?.Thumbprint != "..."` is also true for null, so it is both.
//!
//! An operand that fails rejects the request too, so order and further operands do not matter. Equivalent conditions in
//! another form are not recognized.

use super::syntax::{CERTIFICATE, DEPLOYMENT, is_path, method};
use crate::apim::{
    decision::is_rejection,
    expression::{Comparison, Expr, ExprKind, SyntaxTree},
    program::{Action, Choose, Condition, Step},
    validation::Validation,
};

const THUMBPRINT: &[&str] = &["context", "Request", "Certificate", "Thumbprint"];

/// A guard that can be pasted into a document.
pub(crate) const GUARD: &str = "<choose><when condition=\"@(context.Request.Certificate == null || \
                                !context.Request.Certificate.VerifyNoRevocation())\"><return-response>\
                                <set-status code=\"403\" reason=\"Invalid client certificate\" />\
                                </return-response></when></choose>";

/// Returns true if a validation is a guard.
pub(super) fn is_guard(validation: &Validation) -> bool {
    !validation.ignore_error && validation.proves()
}

/// Returns the index of the `when` that is a guard.
pub(super) fn guard_when(choose: &Choose) -> Option<usize> {
    let mut rejecting = choose.branches.iter().take_while(|branch| rejects(&branch.steps));
    rejecting.position(|branch| match &branch.condition {
        Condition::Expression(expression) => is_guard_condition(&expression.syntax),
        Condition::Constant(_) => false,
    })
}

fn rejects(steps: &[Step]) -> bool {
    matches!(steps, [Step { action: Action::Return(response), .. }] if is_rejection(response.status))
}

fn is_guard_condition(syntax: &SyntaxTree) -> bool {
    let SyntaxTree::Expression(root) = syntax else { return false };
    let operands = match &root.kind {
        ExprKind::Or(operands) => operands.as_slice(),
        _ => std::slice::from_ref(root),
    };
    operands.iter().any(is_true_if_missing) && operands.iter().any(is_true_if_self_made)
}

/// Returns true for a condition that is true without a certificate.
fn is_true_if_missing(condition: &Expr) -> bool {
    match &condition.kind {
        ExprKind::Compare(Comparison::Equal, one, other) => {
            [(one, other), (other, one)].into_iter().any(|(certificate, null)| {
                is_path(certificate, CERTIFICATE) && matches!(null.kind, ExprKind::Null)
            })
        }
        ExprKind::Compare(..) => compared_with_literal(condition).is_some_and(is_null_safe_thumbprint),
        ExprKind::And(operands) => operands.iter().all(is_true_if_missing),
        _ => false,
    }
}

/// Returns true for a condition that is true, or fails, for every self-made certificate.
fn is_true_if_self_made(condition: &Expr) -> bool {
    let is_other_thumbprint = |condition: &Expr| {
        compared_with_literal(condition)
            .is_some_and(|value| is_path(value, THUMBPRINT) || is_null_safe_thumbprint(value))
    };
    match &condition.kind {
        ExprKind::Not(proof) => is_proof(proof),
        ExprKind::And(operands) => operands.iter().all(is_other_thumbprint),
        _ => is_other_thumbprint(condition),
    }
}

/// Returns the value that `!=` compares with a string literal, on either side.
fn compared_with_literal(condition: &Expr) -> Option<&Expr> {
    let ExprKind::Compare(Comparison::NotEqual, one, other) = &condition.kind else { return None };
    match (&one.kind, &other.kind) {
        (_, ExprKind::Text(_)) => Some(one),
        (ExprKind::Text(_), _) => Some(other),
        _ => None,
    }
}

/// `context.Request.Certificate?.Thumbprint`
fn is_null_safe_thumbprint(value: &Expr) -> bool {
    let ExprKind::Conditional(target, rest) = &value.kind else { return false };
    let is_thumbprint = matches!(&rest.kind, ExprKind::Member(receiver, name, _)
        if name == "Thumbprint" && matches!(receiver.kind, ExprKind::Receiver));
    is_path(target, CERTIFICATE) && is_thumbprint
}

/// A verified chain, or membership of the deployment.
fn is_proof(condition: &Expr) -> bool {
    match method(condition) {
        Some((target, "Verify" | "VerifyNoRevocation", [])) => is_path(target, CERTIFICATE),
        Some((target, "ContainsKey", [key])) => is_path(target, DEPLOYMENT) && is_path(key, THUMBPRINT),
        Some((target, "Any", [lambda])) if is_path(target, DEPLOYMENT) => {
            compares_thumbprint(lambda, &["Value", "Thumbprint"])
        }
        Some((target, "Any", [lambda])) => {
            let is_values = matches!(&target.kind, ExprKind::Member(target, name, _)
                if name == "Values" && is_path(target, DEPLOYMENT));
            is_values && compares_thumbprint(lambda, &["Thumbprint"])
        }
        _ => false,
    }
}

/// `entry => entry.MEMBERS == context.Request.Certificate.Thumbprint`, in either order.
fn compares_thumbprint(lambda: &Expr, members: &[&str]) -> bool {
    let ExprKind::Lambda(entry, body) = &lambda.kind else { return false };
    let ExprKind::Compare(Comparison::Equal, one, other) = &body.kind else { return false };
    let path: Vec<&str> = std::iter::once(entry.as_str()).chain(members.iter().copied()).collect();
    entry != "context"
        && [(one, other), (other, one)]
            .into_iter()
            .any(|(stored, callers)| is_path(stored, &path) && is_path(callers, THUMBPRINT))
}
