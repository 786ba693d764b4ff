//! Methods of `context.Deployment.Certificates`. Scans for a thumbprint become index look-ups.

use super::{Binding, Checked, Checker, Expr, ExprKind, Function, Node, Span, call, range};
use crate::apim::expression::{
    node::{CertificateText, Kind},
    ty::{Base, Type},
};

impl Checker {
    pub(super) fn deployment_call(
        &mut self,
        base: Base,
        name: &str,
        arguments: &[Expr],
        at: &Span,
        span: &Span,
    ) -> Checked {
        let node = |kind| Node { kind, range: range(span) };
        match (base, name, arguments) {
            (Base::Certificates, "ContainsKey", [key]) | (Base::CertificateKeys, "Contains", [key]) => {
                let key_node = self.expect(key, Type::TEXT)?;
                self.lint_thumbprint_key(&key_node, &key.span);
                Ok((node(Kind::HasDeployed(Box::new(key_node))), Type::BOOL))
            }
            (_, "Any", []) => Ok((node(Kind::AnyDeployed(None)), Type::BOOL)),
            (_, "Any" | "All" | "First" | "FirstOrDefault", [lambda]) => {
                let (slot, condition) = self.entry_lambda(base, lambda)?;
                if name == "Any" {
                    return Ok((node(any_deployed(slot, condition)), Type::BOOL));
                }
                if name == "All" {
                    return Ok((node(Kind::AllDeployed(slot, Box::new(condition))), Type::BOOL));
                }
                let or_default = name == "FirstOrDefault";
                let found = node(Kind::FirstDeployed { slot, condition: Box::new(condition), or_default });
                match base {
                    // In .NET a missing pair is default(KeyValuePair), not null.
                    Base::Certificates if or_default => {
                        self.fail(
                            at,
                            "FirstOrDefault of pairs is not supported; use \
                             context.Deployment.Certificates.Values.FirstOrDefault(...)",
                        )
                    }
                    Base::Certificates => Ok((found, Base::Pair.into())),
                    Base::CertificateKeys => Ok((null_safe(Function::PairKey, found, or_default, self.slot(), span), Type::TEXT)),
                    _ => Ok((
                        null_safe(Function::PairValue, found, or_default, self.slot(), span),
                        Base::Certificate.into(),
                    )),
                }
            }
            (_, "Count", []) => Ok((node(Kind::DeploymentCount), Type::INT)),
            _ => self.fail(
                at,
                format!(
                    "{name} of context.Deployment.Certificates is not supported; use Any, All, First or FirstOrDefault \
                     with a condition, or ContainsKey"
                ),
            ),
        }
    }

    /// Checks a condition on the deployment's entries. Returns the slot of the entry and the condition.
    pub(super) fn entry_lambda(&mut self, base: Base, lambda: &Expr) -> Checked<(usize, Node)> {
        let ExprKind::Lambda(parameter, body) = &lambda.kind else {
            return self
                .fail(&lambda.span, "expected a condition such as c => c.Value.Thumbprint == \"...\"");
        };
        let slot = self.slot();
        let (ty, member) = match base {
            Base::Certificates => (Base::Pair, None),
            Base::CertificateKeys => (Base::Text, Some(Function::PairKey)),
            _ => (Base::Certificate, Some(Function::PairValue)),
        };
        self.names.push(Binding { name: parameter.clone(), ty: Some(ty.into()), slot, member });
        let condition = self.expect(body, Type::BOOL);
        self.names.pop();
        Ok((slot, condition?))
    }
}

/// A member of an entry that can be null.
fn null_safe(part: Function, found: Node, or_default: bool, slot: usize, span: &Span) -> Node {
    if !or_default {
        return call(part, vec![found], span);
    }
    let local = Node { kind: Kind::Local(slot), range: range(span) };
    let rest = Box::new(call(part, vec![local], span));
    Node { kind: Kind::IfNotNull { target: Box::new(found), slot, rest }, range: range(span) }
}

/// Compiles `Any` with a condition: to a look-up if the first comparison is of the thumbprint with a value that
/// does not depend on the entry.
fn any_deployed(slot: usize, condition: Node) -> Kind {
    let (first, rest, whole) = match condition {
        Node { kind: Kind::And(parts), range } => {
            let mut parts = parts.into_vec();
            if parts.first().is_none_or(|first| look_up_key(first, slot).is_none()) {
                return Kind::AnyDeployed(Some((
                    slot,
                    Box::new(Node { kind: Kind::And(parts.into()), range }),
                )));
            }
            let first = parts.remove(0);
            (first, Some(Node { kind: Kind::And(parts.into()), range }), range)
        }
        first => {
            let whole = first.range;
            (first, None, whole)
        }
    };
    let is_key_first = look_up_key(&first, slot);
    match (first.kind, is_key_first) {
        (Kind::Equal { one, other, .. }, Some(is_first)) => {
            let key = if is_first { one } else { other };
            Kind::AnyByThumbprint(key, rest.map(|rest| (slot, Box::new(rest))))
        }
        (kind, _) => Kind::AnyDeployed(Some((slot, Box::new(Node { kind, range: whole })))),
    }
}

/// Recognizes `entry.Value.Thumbprint == key` and `entry.Key == key` with a key that does not read the entry.
/// Some(true) if the key is on the left.
fn look_up_key(condition: &Node, slot: usize) -> Option<bool> {
    let Kind::Equal { one, other, is_negated: false } = &condition.kind else { return None };
    if is_thumbprint_of(one, slot) && !mentions(other, slot) {
        Some(false)
    } else if is_thumbprint_of(other, slot) && !mentions(one, slot) {
        Some(true)
    } else {
        None
    }
}

fn is_thumbprint_of(node: &Node, slot: usize) -> bool {
    let is_part = |node: &Node, part: Function| match &node.kind {
        Kind::Call(function, arguments) => {
            *function == part && matches!(&**arguments, [Node { kind: Kind::Local(of), .. }] if *of == slot)
        }
        _ => false,
    };
    match &node.kind {
        Kind::CertificateText(CertificateText::Thumbprint, certificate) => {
            is_part(certificate, Function::PairValue)
        }
        _ => is_part(node, Function::PairKey),
    }
}

/// True if an expression reads a local. Conservative: true for kinds that are not inspected.
fn mentions(node: &Node, slot: usize) -> bool {
    match &node.kind {
        Kind::Local(local) => *local == slot,
        Kind::Constant(_) | Kind::Certificate | Kind::Variable(_) | Kind::Request(_) => false,
        Kind::CertificateText(_, inner) | Kind::Cast(_, inner) | Kind::Header(_, inner) => {
            mentions(inner, slot)
        }
        Kind::VariableOr(_, _, inner) => mentions(inner, slot),
        Kind::Call(_, arguments) => arguments.iter().any(|argument| mentions(argument, slot)),
        _ => true,
    }
}
