//! Reading of expressions for the guard rule.

use crate::apim::{
    error::Findings,
    expression::{Expr, ExprKind, Segment, Stmt, SyntaxTree},
    program::{Action, Program, Section},
};

/// The caller's certificate.
pub(super) const CERTIFICATE: &[&str] = &["context", "Request", "Certificate"];
/// The certificates of the deployment.
pub(super) const DEPLOYMENT: &[&str] = &["context", "Deployment", "Certificates"];

/// Returns true if an expression is this chain of members.
pub(super) fn is_path(expr: &Expr, path: &[&str]) -> bool {
    match (&expr.kind, path) {
        (ExprKind::Name(name), [only]) => name == only,
        (ExprKind::Member(target, name, _), [rest @ .., last]) => name == last && is_path(target, rest),
        _ => false,
    }
}

/// Returns the target, the name and the arguments of a method call.
pub(super) fn method(expr: &Expr) -> Option<(&Expr, &str, &[Expr])> {
    let ExprKind::Call(callee, _, arguments) = &expr.kind else { return None };
    let ExprKind::Member(target, name, _) = &callee.kind else { return None };
    Some((target, name, arguments))
}

/// Returns the name of the variable that an expression looks up, and the default.
pub(super) fn variable(expr: &Expr) -> Option<(&str, Option<&Expr>)> {
    let (target, name, default) = match &expr.kind {
        ExprKind::Index(target, name) => (&**target, &**name, None),
        _ => match method(expr)? {
            (target, "GetValueOrDefault", [name, default @ ..]) => (target, name, default.first()),
            _ => return None,
        },
    };
    match &name.kind {
        ExprKind::Text(name) if is_path(target, &["context", "Variables"]) => Some((name, default)),
        _ => None,
    }
}

/// Calls `visitor` for every expression of a tree, in source order; an operator comes before its operands.
fn visit<'e>(tree: &'e SyntaxTree, visitor: &mut dyn FnMut(&'e Expr)) {
    match tree {
        SyntaxTree::Expression(expr) => visit_expression(expr, visitor),
        SyntaxTree::Block(statements, _) => {
            visit_statements(statements, &mut |statement| match statement {
                Stmt::Declare { value: expr, .. }
                | Stmt::Assign { value: expr, .. }
                | Stmt::If { condition: expr, .. }
                | Stmt::Return(expr) => visit_expression(expr, visitor),
                Stmt::Invalid(_) => {}
            });
        }
    }
}

/// Calls `visitor` for every statement, nested ones included.
pub(super) fn visit_statements<'e>(statements: &'e [Stmt], visitor: &mut dyn FnMut(&'e Stmt)) {
    for statement in statements {
        visitor(statement);
        if let Stmt::If { then, otherwise, .. } = statement {
            visit_statements(then, visitor);
            visit_statements(otherwise, visitor);
        }
    }
}

fn visit_expression<'e>(expr: &'e Expr, visitor: &mut dyn FnMut(&'e Expr)) {
    visitor(expr);
    let parts: Vec<&Expr> = match &expr.kind {
        ExprKind::Null
        | ExprKind::Bool(_)
        | ExprKind::Int(_)
        | ExprKind::Double(_)
        | ExprKind::Text(_)
        | ExprKind::Char(_)
        | ExprKind::Name(_)
        | ExprKind::Receiver => return,
        ExprKind::Member(one, ..)
        | ExprKind::Not(one)
        | ExprKind::Negate(one)
        | ExprKind::Cast(_, one)
        | ExprKind::Lambda(_, one) => vec![one],
        ExprKind::Index(one, other)
        | ExprKind::Conditional(one, other)
        | ExprKind::Subtract(one, other)
        | ExprKind::Coalesce(one, other)
        | ExprKind::Compare(_, one, other) => vec![one, other],
        ExprKind::Ternary(condition, one, other) => vec![condition, one, other],
        ExprKind::Call(callee, _, arguments) => std::iter::once(&**callee).chain(arguments).collect(),
        ExprKind::And(many)
        | ExprKind::Or(many)
        | ExprKind::Add(many)
        | ExprKind::New(_, many)
        | ExprKind::Array(many) => many.iter().collect(),
        ExprKind::Interpolated(segments) => {
            let expression = |segment: &'e Segment| match segment {
                Segment::Expression(expr) => Some(expr),
                Segment::Text(_) => None,
            };
            segments.iter().filter_map(expression).collect()
        }
    };
    parts.into_iter().for_each(|part| visit_expression(part, visitor));
}

/// Warns of the first member of the certificate that `<inbound>` reads before any test for null.
pub(crate) fn warn_of_missing_null_test(program: &Program, findings: &mut Findings) {
    let (mut is_tested, mut found) = (false, None);
    program.visit(&mut |step| {
        is_tested |= matches!(&step.action, Action::Validate(validation) if !validation.ignore_error);
        for (expression, position) in step.expressions() {
            visit(&expression.syntax, &mut |expr| match &expr.kind {
                ExprKind::Compare(_, one, other) => {
                    is_tested |= is_path(one, CERTIFICATE) || is_path(other, CERTIFICATE);
                }
                ExprKind::Conditional(target, _) => is_tested |= is_path(target, CERTIFICATE),
                ExprKind::Member(target, ..)
                    if !is_tested && found.is_none() && is_path(target, CERTIFICATE) =>
                {
                    let is_inbound = step.location.section == Section::Inbound;
                    let source = expression.source.get(expr.span.clone()).filter(|_| is_inbound);
                    found = source.map(|source| (position, source));
                }
                _ => {}
            });
        }
    });
    if let Some((position, source)) = found {
        let message = format!(
            "requests without a certificate fail with 500 at {source}; compare context.Request.Certificate with null first"
        );
        findings.warn(position, message);
    }
}
