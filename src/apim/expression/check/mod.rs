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
    node::{Constant, Kind, Node, SourceRange, Statement},
    ty::{Base, Type},
};
use crate::apim::error::{FindingKind, short};

/// Context of an expression in its document.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Scope {
    /// True if trusted roots are configured.
    pub(crate) has_trust: bool,
    /// True if revocation checks are explicitly off.
    pub(crate) is_revocation_off: bool,
    /// True if `context.LastError` has a value, as in `<on-error>`.
    pub(crate) has_error: bool,
}

/// Inputs that an expression depends on, for checks of whole documents.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
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
    /// Entries of `context.Deployment.Certificates`.
    pub(crate) deployment: bool,
}

impl Dependencies {
    pub(super) const NONE: Self = Self {
        certificate: false,
        request: false,
        time: false,
        trust: false,
        revocation: false,
        deployment: false,
    };

    /// The union of both.
    pub(crate) const fn and(self, other: Self) -> Self {
        Self {
            certificate: self.certificate || other.certificate,
            request: self.request || other.request,
            time: self.time || other.time,
            trust: self.trust || other.trust,
            revocation: self.revocation || other.revocation,
            deployment: self.deployment || other.deployment,
        }
    }
}

/// An error or warning at a byte offset of the source.
#[derive(Debug)]
pub(super) struct CheckerFinding {
    pub(super) offset: usize,
    pub(super) message: String,
    /// Kind and default remedy, for findings that the embedding program can explain better.
    pub(super) about: Option<(FindingKind, &'static str)>,
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
    pub(super) errors: Vec<CheckerFinding>,
    pub(super) warnings: Vec<CheckerFinding>,
    pub(super) dependencies: Dependencies,
    /// Variables that are read without a default, with their offsets.
    pub(super) variables: Vec<(Arc<str>, usize)>,
    /// Visible locals and parameters, innermost last.
    names: Vec<Binding>,
    /// Targets of `?.`, innermost last; None for an invalid target.
    receivers: Vec<Option<(Type, usize)>>,
    /// Locals that contain a text of a certificate.
    tracked_texts: HashMap<usize, lint::TrackedText>,
    /// Locals that contain a list of literals.
    tracked_lists: HashMap<usize, Vec<Box<str>>>,
    slots: usize,
    /// Members that are used.
    #[cfg(test)]
    pub(super) rows: Vec<&'static members::Row>,
}

fn range(span: &Span) -> SourceRange {
    SourceRange { start: span.start, end: span.end }
}

fn constant(constant: Constant, span: &Span) -> Node {
    Node { kind: Kind::Constant(constant), range: range(span) }
}

impl Checker {
    pub(super) fn new(scope: Scope) -> Self {
        Self { scope, ..Self::default() }
    }

    /// Records an error.
    pub(super) fn fail<T>(&mut self, offset: usize, message: impl Into<String>) -> Checked<T> {
        self.errors.push(CheckerFinding { offset, message: message.into(), about: None });
        Err(ErrorReported)
    }

    pub(super) fn fail_about<T>(
        &mut self,
        kind: FindingKind,
        offset: usize,
        problem: impl Into<String>,
        remedy: &'static str,
    ) -> Checked<T> {
        self.errors.push(CheckerFinding { offset, message: problem.into(), about: Some((kind, remedy)) });
        Err(ErrorReported)
    }

    pub(super) fn warn(&mut self, offset: usize, message: impl Into<String>) {
        self.warnings.push(CheckerFinding { offset, message: message.into(), about: None });
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
    fn expect(&mut self, expr: &Expr, wanted: Type) -> Checked<Node> {
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

    /// Checks a whole expression against its expected type.
    pub(super) fn root(&mut self, expr: &Expr, wanted: Type) -> Checked<Node> {
        self.expect(expr, wanted)
    }

    /// Checks an expression. All parts are checked once, also after an error, so that all errors are reported.
    fn expression(&mut self, expr: &Expr) -> Checked {
        let span = &expr.span;
        let node = |kind| Node { kind, range: range(span) };
        Ok(match &expr.kind {
            ExprKind::Null => (constant(Constant::Null, span), Base::Null.into()),
            ExprKind::Bool(value) => (constant(Constant::Bool(*value), span), Type::BOOL),
            ExprKind::Int(value) => (constant(Constant::Int(*value), span), Type::INT),
            ExprKind::Double(value) => (constant(Constant::Double(*value), span), Base::Double.into()),
            ExprKind::Char(value) => (constant(Constant::Char(*value), span), Base::Char.into()),
            ExprKind::Text(value) => (constant(Constant::Text(value.as_str().into()), span), Type::TEXT),
            ExprKind::Interpolated(parts) => self.interpolated(parts, span)?,
            ExprKind::Name(name) => self.name(name, span)?,
            ExprKind::Receiver => match self.receivers.last() {
                Some(Some((ty, slot))) => (node(Kind::Local(*slot)), *ty),
                Some(None) => return Err(ErrorReported),
                None => return self.fail(span.start, "'?.' has no target"),
            },
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
                return self.as_value((constant(Constant::Null, span), Base::Lambda(slot).into()));
            }
        })
    }

    /// Checks operands that are conditions.
    fn conditions(&mut self, operands: &[Expr]) -> Checked<Box<[Node]>> {
        let nodes: Vec<_> = operands.iter().map(|operand| self.expect(operand, Type::BOOL)).collect();
        nodes.into_iter().collect()
    }

    /// Checks a condition on the items of a list, which is None after an error. Returns the slot of the parameter.
    fn lambda(&mut self, parameter: &str, body: &Expr, list: Option<Base>) -> Checked<(usize, Node)> {
        let slot = self.bind(parameter, list.and_then(Base::item).map(Type::from));
        if list == Some(Base::ENTRY_KEYS) {
            self.track_key(slot);
        }
        let body = match list {
            Some(_) => self.expect(body, Type::BOOL),
            None => self.expression(body).map(|(node, _)| node),
        };
        self.names.pop();
        Ok((slot, body?))
    }

    fn array(&mut self, items: &[Expr], span: &Span) -> Checked {
        let items: Vec<_> = items.iter().map(|item| self.expression(item)).collect();
        let items = items.into_iter().collect::<Checked<Vec<_>>>()?;
        let is_chars = !items.is_empty() && items.iter().all(|(_, ty)| ty.base == Base::Char);
        let (element, base) = if is_chars { (Base::Char, Base::Chars) } else { (Base::Text, Base::Texts) };
        let items: Vec<_> = items.into_iter().map(|item| self.fit(item, element.into())).collect();
        let kind = Kind::Array(items.into_iter().collect::<Checked<_>>()?);
        Ok((Node { kind, range: range(span) }, base.into()))
    }

    fn name(&mut self, name: &str, span: &Span) -> Checked {
        if let Some(binding) = self.names.iter().rev().find(|binding| binding.name == name) {
            let node = Node { kind: Kind::Local(binding.slot), range: range(span) };
            return binding.ty.map(|ty| (node, ty)).ok_or(ErrorReported);
        }
        if let Some(base) = members::path(name) {
            return Ok((constant(Constant::Null, span), base.into()));
        }
        let message = match members::entry(members::CLASSES, name) {
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
        let slot = self.slot();
        let receiver = checked.as_ref().ok().map(|(_, ty)| (Type { nullable: false, ..*ty }, slot));
        if let Ok((node, _)) = &checked {
            self.track_local(slot, node);
        }
        self.receivers.push(receiver);
        let rest = self.expression(rest);
        self.receivers.pop();
        let ((target, _), rest) = (checked?, rest?);
        let (rest, ty) = self.as_value(rest)?;
        let kind = Kind::IfNotNull { target: Box::new(target), slot, rest: Box::new(rest) };
        Ok((Node { kind, range: range(span) }, ty.or_null()))
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
        Ok((Node { kind: Kind::Cast(wanted, Box::new(operand)), range: range(span) }, wanted))
    }

    /// `new DateTime(2026, 6, 1)`
    fn construct(&mut self, name: &TypeName, arguments: &[Expr], span: &Span) -> Checked {
        let _ = self.arguments(arguments, None);
        let numbers: Vec<i64> = arguments
            .iter()
            .filter_map(|argument| match argument.kind {
                ExprKind::Int(value) => Some(i64::from(value)),
                _ => None,
            })
            .collect();
        let name = name.name.as_str();
        if let ("DateTime", 3 | 6, [year, month, day, time @ ..]) = (name, arguments.len(), &*numbers)
            && numbers.len() == arguments.len()
        {
            let part = |index| time.get(index).copied().unwrap_or_default();
            return match super::time::from_parts([*year, *month, *day], [part(0), part(1), part(2)]) {
                Some(ticks) => Ok((constant(Constant::DateTime(ticks), span), Base::DateTime.into())),
                None => self.fail(span.start, "the date does not exist"),
            };
        }
        let known = members::entry(members::CONSTRUCTORS, name).map(ToOwned::to_owned);
        self.fail(span.start, known.unwrap_or_else(|| format!("new {name} is not supported")))
    }
}

/// Converts a value to a type that it fits. Null stays null.
fn converted(node: Node, ty: Type, wanted: Type) -> Node {
    if (ty.base, wanted.base) != (Base::Int, Base::Double) {
        return node;
    }
    let range = node.range;
    let kind = match node.kind {
        Kind::Constant(Constant::Int(value)) => Kind::Constant(Constant::Double(value.into())),
        _ => Kind::Call(&members::TO_DOUBLE, [node].into()),
    };
    Node { kind, range }
}
