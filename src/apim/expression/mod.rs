//! C# expressions: parsed, type-checked and compiled at load; evaluated within limits.

mod ast;
pub(crate) mod base64;
mod check;
mod eval;
mod members;
mod node;
mod parser;
mod text;
mod time;
mod ty;
mod value;

use std::sync::Arc;

pub(crate) use self::{
    ast::{Comparison, Expr, ExprKind, Segment, Stmt, SyntaxTree},
    check::{Dependencies, Scope, Slot},
    eval::{Evaluated, Evaluation, Inputs, LastError, State, Trace, TracedPart, Variable},
    node::{Kind, Node},
    ty::{Base, Type},
    value::{Fault, Value},
};
use super::{
    error::{Findings, Position},
    reader::Text,
};

/// A compiled expression.
#[derive(Debug)]
pub(crate) struct Expression {
    pub(crate) root: Node,
    pub(crate) syntax: SyntaxTree,
    pub(crate) dependencies: Dependencies,
    /// Source text, for explanations.
    pub(crate) source: Arc<str>,
    /// Variables that are read without a default, with their positions.
    pub(crate) variables: Vec<(Arc<str>, Position)>,
    /// Variables and headers that are read.
    pub(crate) reads: Vec<Slot>,
}

impl Expression {
    /// Returns true if the caller's certificate is looked up in `context.Deployment.Certificates`.
    pub(crate) fn looks_up_caller(&self) -> bool {
        self.dependencies.certificate && self.dependencies.entries
    }
}

/// Returns true if a value is an expression rather than literal text.
pub(crate) fn is_expression(text: &str) -> bool {
    let text = text.trim();
    text.starts_with("@(") || text.starts_with("@{")
}

/// Compiles an expression of type `wanted`. Returns None if it has errors, which are added to `findings`.
pub(crate) fn compile(
    text: &Text,
    wanted: Type,
    scope: Scope,
    findings: &mut Findings,
) -> Option<Expression> {
    let (syntax, skipped) = match parser::parse(&text.value) {
        Ok(parsed) => parsed,
        Err(error) => {
            findings.error(text.position(error.offset), error.message);
            return None;
        }
    };
    for error in skipped {
        findings.error(text.position(error.offset), error.message);
    }
    let mut checker = check::Checker::new(text.clone(), scope);
    let root = match &syntax {
        SyntaxTree::Expression(expression) => checker.expect(expression, wanted),
        SyntaxTree::Block(statements, span) => checker.block(statements, wanted, span),
    };
    findings.append(checker.findings);
    // A failed check has reported an error. If it has not, the document must still not load.
    if root.is_err() && !findings.has_errors() {
        findings.error(text.start(), "the expression is not supported");
    }
    Some(Expression {
        root: root.ok()?,
        syntax,
        dependencies: checker.dependencies,
        source: text.value.as_str().into(),
        variables: checker.variables,
        reads: checker.reads,
    })
}

/// Formats a moment for explanations: `2026-01-01 00:00:00Z`.
pub(crate) fn format_date_time(ticks: i64) -> String {
    time::format(ticks, "u").unwrap_or_default()
}
