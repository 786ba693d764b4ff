//! C# expressions: read, typed and compiled at load, evaluated within limits.

mod ast;
pub(crate) mod base64;
mod check;
mod eval;
mod lexer;
mod node;
mod parser;
#[cfg(test)]
mod tests;
mod text;
mod time;
mod ty;
mod value;

use std::sync::Arc;

pub(crate) use self::{
    ast::Comparison,
    check::{Scope, Uses},
    eval::{Evaluated, Evaluation, Inputs, LastError, State, Variable, is_trusted, why_not_trusted},
    node::{CertificateText, Constant, Function, Kind, Node, Range, RequestText, Statement},
    text::Case,
    ty::{Base, Type},
    value::{Fault, Value},
};
use super::{error::Findings, reader::Text};

/// A compiled expression.
#[derive(Debug)]
pub(crate) struct Expression {
    pub(crate) root: Node,
    pub(crate) uses: Uses,
    /// The text, for explanations.
    pub(crate) source: Arc<str>,
    /// Variables that must have been set, each with its place.
    pub(crate) variables: Vec<(Arc<str>, super::error::Position)>,
    /// All variables whose values are read.
    pub(crate) reads: Vec<Arc<str>>,
}

impl Expression {
    /// Whether the caller's certificate is looked for among the deployment's.
    pub(crate) fn looks_callers_up(&self) -> bool {
        let (mut looks_up, mut asks) = (false, false);
        self.root.visit(&mut |node| match node.kind {
            Kind::Certificate => asks = true,
            Kind::AnyDeployed(Some(_))
            | Kind::AllDeployed(..)
            | Kind::AnyByThumbprint(..)
            | Kind::FirstDeployed { .. }
            | Kind::HasDeployed(_)
            | Kind::Deployed(_) => looks_up = true,
            _ => {}
        });
        looks_up && asks
    }
}

/// Whether a value is an expression rather than a text.
pub(crate) fn is_expression(text: &str) -> bool {
    let text = text.trim();
    text.starts_with("@(") || text.starts_with("@{")
}

/// Compiles an expression that yields a value of the wanted type. None if there are errors, which are recorded.
pub(crate) fn compile(
    text: &Text,
    wanted: Type,
    scope: Scope,
    findings: &mut Findings,
) -> Option<Expression> {
    let (source, skipped) = match parser::parse(&text.value) {
        Ok(parsed) => parsed,
        Err(problem) => {
            findings.error(text.position(problem.offset), problem.message);
            return None;
        }
    };
    for problem in skipped {
        findings.error(text.position(problem.offset), problem.message);
    }
    let mut checker = check::Checker::new(scope);
    let root = match &source {
        ast::Source::Expression(expression) => checker.whole(expression, wanted),
        ast::Source::Block(statements, span) => checker.block(statements, wanted, span),
    };
    for error in &checker.errors {
        let position = text.position(error.offset);
        match error.about {
            Some((kind, remedy)) => findings.error_about(kind, position, &error.message, remedy),
            None => findings.error(position, error.message.as_str()),
        }
    }
    // Whatever fails has said why. If it has not, the document must not load without it.
    if root.is_err() && !findings.has_errors() {
        findings.error(text.start(), "this expression is not supported");
    }
    for warning in &checker.warnings {
        findings.warn(text.position(warning.offset), warning.message.as_str());
    }
    let variables =
        checker.variables.iter().map(|(name, offset)| (name.clone(), text.position(*offset))).collect();
    Some(Expression {
        root: root.ok()?,
        uses: checker.uses,
        source: text.value.as_str().into(),
        variables,
        reads: checker.reads,
    })
}

/// A moment for explanations.
pub(crate) fn print_moment(ticks: i64) -> String {
    time::format(ticks, "u").unwrap_or_default()
}
