//! Statements of blocks.

use super::{Base, Checked, Checker, ErrorReported, Expr, Kind, Node, Span, Statement, Stmt, Type, TypeName};

impl Checker {
    pub(crate) fn block(&mut self, statements: &[Stmt], wanted: Type, span: &Span) -> Checked<Node> {
        let (compiled, returns) = self.statements(statements, wanted)?;
        if !returns {
            return self.fail(span.start, "not all paths of the block return a value");
        }
        Ok(Node { kind: Kind::Block(compiled), range: span.clone() })
    }

    /// Checks statements. Returns them, and true if all paths return.
    pub(super) fn statements(
        &mut self,
        statements: &[Stmt],
        wanted: Type,
    ) -> Checked<(Box<[Statement]>, bool)> {
        let visible = self.names.len();
        let mut compiled = Vec::new();
        let (mut returns, mut is_reported) = (false, false);
        for statement in statements {
            if returns
                && !is_reported
                && let Some(span) = span_of(statement)
            {
                self.warn(span.start, "unreachable: all paths before it return");
                is_reported = true;
            }
            // Check all, also after an error, so that all errors are reported.
            compiled.push(self.statement(statement, wanted, &mut returns));
        }
        self.names.truncate(visible);
        Ok((compiled.into_iter().collect::<Checked<_>>()?, returns))
    }

    fn statement(&mut self, statement: &Stmt, wanted: Type, returns: &mut bool) -> Checked<Statement> {
        Ok(match statement {
            Stmt::Invalid(names) => {
                for name in names {
                    self.bind_invalid(name);
                }
                return Err(ErrorReported);
            }
            Stmt::Return(value) => {
                *returns = true;
                Statement::Return(self.expect(value, wanted)?)
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
                    let _ = self.expression(value);
                    return self.fail(span.start, format!("{name} is not declared; write var {name} = ..."));
                };
                let Some(ty) = ty else {
                    return Err(self.expression(value).err().unwrap_or(ErrorReported));
                };
                self.values.remove(&slot);
                Statement::Set(slot, self.expect(value, ty)?)
            }
            Stmt::If { condition, then, otherwise } => {
                let condition = self.expect(condition, Type::BOOL);
                let then = self.statements(then, wanted);
                let otherwise = self.statements(otherwise, wanted);
                let (condition, (then, one), (otherwise, other)) = (condition?, then?, otherwise?);
                *returns |= one && other;
                Statement::If(condition, then, otherwise)
            }
        })
    }

    /// Binds the name of an invalid declaration, so that uses of it are not reported.
    fn bind_invalid(&mut self, name: &str) {
        if !self.names.iter().any(|binding| binding.name == name) {
            self.bind(name, None);
        }
    }

    pub(super) fn declare(
        &mut self,
        name: &str,
        ty: Option<&TypeName>,
        value: &Expr,
        span: &Span,
    ) -> Checked<Statement> {
        let checked = self.value(value);
        if self.names.iter().any(|binding| binding.name == name) || name == "context" {
            return self.fail(span.start, format!("{name} is already declared"));
        }
        let named = ty.map(|ty| Type::from_name(ty).ok_or(ty));
        // The declared type is known although the value is invalid.
        if let (Err(_), Some(Ok(named))) = (&checked, named) {
            self.bind(name, Some(named));
        }
        let (node, found) = checked?;
        let (node, declared) = match named {
            None if found.base == Base::Null => {
                return self.fail(span.start, "the type of null is unknown; write the type instead of var");
            }
            None => (node, found),
            Some(Ok(named)) => (self.fit((node, found), named)?, named),
            Some(Err(ty)) => return self.fail(ty.span.start, format!("type {} is not supported", ty.name)),
        };
        let slot = self.bind(name, Some(declared));
        self.values.insert(slot, node.clone());
        Ok(Statement::Set(slot, node))
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
