//! Type checker: resolves names, members and types at load.

mod block;
mod call;
mod certificate;
mod class;
mod deployment;
mod lint;
mod member;
mod operator;
mod text;
mod time;

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use super::{
    ast::{Comparison, Expr, ExprKind, Segment, Span, Stmt, TypeName},
    node::{self, Constant, Function, Kind, Node, SourceRange},
    text::Case,
    ty::{Base, Class, Type},
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
        }
    }
}

/// An error or warning at a byte offset of the source.
#[derive(Debug, PartialEq)]
pub(super) struct CheckerFinding {
    pub(super) offset: usize,
    pub(super) message: String,
    /// Kind and default remedy, for findings that the embedding program can explain better.
    pub(super) about: Option<(FindingKind, &'static str)>,
}

const BY_REFERENCE: &str = "distinguished names are compared by reference in .NET and are never equal; compare .Name, as \
                            in SubjectName.Name";

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
    /// Member of the entry in the slot, for a parameter over keys or values.
    member: Option<Function>,
}

type Checked<T = (Node, Type)> = Result<T, ErrorReported>;

#[derive(Debug, Default)]
pub(super) struct Checker {
    scope: Scope,
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
    /// Spans that were checked again after an error around them.
    rechecked: HashSet<(usize, usize)>,
    pub(super) slots: usize,
}

pub(super) fn range(span: &Span) -> SourceRange {
    SourceRange { start: span.start, end: span.end }
}

fn constant(constant: Constant, span: &Span) -> Node {
    Node { kind: Kind::Constant(constant), range: range(span) }
}

fn call(function: Function, arguments: Vec<Node>, span: &Span) -> Node {
    Node { kind: Kind::Call(function, arguments.into()), range: range(span) }
}

/// .NET classes that APIM supports and this crate does not, with their alternatives.
const UNSUPPORTED_CLASSES: [(&[&str], &str); 5] = [
    (&["Regex", "Match"], "; use Contains, StartsWith, EndsWith or Split"),
    (&["JObject", "JToken", "JArray", "JProperty", "JsonConvert"], "; concatenate strings to write JSON"),
    (&["Guid", "Random"], "; let the backend generate the value"),
    (&["Math", "Enumerable", "Environment", "Encoding", "StringBuilder", "Array"], ""),
    (&["WebUtility", "HttpUtility", "Uri"], "; query parameters are decoded already"),
];

/// Converts a value to a type that it fits.
fn converted(node: Node, ty: Type, wanted: Type) -> Node {
    if (ty.base, wanted.base) != (Base::Int, Base::Double) {
        return node;
    }
    let range = node.range;
    let kind = match node.kind {
        Kind::Constant(Constant::Int(value)) => Kind::Constant(Constant::Double(value.into())),
        _ => Kind::Call(Function::ToDouble, [node].into()),
    };
    Node { kind, range }
}

impl Checker {
    pub(super) fn new(scope: Scope) -> Self {
        Self { scope, ..Self::default() }
    }

    fn fail<T>(&mut self, span: &Span, message: impl Into<String>) -> Checked<T> {
        self.report(CheckerFinding { offset: span.start, message: message.into(), about: None })
    }

    fn fail_about<T>(
        &mut self,
        kind: FindingKind,
        span: &Span,
        problem: impl Into<String>,
        remedy: &'static str,
    ) -> Checked<T> {
        self.report(CheckerFinding {
            offset: span.start,
            message: problem.into(),
            about: Some((kind, remedy)),
        })
    }

    /// Records an error once: an expression can be checked repeatedly.
    fn report<T>(&mut self, finding: CheckerFinding) -> Checked<T> {
        if !self.errors.contains(&finding) {
            self.errors.push(finding);
        }
        Err(ErrorReported)
    }

    fn warn(&mut self, span: &Span, message: impl Into<String>) {
        self.warnings.push(CheckerFinding { offset: span.start, message: message.into(), about: None });
    }

    fn slot(&mut self) -> usize {
        self.slots += 1;
        self.slots - 1
    }

    /// Checks an expression whose value is used.
    pub(super) fn value(&mut self, expr: &Expr) -> Checked {
        let (node, ty) = self.expression(expr)?;
        if !ty.has_values() {
            return self.fail(&expr.span, format!("{ty} is not a value; use one of its members"));
        }
        Ok((node, ty))
    }

    /// Checks an expression against an expected type.
    fn expect(&mut self, expr: &Expr, wanted: Type) -> Checked<Node> {
        let (node, ty) = self.value(expr)?;
        if ty.fits(wanted) {
            return Ok(converted(node, ty, wanted));
        }
        let hint = match (ty.base, wanted.base) {
            (Base::Bool, Base::Bool) => "; compare it with true or add ?? false",
            (Base::Object, _) => "; cast it, as in (string)context.Variables[\"name\"]",
            _ => "",
        };
        self.fail(&expr.span, format!("expected {wanted}, found {ty}{hint}"))
    }

    /// Checks a whole expression against its expected type.
    pub(super) fn root(&mut self, expr: &Expr, wanted: Type) -> Checked<Node> {
        self.expect(expr, wanted)
    }

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
            ExprKind::Interpolated(parts) => {
                let expressions = parts.iter().filter_map(|part| match part {
                    Segment::Expression(expression) => Some(expression),
                    Segment::Text(_) => None,
                });
                let checked = self.interpolated(parts, span);
                self.or_check_operands(checked, expressions)?
            }
            ExprKind::Name(name) => self.name(name, span)?,
            ExprKind::Receiver => match self.receivers.last() {
                Some(Some((ty, slot))) => (node(Kind::Local(*slot)), *ty),
                Some(None) => return Err(ErrorReported),
                None => return self.fail(span, "'?.' has no target"),
            },
            ExprKind::Member(target, name, at) => self.member(target, name, at, span)?,
            ExprKind::Call(callee, generic, arguments) => {
                let checked = self.call(callee, generic.as_ref(), arguments, span);
                self.or_check_operands(checked, arguments)?
            }
            ExprKind::Index(target, index) => {
                let checked = self.index(target, index, span);
                self.or_check_operands(checked, [&**index])?
            }
            ExprKind::Conditional(target, rest) => self.conditional(target, rest, span)?,
            ExprKind::Not(operand) => {
                let operand = self.expect(operand, Type::BOOL)?;
                (node(Kind::Not(Box::new(operand))), Type::BOOL)
            }
            ExprKind::Negate(operand) => {
                let (operand, ty) = self.value(operand)?;
                if !ty.is_number() || ty.nullable {
                    return self.fail(span, format!("'-' does not apply to {ty}"));
                }
                (call(Function::Negate, vec![operand], span), ty)
            }
            ExprKind::And(operands) => (node(Kind::And(self.conditions(operands)?)), Type::BOOL),
            ExprKind::Or(operands) => (node(Kind::Or(self.conditions(operands)?)), Type::BOOL),
            ExprKind::Add(operands) => self.plus(operands, span)?,
            ExprKind::Subtract(left, right) => self.minus(left, right, span)?,
            ExprKind::Coalesce(left, right) => {
                let (one, other) = (self.value(left), self.value(right));
                let ((left_node, left_ty), (right, right_ty)) = (one?, other?);
                if !left_ty.can_be_null() {
                    return self.fail(&left.span, format!("'??' has no effect: {left_ty} is never null"));
                }
                let bare = Type { nullable: false, ..left_ty };
                let ty = match right_ty.fits(bare) {
                    true => Some(Type { nullable: right_ty.nullable && bare.is_value(), ..bare }),
                    false => left_ty.common(right_ty),
                };
                match ty {
                    Some(ty) => {
                        let left = converted(left_node, left_ty, ty);
                        let right = converted(right, right_ty, ty);
                        (node(Kind::Coalesce(Box::new(left), Box::new(right))), ty)
                    }
                    None => {
                        return self.fail(span, format!("'??' does not apply to {left_ty} and {right_ty}"));
                    }
                }
            }
            ExprKind::Compare(comparison, left, right) => self.compare(*comparison, left, right, span)?,
            ExprKind::Ternary(condition, then, otherwise) => {
                let condition = self.expect(condition, Type::BOOL);
                let then = self.value(then);
                let otherwise = self.value(otherwise);
                let (condition, (then, one), (otherwise, other)) = (condition?, then?, otherwise?);
                match one.common(other) {
                    Some(ty) => {
                        let then = Box::new(converted(then, one, ty));
                        let otherwise = Box::new(converted(otherwise, other, ty));
                        (node(Kind::Ternary(Box::new(condition), then, otherwise)), ty)
                    }
                    None => {
                        return self.fail(
                            span,
                            format!("the branches of '?:' have no common type: {one} and {other}"),
                        );
                    }
                }
            }
            ExprKind::Cast(name, operand) => self.cast(name, operand, span)?,
            ExprKind::New(name, arguments) => {
                let checked = self.construct(name, arguments, span);
                self.or_check_operands(checked, arguments)?
            }
            ExprKind::Array(items) => {
                let items: Vec<_> = items.iter().map(|item| self.expect(item, Type::TEXT)).collect();
                let items = items.into_iter().collect::<Result<Vec<_>, _>>()?;
                (node(Kind::Array(items.into())), Base::Texts.into())
            }
            ExprKind::Lambda(..) => {
                return self.fail(span, "a lambda is only supported in Any, All, First and FirstOrDefault");
            }
        })
    }

    /// Checks the operands of an invalid expression, so that all errors are reported.
    fn or_check_operands<'e>(
        &mut self,
        checked: Checked,
        rest: impl IntoIterator<Item = &'e Expr>,
    ) -> Checked {
        if checked.is_err() {
            self.check_for_errors(rest);
        }
        checked
    }

    /// Checks expressions for errors only, each at most once.
    fn check_for_errors<'e>(&mut self, rest: impl IntoIterator<Item = &'e Expr>) {
        for expr in rest {
            if !self.rechecked.insert((expr.span.start, expr.span.end)) {
                continue;
            }
            match &expr.kind {
                ExprKind::Lambda(parameter, body) => {
                    let slot = self.slot();
                    self.names.push(Binding { name: parameter.clone(), ty: None, slot, member: None });
                    self.check_for_errors([&**body]);
                    self.names.pop();
                }
                _ => {
                    // Only its errors matter, and they are recorded.
                    let _ = self.expression(expr);
                }
            }
        }
    }

    /// Checks all operands, also after an error, so that all errors are reported.
    fn conditions(&mut self, operands: &[Expr]) -> Checked<Box<[Node]>> {
        let nodes: Vec<_> = operands.iter().map(|operand| self.expect(operand, Type::BOOL)).collect();
        nodes.into_iter().collect()
    }

    fn name(&mut self, name: &str, span: &Span) -> Checked {
        if let Some(binding) = self.names.iter().rev().find(|binding| binding.name == name) {
            let local = Node { kind: Kind::Local(binding.slot), range: range(span) };
            let node = match binding.member {
                Some(part) => call(part, vec![local], span),
                None => local,
            };
            return binding.ty.map(|ty| (node, ty)).ok_or(ErrorReported);
        }
        let base = match name {
            "context" => Base::Context,
            _ => match Class::from_name(name) {
                Some(class) => Base::Class(class),
                None => {
                    let known = UNSUPPORTED_CLASSES.iter().find(|(known, _)| known.contains(&name));
                    let name = short(name);
                    return match known {
                        Some((_, remedy)) => self.fail(span, format!("{name} is not supported{remedy}")),
                        None => {
                            self.fail(span, format!("{name} is not defined; expressions begin with context"))
                        }
                    };
                }
            },
        };
        Ok((constant(Constant::Null, span), base.into()))
    }

    fn conditional(&mut self, target: &Expr, rest: &Expr, span: &Span) -> Checked {
        let checked = self.value(target);
        let Ok((target_node, ty)) = checked else {
            self.receivers.push(None);
            self.check_for_errors([rest]);
            self.receivers.pop();
            return Err(ErrorReported);
        };
        if !ty.can_be_null() {
            return self.fail(&target.span, format!("{ty} is never null; use '.' instead of '?.'"));
        }
        let slot = self.slot();
        self.track_local(slot, &target_node);
        self.receivers.push(Some((Type { nullable: false, ..ty }, slot)));
        let rest = self.value(rest);
        self.receivers.pop();
        let (rest, ty) = rest?;
        let kind = Kind::IfNotNull { target: Box::new(target_node), slot, rest: Box::new(rest) };
        Ok((Node { kind, range: range(span) }, ty.or_null()))
    }

    fn cast(&mut self, name: &TypeName, operand: &Expr, span: &Span) -> Checked {
        let (operand_node, ty) = self.value(operand)?;
        let Some(wanted) = Type::from_name(name) else {
            return self.fail(&name.span, format!("type {} is not supported", name.name));
        };
        if ty.fits(wanted) {
            return Ok((converted(operand_node, ty, wanted), wanted));
        }
        if ty.base != Base::Object
            || !matches!(
                wanted.base,
                Base::Text
                    | Base::Bool
                    | Base::Int
                    | Base::Double
                    | Base::DateTime
                    | Base::TimeSpan
                    | Base::Certificate
            )
        {
            return self.fail(span, format!("{ty} cannot be cast to {wanted}"));
        }
        Ok((Node { kind: Kind::Cast(wanted, Box::new(operand_node)), range: range(span) }, wanted))
    }

    /// The value of a string literal; None for other expressions.
    fn literal(expr: &Expr) -> Option<&str> {
        match &expr.kind {
            ExprKind::Text(text) => Some(text),
            _ => None,
        }
    }

    /// Checks a constant of `StringComparison`.
    fn case(&mut self, expr: &Expr) -> Checked<Case> {
        let (node, ty) = self.expression(expr)?;
        let (Base::Constant(Class::StringComparison), Kind::Constant(Constant::Int(code))) =
            (ty.base, node.kind)
        else {
            return self.fail(&expr.span, format!("expected a StringComparison, found {ty}"));
        };
        Ok(match code {
            4 => Case::Ordinal,
            5 => Case::OrdinalIgnoreCase,
            code if code % 2 == 1 => Case::CultureIgnoreCase,
            _ => Case::Culture,
        })
    }
}
