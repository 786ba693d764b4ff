//! From what a text says to what it means: names, members and types are settled at load.

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
    ast::{Comparison, Expr, ExprKind, Part, Span, Statement, TypeName},
    node::{self, Constant, Function, Kind, Node, Range},
    text::Case,
    ty::{Base, Class, Type},
};
use crate::apim::error::{FindingKind, short};

/// What the text may ask for that depends on where it stands.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Scope {
    pub(crate) has_trust: bool,
    /// The trust's revocation is stated to be off.
    pub(crate) is_revocation_off: bool,
    /// `context.LastError` has a value: in `on-error`.
    pub(crate) has_error: bool,
}

/// What an expression looks at, for judgements about whole documents.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Uses {
    /// The caller's certificate.
    pub(crate) certificate: bool,
    /// What whoever makes a certificate writes into it: names, the serial number, dates, all of it.
    pub(crate) content: bool,
    /// What the caller writes at will: headers, the URL, the method, and where it calls from.
    pub(crate) request: bool,
    pub(crate) variables: bool,
    /// The moment at which it is evaluated.
    pub(crate) time: bool,
    /// The trusted roots.
    pub(crate) trust: bool,
    /// Whether certificates are revoked.
    pub(crate) revocation: bool,
}

impl Uses {
    /// What is left of it in a value that was made of it: when that was made, and with which trust, is settled.
    pub(crate) fn of_value(self) -> Self {
        Self { time: false, trust: false, revocation: false, ..self }
    }

    pub(crate) fn and(self, other: Self) -> Self {
        Self {
            certificate: self.certificate || other.certificate,
            content: self.content || other.content,
            request: self.request || other.request,
            variables: self.variables || other.variables,
            time: self.time || other.time,
            trust: self.trust || other.trust,
            revocation: self.revocation || other.revocation,
        }
    }
}

/// A finding at a span of the text.
#[derive(Debug, PartialEq)]
pub(super) struct Finding {
    pub(super) offset: usize,
    pub(super) message: String,
    /// What it is about, and the remedy, where others may know a better one.
    pub(super) about: Option<(FindingKind, &'static str)>,
}

const BY_REFERENCE: &str = "names are compared by reference in .NET, so this would never hold: compare .Name, as in \
                            SubjectName.Name";

/// Marks that an error was recorded.
#[derive(Debug)]
pub(super) struct Failed;

/// A local or a parameter.
#[derive(Debug)]
struct Binding {
    name: String,
    /// None if its declaration has failed.
    ty: Option<Type>,
    slot: usize,
    /// A parameter that is a part of the entry in the slot.
    part: Option<Function>,
}

type Checked<T = (Node, Type)> = Result<T, Failed>;

#[derive(Debug, Default)]
pub(super) struct Checker {
    scope: Scope,
    pub(super) errors: Vec<Finding>,
    pub(super) warnings: Vec<Finding>,
    pub(super) uses: Uses,
    /// Names of variables that are read without a default.
    pub(super) variables: Vec<(Arc<str>, usize)>,
    /// Names of all variables whose values are read.
    pub(super) reads: Vec<Arc<str>>,
    /// Locals and parameters that are visible, innermost last.
    names: Vec<Binding>,
    /// The locals of `?.`, innermost last; None for one that has failed.
    receivers: Vec<Option<(Type, usize)>>,
    /// What stands in locals that hold texts of a certificate, or lists which are written out.
    texts: HashMap<usize, lint::Seen>,
    lists: HashMap<usize, Vec<Box<str>>>,
    /// What was checked again because something around it had failed.
    swept: HashSet<(usize, usize)>,
    pub(super) slots: usize,
}

pub(super) fn range(span: &Span) -> Range {
    Range { start: span.start, end: span.end }
}

fn constant(constant: Constant, span: &Span) -> Node {
    Node { kind: Kind::Constant(constant), range: range(span) }
}

fn call(function: Function, arguments: Vec<Node>, span: &Span) -> Node {
    Node { kind: Kind::Call(function, arguments.into()), range: range(span) }
}

/// Classes of .NET that expressions in APIM may use, with what to do instead.
const ELSEWHERE: [(&[&str], &str); 5] = [
    (&["Regex", "Match"], "use Contains, StartsWith, EndsWith and Split with a StringComparison"),
    (
        &["JObject", "JToken", "JArray", "JProperty", "JsonConvert"],
        "no JSON is read here; texts are joined with +",
    ),
    (&["Guid", "Random"], "nothing is made up here; write the value, or let the backend make one"),
    (
        &["Math", "Enumerable", "Environment", "Encoding", "StringBuilder", "Array"],
        "compare, join and convert without it",
    ),
    (
        &["WebUtility", "HttpUtility", "Uri"],
        "query parameters are decoded already, and headers are read as they are",
    ),
];

/// The same value of the type that it is to have, which it fits.
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
        self.found(Finding { offset: span.start, message: message.into(), about: None })
    }

    fn fail_about<T>(
        &mut self,
        kind: FindingKind,
        span: &Span,
        problem: impl Into<String>,
        remedy: &'static str,
    ) -> Checked<T> {
        self.found(Finding { offset: span.start, message: problem.into(), about: Some((kind, remedy)) })
    }

    /// What is checked again, because something else around it failed, is told once.
    fn found<T>(&mut self, finding: Finding) -> Checked<T> {
        if !self.errors.contains(&finding) {
            self.errors.push(finding);
        }
        Err(Failed)
    }

    fn warn(&mut self, span: &Span, message: impl Into<String>) {
        self.warnings.push(Finding { offset: span.start, message: message.into(), about: None });
    }

    fn slot(&mut self) -> usize {
        self.slots += 1;
        self.slots - 1
    }

    /// An expression whose value is used: it must have one.
    pub(super) fn value(&mut self, expr: &Expr) -> Checked {
        let (node, ty) = self.expression(expr)?;
        if !ty.has_values() {
            return self.fail(&expr.span, format!("{ty} is no value: name a member of it"));
        }
        Ok((node, ty))
    }

    /// An expression that must fit a type.
    fn expect(&mut self, expr: &Expr, wanted: Type) -> Checked<Node> {
        let (node, ty) = self.value(expr)?;
        if ty.fits(wanted) {
            return Ok(converted(node, ty, wanted));
        }
        let hint = match (ty.base, wanted.base) {
            (Base::Bool, Base::Bool) => ": it may be null, compare it with true or write ?? false",
            (Base::Object, _) => ": cast it, as in (string)context.Variables[\"name\"]",
            _ => "",
        };
        self.fail(&expr.span, format!("expected {wanted} but this is {ty}{hint}"))
    }

    /// A whole expression of the type that is wanted.
    pub(super) fn whole(&mut self, expr: &Expr, wanted: Type) -> Checked<Node> {
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
                let holes = parts.iter().filter_map(|part| match part {
                    Part::Hole(hole) => Some(hole),
                    Part::Text(_) => None,
                });
                let checked = self.interpolated(parts, span);
                self.or_sweep(checked, holes)?
            }
            ExprKind::Name(name) => self.name(name, span)?,
            ExprKind::Receiver => match self.receivers.last() {
                Some(Some((ty, slot))) => (node(Kind::Local(*slot)), *ty),
                Some(None) => return Err(Failed),
                None => return self.fail(span, "nothing stands left of '?.'"),
            },
            ExprKind::Member(target, name, at) => self.member(target, name, at, span)?,
            ExprKind::Call(callee, generic, arguments) => {
                let checked = self.call(callee, generic.as_ref(), arguments, span);
                self.or_sweep(checked, arguments)?
            }
            ExprKind::Index(target, index) => {
                let checked = self.index(target, index, span);
                self.or_sweep(checked, [&**index])?
            }
            ExprKind::Conditional(target, rest) => self.conditional(target, rest, span)?,
            ExprKind::Not(operand) => {
                let operand = self.expect(operand, Type::BOOL)?;
                (node(Kind::Not(Box::new(operand))), Type::BOOL)
            }
            ExprKind::Minus(operand) => {
                let (operand, ty) = self.value(operand)?;
                if !ty.is_number() || ty.nullable {
                    return self.fail(span, format!("'-' does not apply to {ty}"));
                }
                (call(Function::Negate, vec![operand], span), ty)
            }
            ExprKind::And(operands) => (node(Kind::And(self.conditions(operands)?)), Type::BOOL),
            ExprKind::Or(operands) => (node(Kind::Or(self.conditions(operands)?)), Type::BOOL),
            ExprKind::Plus(operands) => self.plus(operands, span)?,
            ExprKind::Minusing(left, right) => self.minus(left, right, span)?,
            ExprKind::Coalesce(left, right) => {
                let (one, other) = (self.value(left), self.value(right));
                let ((left_node, left_ty), (right, right_ty)) = (one?, other?);
                if !left_ty.can_be_null() {
                    return self.fail(&left.span, format!("{left_ty} is never null, so '??' has no effect"));
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
                    None => return self.fail(span, format!("the branches are {one} and {other}")),
                }
            }
            ExprKind::Cast(name, operand) => self.cast(name, operand, span)?,
            ExprKind::New(name, arguments) => {
                let checked = self.construct(name, arguments, span);
                self.or_sweep(checked, arguments)?
            }
            ExprKind::Array(items) => {
                let items: Vec<_> = items.iter().map(|item| self.expect(item, Type::TEXT)).collect();
                let items = items.into_iter().collect::<Result<Vec<_>, _>>()?;
                (node(Kind::Array(items.into())), Base::Texts.into())
            }
            ExprKind::Lambda(..) => {
                return self.fail(span, "a lambda stands only in Any, All, First and FirstOrDefault");
            }
        })
    }

    /// Checks what an expression is made of if it has failed, so that all errors are found.
    fn or_sweep<'e>(&mut self, checked: Checked, rest: impl IntoIterator<Item = &'e Expr>) -> Checked {
        if checked.is_err() {
            self.sweep(rest);
        }
        checked
    }

    /// Checks expressions for their errors alone; each once, however many around it have failed.
    fn sweep<'e>(&mut self, rest: impl IntoIterator<Item = &'e Expr>) {
        for expr in rest {
            if !self.swept.insert((expr.span.start, expr.span.end)) {
                continue;
            }
            match &expr.kind {
                ExprKind::Lambda(parameter, body) => {
                    let slot = self.slot();
                    self.names.push(Binding { name: parameter.clone(), ty: None, slot, part: None });
                    self.sweep([&**body]);
                    self.names.pop();
                }
                _ => {
                    // Its errors are recorded, which is all that is wanted of it.
                    let _ = self.expression(expr);
                }
            }
        }
    }

    /// All operands are checked, also after one has failed, so that all errors are found.
    fn conditions(&mut self, operands: &[Expr]) -> Checked<Box<[Node]>> {
        let nodes: Vec<_> = operands.iter().map(|operand| self.expect(operand, Type::BOOL)).collect();
        nodes.into_iter().collect()
    }

    fn name(&mut self, name: &str, span: &Span) -> Checked {
        if let Some(binding) = self.names.iter().rev().find(|binding| binding.name == name) {
            let local = Node { kind: Kind::Local(binding.slot), range: range(span) };
            let node = match binding.part {
                Some(part) => call(part, vec![local], span),
                None => local,
            };
            return binding.ty.map(|ty| (node, ty)).ok_or(Failed);
        }
        let base = match name {
            "context" => Base::Context,
            _ => match Class::named(name) {
                Some(class) => Base::Class(class),
                None => {
                    let known = ELSEWHERE.iter().find(|(known, _)| known.contains(&name));
                    let name = short(name);
                    return match known {
                        Some((_, remedy)) => self.fail(span, format!("{name} is not supported: {remedy}")),
                        None => self
                            .fail(span, format!("{name} is not known here: expressions begin with context")),
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
            self.sweep([rest]);
            self.receivers.pop();
            return Err(Failed);
        };
        if !ty.can_be_null() {
            return self.fail(&target.span, format!("{ty} is never null: write '.' in place of '?.'"));
        }
        let slot = self.slot();
        self.note_local(slot, &target_node);
        self.receivers.push(Some((Type { nullable: false, ..ty }, slot)));
        let rest = self.value(rest);
        self.receivers.pop();
        let (rest, ty) = rest?;
        let kind = Kind::IfNotNull { target: Box::new(target_node), slot, rest: Box::new(rest) };
        Ok((Node { kind, range: range(span) }, ty.or_null()))
    }

    fn cast(&mut self, name: &TypeName, operand: &Expr, span: &Span) -> Checked {
        let (operand_node, ty) = self.value(operand)?;
        let Some(wanted) = Type::named(name) else {
            return self.fail(&name.span, format!("{} is no type that is supported here", name.name));
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
                    | Base::Moment
                    | Base::Span
                    | Base::Certificate
            )
        {
            return self.fail(span, format!("{ty} cannot be cast to {wanted}"));
        }
        Ok((Node { kind: Kind::Cast(wanted, Box::new(operand_node)), range: range(span) }, wanted))
    }

    /// The string that an expression is at load; expressions that are not constant have none.
    fn literal(expr: &Expr) -> Option<&str> {
        match &expr.kind {
            ExprKind::Text(text) => Some(text),
            _ => None,
        }
    }

    /// A constant of `StringComparison`.
    fn case(&mut self, expr: &Expr) -> Checked<Case> {
        let (node, ty) = self.expression(expr)?;
        let (Base::Constant(Class::StringComparison), Kind::Constant(Constant::Int(code))) =
            (ty.base, node.kind)
        else {
            return self.fail(&expr.span, format!("expected a StringComparison but this is {ty}"));
        };
        Ok(match code {
            4 => Case::Ordinal,
            5 => Case::OrdinalIgnoreCase,
            code if code % 2 == 1 => Case::CultureIgnoreCase,
            _ => Case::Culture,
        })
    }
}
