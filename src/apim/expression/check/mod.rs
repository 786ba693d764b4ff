//! Type checker: resolves names, members and types at load.

mod block;
mod lint;
mod member;
mod operator;

use std::{collections::HashMap, sync::Arc};

pub(super) use self::member::MemberUse;
use super::{
    ast::{Comparison, Expr, ExprKind, Segment, Span, Stmt, TypeName},
    members,
    node::{Kind, Node, Statement},
    ty::{Base, Type},
    value::Value,
};
use crate::apim::{
    error::{FindingKind, Findings, Position, short},
    reader::Text,
};

/// Context of an expression in its document.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Scope {
    /// True if trusted roots are configured.
    pub(crate) has_trust: bool,
    /// True if the roots have revocation lists, or are declared to have none.
    pub(crate) declares_revocation: bool,
    /// True if `context.LastError` has a value, as in `<on-error>`.
    pub(crate) has_error: bool,
}

/// Inputs that an expression depends on, for checks of whole documents.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Dependencies {
    /// The caller's certificate.
    pub(crate) certificate: bool,
    /// Request data that the caller chooses: headers, URL, method and source address.
    pub(crate) request: bool,
    /// The time of evaluation.
    pub(crate) time: bool,
    /// The trusted roots.
    pub(crate) trust: bool,
    /// Revocation of certificates.
    pub(crate) revocation: bool,
    /// `context.Deployment.Certificates`.
    pub(crate) deployment: bool,
    /// Certain entries of `context.Deployment.Certificates`.
    pub(crate) entries: bool,
}

impl Dependencies {
    /// The union of both.
    pub(crate) fn and(self, other: Self) -> Self {
        Self {
            certificate: self.certificate || other.certificate,
            request: self.request || other.request,
            time: self.time || other.time,
            trust: self.trust || other.trust,
            revocation: self.revocation || other.revocation,
            deployment: self.deployment || other.deployment,
            entries: self.entries || other.entries,
        }
    }
}

/// A value that elements set and expressions read, by name.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Slot {
    Variable(Arc<str>),
    /// A header of the request, in lower case.
    Header(Arc<str>),
}

/// Marker: the error has been recorded.
#[derive(Debug)]
pub(super) struct ErrorReported;

/// A local or a parameter.
#[derive(Debug)]
struct Binding {
    name: String,
    /// None if the declaration is invalid.
    ty: Option<Type>,
    slot: usize,
}

pub(super) type Typed = (Node, Type);
pub(super) type Checked<T = Typed> = Result<T, ErrorReported>;

#[derive(Debug, Default)]
pub(super) struct Checker {
    pub(super) scope: Scope,
    /// The source, for positions.
    pub(super) text: Text,
    pub(super) findings: Findings,
    pub(super) dependencies: Dependencies,
    /// Variables that are read without a default, with their positions.
    pub(super) variables: Vec<(Arc<str>, Position)>,
    /// Variables and headers that are read.
    pub(super) reads: Vec<Slot>,
    /// Visible locals and parameters, innermost last. The target of `?.` is a local named `?.`.
    names: Vec<Binding>,
    /// Values of locals, for warnings.
    values: HashMap<usize, Node>,
    slots: usize,
    /// Members that are used.
    #[cfg(test)]
    pub(super) rows: Vec<&'static members::Row>,
}

/// Checks all, also after an error, so that all errors are reported.
fn all<T>(checked: impl Iterator<Item = Checked<T>>) -> Checked<Vec<T>> {
    checked.collect::<Vec<_>>().into_iter().collect()
}

fn constant(constant: Value<'static>, span: &Span) -> Node {
    Node { kind: Kind::Constant(constant), range: span.clone() }
}

impl Checker {
    pub(super) fn new(text: Text, scope: Scope) -> Self {
        Self { text, scope, ..Self::default() }
    }

    /// Records an error.
    pub(super) fn fail<T>(&mut self, offset: usize, message: impl Into<String>) -> Checked<T> {
        self.findings.error(self.text.position(offset), message);
        Err(ErrorReported)
    }

    /// Records an error that the embedding program can explain better, with the default remedy.
    pub(super) fn fail_about<T>(
        &mut self,
        kind: FindingKind,
        offset: usize,
        problem: &str,
        remedy: &str,
    ) -> Checked<T> {
        self.findings.error_about(kind, self.text.position(offset), problem, remedy);
        Err(ErrorReported)
    }

    pub(super) fn warn(&mut self, offset: usize, message: impl Into<String>) {
        self.findings.warn(self.text.position(offset), message);
    }

    pub(super) fn slot(&mut self) -> usize {
        self.slots += 1;
        self.slots - 1
    }

    fn bind(&mut self, name: &str, ty: Option<Type>) -> usize {
        let slot = self.slot();
        self.names.push(Binding { name: name.to_owned(), ty, slot });
        slot
    }

    /// Checks an expression whose value is used.
    fn value(&mut self, expr: &Expr) -> Checked {
        let typed = self.expression(expr)?;
        self.as_value(typed)
    }

    /// Checks that an expression has a value.
    pub(super) fn as_value(&mut self, (node, ty): Typed) -> Checked {
        match ty.base {
            _ if ty.has_values() => Ok((node, ty)),
            Base::Lambda(_) => self
                .fail(node.range.start, "a lambda is only supported in Any, All, First and FirstOrDefault"),
            _ => self.fail(node.range.start, format!("{ty} is not a value; use one of its members")),
        }
    }

    /// Checks an expression against an expected type.
    pub(super) fn expect(&mut self, expr: &Expr, wanted: Type) -> Checked<Node> {
        let typed = self.expression(expr)?;
        self.fit(typed, wanted)
    }

    /// Converts a value to an expected type.
    pub(super) fn fit(&mut self, typed: Typed, wanted: Type) -> Checked<Node> {
        let (node, ty) = self.as_value(typed)?;
        if ty.fits(wanted) {
            return Ok(converted(node, ty, wanted));
        }
        let hint = match (ty.base, wanted.base) {
            (Base::Bool, Base::Bool) => "; compare it with true or add ?? false",
            (Base::Object, _) => "; cast it, as in (string)context.Variables[\"name\"]",
            (Base::DistinguishedName, _) => {
                ", which .NET compares by reference; compare .Name, as in SubjectName.Name"
            }
            _ => "",
        };
        self.fail(node.range.start, format!("expected {wanted}, found {ty}{hint}"))
    }

    /// Checks an expression. All parts are checked once, also after an error, so that all errors are reported.
    fn expression(&mut self, expr: &Expr) -> Checked {
        let span = &expr.span;
        let node = |kind| Node { kind, range: span.clone() };
        Ok(match &expr.kind {
            ExprKind::Null => (constant(Value::Null, span), Base::Null.into()),
            ExprKind::Bool(value) => (constant(Value::Bool(*value), span), Type::BOOL),
            ExprKind::Int(value) => (constant(Value::Int(*value), span), Type::INT),
            ExprKind::Double(value) => (constant(Value::Double(*value), span), Base::Double.into()),
            ExprKind::Char(value) => (constant(Value::Char(*value), span), Base::Char.into()),
            ExprKind::Text(value) => (constant(Value::Text(value.clone().into()), span), Type::TEXT),
            ExprKind::Interpolated(parts) => self.interpolated(parts, span)?,
            ExprKind::Name(name) => self.name(name, span)?,
            ExprKind::Receiver => self.name("?.", span)?,
            ExprKind::Member(target, name, at) => self.property(target, name, at, span)?,
            ExprKind::Call(callee, generic, arguments) => {
                self.call(callee, generic.as_ref(), arguments, span)?
            }
            ExprKind::Index(target, index) => self.index(target, index, span)?,
            ExprKind::Conditional(target, rest) => self.conditional(target, rest, span)?,
            ExprKind::Not(operand) => {
                (node(Kind::Not(Box::new(self.expect(operand, Type::BOOL)?))), Type::BOOL)
            }
            ExprKind::Negate(operand) => {
                let operand = self.value(operand)?;
                self.operator("-", operand, None, span)?
            }
            ExprKind::And(operands) => (node(Kind::And(self.conditions(operands)?)), Type::BOOL),
            ExprKind::Or(operands) => (node(Kind::Or(self.conditions(operands)?)), Type::BOOL),
            ExprKind::Add(operands) => self.plus(operands, span)?,
            ExprKind::Subtract(left, right) => {
                let (left, right) = (self.value(left), self.value(right));
                self.operator("-", left?, Some(right?), span)?
            }
            ExprKind::Coalesce(left, right) => self.coalesce(left, right, span)?,
            ExprKind::Compare(comparison, left, right) => self.compare(*comparison, left, right, span)?,
            ExprKind::Ternary(condition, then, otherwise) => {
                self.ternary(condition, then, otherwise, span)?
            }
            ExprKind::Cast(name, operand) => self.cast(name, operand, span)?,
            ExprKind::New(name, arguments) => self.construct(name, arguments, span)?,
            ExprKind::Array(items) => self.array(items, span)?,
            ExprKind::Lambda(parameter, body) => {
                let (slot, _) = self.lambda(parameter, body, None)?;
                return self.as_value((constant(Value::Null, span), Base::Lambda(slot).into()));
            }
        })
    }

    /// Checks operands that are conditions.
    fn conditions(&mut self, operands: &[Expr]) -> Checked<Box<[Node]>> {
        all(operands.iter().map(|operand| self.expect(operand, Type::BOOL))).map(Into::into)
    }

    /// Checks a condition on the items of a list, which is None after an error. Returns the slot of the parameter.
    fn lambda(&mut self, parameter: &str, body: &Expr, list: Option<Base>) -> Checked<(usize, Node)> {
        let slot = self.bind(parameter, list.and_then(Base::item).map(Type::from));
        if list == Some(Base::ENTRY_KEYS)
            && let Some(row) = members::rows(Base::Pair, "Key", false).next()
        {
            self.values.insert(slot, Node { kind: Kind::Call(row, [].into()), range: body.span.clone() });
        }
        let body = match list {
            Some(_) => self.expect(body, Type::BOOL),
            None => self.expression(body).map(|(node, _)| node),
        };
        self.names.pop();
        Ok((slot, body?))
    }

    fn array(&mut self, items: &[Expr], span: &Span) -> Checked {
        let items = all(items.iter().map(|item| self.expression(item)))?;
        let is_chars = !items.is_empty() && items.iter().all(|(_, ty)| ty.base == Base::Char);
        let (element, base) = if is_chars { (Base::Char, Base::Chars) } else { (Base::Text, Base::Texts) };
        let items = all(items.into_iter().map(|item| self.fit(item, element.into())))?;
        let kind = Kind::Array(items.into());
        Ok((Node { kind, range: span.clone() }, base.into()))
    }

    fn name(&mut self, name: &str, span: &Span) -> Checked {
        if let Some(binding) = self.names.iter().rev().find(|binding| binding.name == name) {
            let node = Node { kind: Kind::Local(binding.slot), range: span.clone() };
            return binding.ty.map(|ty| (node, ty)).ok_or(ErrorReported);
        }
        if let Some(base) = members::path(name) {
            return Ok((constant(Value::Null, span), base.into()));
        }
        let message = match members::remedy(members::CLASS, name) {
            Some(remedy) => format!("{} is not supported{remedy}", short(name)),
            None => format!("{} is not defined; expressions begin with context", short(name)),
        };
        self.fail(span.start, message)
    }

    fn conditional(&mut self, target: &Expr, rest: &Expr, span: &Span) -> Checked {
        let checked = self.value(target).and_then(|(node, ty)| match ty.can_be_null() {
            true => Ok((node, ty)),
            false => self.fail(target.span.start, format!("{ty} is never null; use '.' instead of '?.'")),
        });
        let checked_type = checked.as_ref().ok().map(|(_, ty)| Type { nullable: false, ..*ty });
        let slot = self.bind("?.", checked_type);
        if let Ok((node, _)) = &checked {
            self.values.insert(slot, node.clone());
        }
        let rest = self.expression(rest);
        self.names.pop();
        let ((target, _), rest) = (checked?, rest?);
        let (rest, ty) = self.as_value(rest)?;
        let kind = Kind::IfNotNull(slot, Box::new(target), Box::new(rest));
        Ok((Node { kind, range: span.clone() }, ty.or_null()))
    }

    fn cast(&mut self, name: &TypeName, operand: &Expr, span: &Span) -> Checked {
        use Base::{Bool, Certificate, DateTime, Double, Int, Text, TimeSpan};
        let (operand, ty) = self.value(operand)?;
        let Some(wanted) = Type::from_name(name) else {
            return self.fail(name.span.start, format!("type {} is not supported", name.name));
        };
        if ty.fits(wanted) {
            return Ok((converted(operand, ty, wanted), wanted));
        }
        let is_known = matches!(wanted.base, Text | Bool | Int | Double | DateTime | TimeSpan | Certificate);
        if ty.base != Base::Object || !is_known {
            return self.fail(span.start, format!("{ty} cannot be cast to {wanted}"));
        }
        Ok((Node { kind: Kind::Cast(wanted, Box::new(operand)), range: span.clone() }, wanted))
    }

    /// `new DateTime(2026, 6, 1)`
    fn construct(&mut self, name: &TypeName, arguments: &[Expr], span: &Span) -> Checked {
        let _ = self.arguments(arguments, None);
        let numbers = arguments.iter().map(|argument| match argument.kind {
            ExprKind::Int(value) => Some(i64::from(value)),
            _ => None,
        });
        let numbers: Option<Vec<_>> = numbers.collect();
        let name = name.name.as_str();
        let parts = match numbers.as_deref() {
            Some(&[year, month, day]) => Some(([year, month, day], [0; 3])),
            Some(&[year, month, day, hour, minute, second]) => {
                Some(([year, month, day], [hour, minute, second]))
            }
            _ => None,
        };
        if let Some((date, time)) = parts.filter(|_| name == "DateTime") {
            return match super::time::from_parts(date, time) {
                Some(ticks) => Ok((constant(Value::DateTime(ticks), span), Base::DateTime.into())),
                None => self.fail(span.start, "the date does not exist"),
            };
        }
        let remedy = members::remedy(members::CONSTRUCTOR, name).unwrap_or_default();
        self.fail(span.start, format!("new {name} is not supported{remedy}"))
    }
}

/// Converts a value to a type that it fits. Null stays null.
fn converted(node: Node, ty: Type, wanted: Type) -> Node {
    if (ty.base, wanted.base) != (Base::Int, Base::Double) {
        return node;
    }
    let range = node.range.clone();
    let kind = match node.kind {
        Kind::Constant(Value::Int(value)) => Kind::Constant(Value::Double(value.into())),
        _ => Kind::Call(&members::TO_DOUBLE, [node].into()),
    };
    Node { kind, range }
}
