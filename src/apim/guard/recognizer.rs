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
    program::{Action, Choose, Step},
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
    rejecting.position(|branch| {
        branch.condition.expression().is_some_and(|condition| is_guard_condition(&condition.syntax))
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
    operands.iter().any(is_true_if_missing) && operands.iter().any(is_proof_operand)
}

/// Returns true for a condition that is true without a certificate.
fn is_true_if_missing(condition: &Expr) -> bool {
    let is_certificate = |expr: &Expr| is_path(expr, CERTIFICATE);
    match &condition.kind {
        ExprKind::And(operands) => operands.iter().all(is_true_if_missing),
        _ => {
            compares(condition, Comparison::Equal, is_certificate, is_null)
                || compares(condition, Comparison::NotEqual, is_null_safe_thumbprint, is_text)
        }
    }
}

/// Returns true for an operand that is true, or fails, for every self-made certificate.
pub(super) fn is_proof_operand(condition: &Expr) -> bool {
    let is_thumbprint = |expr: &Expr| is_path(expr, THUMBPRINT) || is_null_safe_thumbprint(expr);
    let is_other = |expr: &Expr| compares(expr, Comparison::NotEqual, is_thumbprint, is_text);
    match &condition.kind {
        ExprKind::Not(proof) => is_proof(proof),
        ExprKind::And(operands) => operands.iter().all(is_other),
        _ => is_other(condition),
    }
}

/// Returns true for a comparison of two such operands, in either order.
fn compares(
    expr: &Expr,
    comparison: Comparison,
    is_one: impl Fn(&Expr) -> bool,
    is_other: impl Fn(&Expr) -> bool,
) -> bool {
    matches!(&expr.kind, ExprKind::Compare(found, one, other) if *found == comparison
        && (is_one(one) && is_other(other) || is_one(other) && is_other(one)))
}

fn is_null(expr: &Expr) -> bool {
    matches!(expr.kind, ExprKind::Null)
}

fn is_text(expr: &Expr) -> bool {
    matches!(expr.kind, ExprKind::Text(_))
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
    let path: Vec<&str> = std::iter::once(entry.as_str()).chain(members.iter().copied()).collect();
    let is_stored = |expr: &Expr| is_path(expr, &path);
    let is_callers = |expr: &Expr| is_path(expr, THUMBPRINT);
    entry != "context" && compares(body, Comparison::Equal, is_stored, is_callers)
}
