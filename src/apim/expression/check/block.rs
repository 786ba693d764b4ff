//! Statements of blocks.

use super::{Binding, Checked, Checker, ErrorReported, Expr, Kind, Node, Span, Stmt, TypeName, node, range};
use crate::apim::expression::ty::{Base, Type};

impl Checker {
    pub(in crate::apim::expression) fn block(
        &mut self,
        statements: &[Stmt],
        wanted: Type,
        span: &Span,
    ) -> Checked<Node> {
        let (compiled, returns) = self.statements(statements, wanted)?;
        if !returns {
            return self.fail(span, "not all paths of the block return a value");
        }
        Ok(Node { kind: Kind::Block(compiled), range: range(span) })
    }

    /// Checks statements. Returns them, and true if all paths return.
    pub(super) fn statements(
        &mut self,
        statements: &[Stmt],
        wanted: Type,
    ) -> Checked<(Box<[node::Statement]>, bool)> {
        let visible = self.names.len();
        let mut compiled = Vec::new();
        let (mut returns, mut is_reported) = (false, false);
        for statement in statements {
            if returns
                && !is_reported
                && let Some(span) = span_of(statement)
            {
                self.warn(span, "unreachable: all paths before it return");
                is_reported = true;
            }
            // Check all, also after an error, so that all errors are reported.
            compiled.push(self.statement(statement, wanted, &mut returns));
        }
        self.names.truncate(visible);
        Ok((compiled.into_iter().collect::<Checked<_>>()?, returns))
    }

    fn statement(&mut self, statement: &Stmt, wanted: Type, returns: &mut bool) -> Checked<node::Statement> {
        Ok(match statement {
            Stmt::Invalid(names) => {
                for name in names {
                    self.bind_invalid(name);
                }
                return Err(ErrorReported);
            }
            Stmt::Return(value) => {
                *returns = true;
                node::Statement::Return(self.expect(value, wanted)?)
            }
            Stmt::Declare { name, ty, value, span } => {
                let declared = self.declare(name, ty.as_ref(), value, span);
                if declared.is_err() {
                    self.bind_invalid(name);
                }
                declared?
            }
            Stmt::Assign { name, value, span } => {
                let found = self.names.iter().rev().find(|binding| binding.name == *name);
                let Some((ty, slot)) = found.map(|binding| (binding.ty, binding.slot)) else {
                    self.check_for_errors([value]);
                    return self.fail(span, format!("{name} is not declared; write var {name} = ..."));
                };
                let Some(ty) = ty else {
                    self.check_for_errors([value]);
                    return Err(ErrorReported);
                };
                self.untrack_local(slot);
                node::Statement::Set(slot, self.expect(value, ty)?)
            }
            Stmt::If { condition, then, otherwise } => {
                let condition = self.expect(condition, Type::BOOL);
                let then = self.statements(then, wanted);
                let otherwise = self.statements(otherwise, wanted);
                let (condition, (then, one), (otherwise, other)) = (condition?, then?, otherwise?);
                *returns |= one && other;
                node::Statement::If(condition, then, otherwise)
            }
        })
    }

    /// Binds the name of an invalid declaration, so that uses of it are not reported.
    fn bind_invalid(&mut self, name: &str) {
        if !self.names.iter().any(|binding| binding.name == name) {
            let slot = self.slot();
            self.names.push(Binding { name: name.to_owned(), ty: None, slot, member: None });
        }
    }

    pub(super) fn declare(
        &mut self,
        name: &str,
        ty: Option<&TypeName>,
        value: &Expr,
        span: &Span,
    ) -> Checked<node::Statement> {
        if self.names.iter().any(|binding| binding.name == name) || name == "context" {
            return self.fail(span, format!("{name} is already declared"));
        }
        let (node, found) = match (self.value(value), ty.and_then(Type::from_name)) {
            (Ok(checked), _) => checked,
            (Err(failed), named) => {
                // The declared type is known although the value is invalid.
                if let Some(named) = named {
                    let slot = self.slot();
                    self.names.push(Binding { name: name.to_owned(), ty: Some(named), slot, member: None });
                }
                return Err(failed);
            }
        };
        let declared = match ty {
            None if found.base == Base::Null => {
                return self.fail(span, "the type of null is unknown; write the type instead of var");
            }
            None => found,
            Some(ty) => match Type::from_name(ty) {
                Some(named) if found.fits(named) => named,
                Some(named) => {
                    return self.fail(&value.span, format!("expected {named}, found {found}"));
                }
                None => return self.fail(&ty.span, format!("type {} is not supported", ty.name)),
            },
        };
        let node = super::converted(node, found, declared);
        let slot = self.slot();
        self.names.push(Binding { name: name.to_owned(), ty: Some(declared), slot, member: None });
        self.track_local(slot, &node);
        Ok(node::Statement::Set(slot, node))
    }
}

fn span_of(statement: &Stmt) -> Option<&Span> {
    match statement {
        Stmt::Invalid(_) => None,
        Stmt::Return(value) => Some(&value.span),
        Stmt::Declare { span, .. } | Stmt::Assign { span, .. } => Some(span),
        Stmt::If { condition, .. } => Some(&condition.span),
    }
}
