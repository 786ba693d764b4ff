//! Warnings about expressions that fail for requests without a certificate.

use super::syntax::{CERTIFICATE, is_path, visit};
use crate::apim::{
    error::Findings,
    expression::ExprKind,
    program::{Action, Program, Section},
};

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
