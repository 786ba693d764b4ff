//! Statements.

use super::{Binding, Checked, Checker, Expr, Kind, Node, Span, Statement, TypeName, node, range};
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
        let mut returns = false;
        for statement in statements {
            compiled.push(match statement {
                Statement::Return(value) => {
                    returns = true;
                    node::Statement::Return(self.expect(value, wanted)?)
                }
                Statement::Declare { name, ty, value, span } => {
                    self.declare(name, ty.as_ref(), value, span)?
                }
                Statement::Assign { name, value, span } => {
                    let found = self.names.iter().rev().find(|binding| binding.name == *name);
                    let Some((ty, slot)) = found.map(|binding| (binding.ty, binding.slot)) else {
                        return self.fail(span, format!("{name} is not declared: write var {name} = ..."));
                    };
                    node::Statement::Set(slot, self.expect(value, ty)?)
                }
                Statement::If { condition, then, otherwise } => {
                    let condition = self.expect(condition, Type::BOOL)?;
                    let (then, one) = self.statements(then, wanted)?;
                    let (otherwise, other) = self.statements(otherwise, wanted)?;
                    returns |= one && other;
                    node::Statement::If(condition, then, otherwise)
                }
            });
        }
        self.names.truncate(visible);
        Ok((compiled.into(), returns))
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
        let (node, found) = self.value(value)?;
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
        let slot = self.slot();
        self.names.push(Binding { name: name.to_owned(), ty: declared, slot, part: None });
        Ok(node::Statement::Set(slot, node))
    }
}
