//! Statements.

use super::{Binding, Checked, Checker, Expr, Failed, Kind, Node, Span, Statement, TypeName, node, range};
use crate::apim::expression::ty::{Base, Type};

impl Checker {
    pub(in crate::apim::expression) fn block(
        &mut self,
        statements: &[Statement],
        wanted: Type,
        span: &Span,
    ) -> Checked<Node> {
        let (compiled, returns) = self.statements(statements, wanted)?;
        if !returns {
            return self.fail(span, "not every way through this block ends with return");
        }
        Ok(Node { kind: Kind::Block(compiled), range: range(span) })
    }

    /// The statements, and whether every way through them returns.
    pub(super) fn statements(
        &mut self,
        statements: &[Statement],
        wanted: Type,
    ) -> Checked<(Box<[node::Statement]>, bool)> {
        let visible = self.names.len();
        let mut compiled = Vec::new();
        let (mut returns, mut is_told) = (false, false);
        for statement in statements {
            if returns
                && !is_told
                && let Some(span) = place(statement)
            {
                self.warn(span, "this never runs: every way before it returns");
                is_told = true;
            }
            // All are checked, also after one has failed, so that all errors are found.
            compiled.push(self.statement(statement, wanted, &mut returns));
        }
        self.names.truncate(visible);
        Ok((compiled.into_iter().collect::<Checked<_>>()?, returns))
    }

    fn statement(
        &mut self,
        statement: &Statement,
        wanted: Type,
        returns: &mut bool,
    ) -> Checked<node::Statement> {
        Ok(match statement {
            Statement::Broken(names) => {
                for name in names {
                    self.bind_broken(name);
                }
                return Err(Failed);
            }
            Statement::Return(value) => {
                *returns = true;
                node::Statement::Return(self.expect(value, wanted)?)
            }
            Statement::Declare { name, ty, value, span } => {
                let declared = self.declare(name, ty.as_ref(), value, span);
                if declared.is_err() {
                    self.bind_broken(name);
                }
                declared?
            }
            Statement::Assign { name, value, span } => {
                let found = self.names.iter().rev().find(|binding| binding.name == *name);
                let Some((ty, slot)) = found.map(|binding| (binding.ty, binding.slot)) else {
                    self.sweep([value]);
                    return self.fail(span, format!("{name} is not declared: write var {name} = ..."));
                };
                let Some(ty) = ty else {
                    self.sweep([value]);
                    return Err(Failed);
                };
                self.forget_local(slot);
                node::Statement::Set(slot, self.expect(value, ty)?)
            }
            Statement::If { condition, then, otherwise } => {
                let condition = self.expect(condition, Type::BOOL);
                let then = self.statements(then, wanted);
                let otherwise = self.statements(otherwise, wanted);
                let (condition, (then, one), (otherwise, other)) = (condition?, then?, otherwise?);
                *returns |= one && other;
                node::Statement::If(condition, then, otherwise)
            }
        })
    }

    /// A name of which the declaration has failed: what is said of it is no news.
    fn bind_broken(&mut self, name: &str) {
        if !self.names.iter().any(|binding| binding.name == name) {
            let slot = self.slot();
            self.names.push(Binding { name: name.to_owned(), ty: None, slot, part: None });
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
            return self.fail(span, format!("{name} is declared already"));
        }
        let (node, found) = match (self.value(value), ty.and_then(Type::named)) {
            (Ok(checked), _) => checked,
            (Err(failed), named) => {
                // What is written down is known all the same.
                if let Some(named) = named {
                    let slot = self.slot();
                    self.names.push(Binding { name: name.to_owned(), ty: Some(named), slot, part: None });
                }
                return Err(failed);
            }
        };
        let declared = match ty {
            None if found.base == Base::Null => {
                return self.fail(span, "the type of null is unknown: name the type in place of var");
            }
            None => found,
            Some(ty) => match Type::named(ty) {
                Some(named) if found.fits(named) => named,
                Some(named) => {
                    return self.fail(&value.span, format!("expected {named} but this is {found}"));
                }
                None => return self.fail(&ty.span, format!("{} is no type that is supported here", ty.name)),
            },
        };
        let node = super::converted(node, found, declared);
        let slot = self.slot();
        self.names.push(Binding { name: name.to_owned(), ty: Some(declared), slot, part: None });
        self.note_local(slot, &node);
        Ok(node::Statement::Set(slot, node))
    }
}

fn place(statement: &Statement) -> Option<&Span> {
    match statement {
        Statement::Broken(_) => None,
        Statement::Return(value) => Some(&value.span),
        Statement::Declare { span, .. } | Statement::Assign { span, .. } => Some(span),
        Statement::If { condition, .. } => Some(&condition.span),
    }
}
