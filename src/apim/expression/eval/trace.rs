//! Trace of a condition: results of its parts, and the facts behind them.

use super::Evaluated;
use crate::{
    apim::expression::{
        node::{Kind, Node, SourceRange},
        value::Value,
    },
    certificate::Certificate,
};

/// Maximum number of parts of one condition.
const MAX_PARTS: usize = 200;

/// The parts of a condition in evaluation order, up to the deciding one. Parts are the operands of `&&` and `||`, at any
/// depth.
#[derive(Debug, Default)]
pub(crate) struct Trace<'r> {
    pub(crate) parts: Vec<TracedPart<'r>>,
    depth: usize,
    /// The part that is evaluated.
    current: Option<&'r Node>,
}

/// A part of a condition, or the negation of several parts, which follow one level deeper.
#[derive(Debug)]
pub(crate) struct TracedPart<'r> {
    pub(crate) range: SourceRange,
    pub(crate) depth: usize,
    pub(crate) is_negation: bool,
    pub(crate) result: Evaluated<bool>,
    /// Value of the first operand of a comparison that is not a constant.
    pub(crate) found: Option<Value<'r>>,
    /// Certificates whose chain was verified and is not trusted.
    pub(crate) untrusted: Vec<&'r Certificate>,
    /// True if entries of `context.Deployment.Certificates` were read.
    pub(crate) reads_deployment: bool,
}

impl<'r> Trace<'r> {
    /// Begins a condition. Returns its index; None for `&&` and `||`, and inside of a part.
    pub(super) fn begin(&mut self, node: &'r Node) -> Option<usize> {
        let is_split = |node: &Node| matches!(node.kind, Kind::And(_) | Kind::Or(_));
        if self.current.is_some() || self.parts.len() >= MAX_PARTS || is_split(node) {
            return None;
        }
        let is_negation = matches!(&node.kind, Kind::Not(inner) if is_split(inner));
        self.parts.push(TracedPart {
            range: node.range,
            depth: self.depth,
            is_negation,
            result: Ok(false),
            found: None,
            untrusted: Vec::new(),
            reads_deployment: false,
        });
        match is_negation {
            true => self.depth += 1,
            false => self.current = Some(node),
        }
        Some(self.parts.len() - 1)
    }

    /// Ends a condition.
    pub(super) fn end(&mut self, index: usize, result: &Evaluated<bool>) {
        self.current = None;
        if let Some(part) = self.parts.get_mut(index) {
            self.depth = part.depth;
            part.result = result.clone();
        }
    }

    /// Records an operand of a comparison.
    pub(super) fn operand(&mut self, comparison: &Node, operand: &Node, value: &Value<'r>) {
        let is_part = self.current.is_some_and(|part| std::ptr::eq(part, comparison));
        if let Some(part) = self.parts.last_mut().filter(|_| is_part)
            && !matches!(operand.kind, Kind::Constant(_))
        {
            part.found.get_or_insert_with(|| value.clone());
        }
    }

    /// The part that is evaluated.
    pub(super) fn current(&mut self) -> Option<&mut TracedPart<'r>> {
        self.current.and_then(|_| self.parts.last_mut())
    }
}
