//! Inputs, mutable state and traces of evaluations for one request.

use std::{cell::OnceCell, sync::Arc};

use http::HeaderMap;

use super::Evaluated;
use crate::{
    apim::{
        deployment::{Deployment, DeploymentCertificates},
        expression::{Kind, Node, Value, ast::Span},
        facts::RequestFacts,
        trust::DocumentTrust,
    },
    certificate::{Certificate, Presented, Timestamp},
    policy::TrustAnchors,
};

/// Inputs of evaluations, constant for one request.
#[derive(Debug)]
pub(crate) struct Inputs<'r> {
    pub(crate) facts: RequestFacts<'r>,
    pub(crate) now: Timestamp,
    pub(crate) trust: Option<&'r DocumentTrust>,
    pub(crate) deployment: Option<&'r dyn Deployment>,
    snapshot: OnceCell<Arc<DeploymentCertificates>>,
}

impl<'r> Inputs<'r> {
    pub(crate) fn new(
        facts: RequestFacts<'r>,
        now: Timestamp,
        trust: Option<&'r DocumentTrust>,
        deployment: Option<&'r dyn Deployment>,
    ) -> Self {
        Self { facts, now, trust, deployment, snapshot: OnceCell::new() }
    }

    /// The deployment's certificates, read once per request.
    pub(crate) fn deployed(&self) -> &DeploymentCertificates {
        self.snapshot.get_or_init(|| match self.deployment {
            Some(deployment) => deployment.certificates(),
            None => Arc::default(),
        })
    }

    /// The caller's certificate, or null.
    pub(crate) fn certificate(&self) -> Value<'r> {
        match self.facts.presented {
            Presented::Certificate(certificate) => Value::Certificate(certificate, false),
            _ => Value::Null,
        }
    }
}

/// A variable that the document has set.
#[derive(Debug, Clone)]
pub(crate) struct Variable<'r> {
    pub(crate) name: &'r str,
    pub(crate) value: Value<'r>,
    /// True if the value was computed from the certificate.
    pub(crate) reads_certificate: bool,
}

/// `context.LastError`.
#[derive(Debug, Clone, Default)]
pub(crate) struct LastError {
    pub(crate) source: String,
    pub(crate) reason: &'static str,
    pub(crate) message: String,
    pub(crate) scope: &'static str,
    pub(crate) section: &'static str,
    pub(crate) path: String,
    pub(crate) policy_id: Option<String>,
}

/// Mutable state of evaluations for one request.
#[derive(Debug, Default)]
pub(crate) struct State<'r> {
    /// The request's headers, once the document has changed them.
    pub(crate) headers: Option<HeaderMap>,
    pub(crate) variables: Vec<Variable<'r>>,
    pub(crate) last_error: Option<LastError>,
    /// True if the certificate, or a variable computed from it, was read since this was last set to false.
    pub(crate) certificate_read: bool,
    /// The trace of the condition that is evaluated, for explanations.
    pub(crate) trace: Option<Trace<'r>>,
    pub(super) locals: Vec<Value<'r>>,
    pub(super) steps: u32,
    pub(super) bytes: usize,
}

/// Maximum number of parts of one condition.
const MAX_PARTS: usize = 200;

/// The parts of a condition in evaluation order, up to the deciding one. Parts are the operands of `&&` and `||`, at any
/// depth.
#[derive(Debug, Default)]
pub(crate) struct Trace<'r> {
    pub(crate) parts: Vec<TracedPart<'r>>,
    depth: usize,
    /// The part that is evaluated.
    pub(super) current: Option<&'r Node>,
}

/// A part of a condition, or the negation of several parts, which follow one level deeper.
#[derive(Debug)]
pub(crate) struct TracedPart<'r> {
    pub(crate) range: Span,
    pub(crate) depth: usize,
    pub(crate) is_negation: bool,
    pub(crate) result: Evaluated<bool>,
    /// Value of the first operand of a comparison that is not a constant.
    pub(crate) found: Option<Value<'r>>,
    /// Certificates without a valid chain, and the roots of the check.
    pub(crate) untrusted: Vec<(&'r Certificate, &'r TrustAnchors)>,
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
            range: node.range.clone(),
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
}
