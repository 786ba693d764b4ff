//! From what a text says to what it means: names, members and types are settled at load.

mod call;
mod class;
mod lint;
mod member;
mod text;

use std::sync::Arc;

use super::{
    ast::{Comparison, Expr, ExprKind, Part, Span, Statement, TypeName},
    node::{self, Constant, Function, Kind, Node, Range},
    text::Case,
    ty::{Base, Class, Type},
};

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
    /// Subject, issuer or another name of it.
    pub(crate) names: bool,
    /// Something of it that nobody can forge: its thumbprint, its place in the deployment, a chain.
    pub(crate) proof: bool,
    /// What the caller writes at will: headers and the URL.
    pub(crate) request: bool,
    pub(crate) variables: bool,
    /// The moment at which it is evaluated.
    pub(crate) time: bool,
}

impl Uses {
    pub(crate) fn and(self, other: Self) -> Self {
        Self {
            certificate: self.certificate || other.certificate,
            names: self.names || other.names,
            proof: self.proof || other.proof,
            request: self.request || other.request,
            variables: self.variables || other.variables,
            time: self.time || other.time,
        }
    }
}

/// A finding at a span of the text.
#[derive(Debug)]
pub(super) struct Finding {
    pub(super) offset: usize,
    pub(super) message: String,
}

/// Marks that an error was recorded.
#[derive(Debug)]
pub(super) struct Failed;

/// A local or a parameter.
#[derive(Debug)]
struct Binding {
    name: String,
    ty: Type,
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
    /// Locals and parameters that are visible, innermost last.
    names: Vec<Binding>,
    /// The locals of `?.`, innermost last.
    receivers: Vec<(Type, usize)>,
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

impl Checker {
    pub(super) fn new(scope: Scope) -> Self {
        Self { scope, ..Self::default() }
    }

    fn fail<T>(&mut self, span: &Span, message: impl Into<String>) -> Checked<T> {
        self.errors.push(Finding { offset: span.start, message: message.into() });
        Err(Failed)
    }

    fn warn(&mut self, span: &Span, message: impl Into<String>) {
        self.warnings.push(Finding { offset: span.start, message: message.into() });
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
            return Ok(node);
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
            ExprKind::Interpolated(parts) => self.interpolated(parts, span)?,
            ExprKind::Name(name) => self.name(name, span)?,
            ExprKind::Receiver => match self.receivers.last() {
                Some((ty, slot)) => (node(Kind::Local(*slot)), *ty),
                None => return self.fail(span, "nothing stands left of '?.'"),
            },
            ExprKind::Member(target, name, at) => self.member(target, name, at, span)?,
            ExprKind::Call(callee, generic, arguments) => {
                self.call(callee, generic.as_ref(), arguments, span)?
            }
            ExprKind::Index(target, index) => self.index(target, index, span)?,
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
                let (left_node, left_ty) = self.value(left)?;
                let (right, right_ty) = self.value(right)?;
                if !left_ty.can_be_null() {
                    return self.fail(&left.span, format!("{left_ty} is never null, so '??' has no effect"));
                }
                let bare = Type { nullable: false, ..left_ty };
                let ty = match right_ty.fits(bare) {
                    true => Some(Type { nullable: right_ty.nullable && bare.is_value(), ..bare }),
                    false => left_ty.common(right_ty),
                };
                match ty {
                    Some(ty) => (node(Kind::Coalesce(Box::new(left_node), Box::new(right))), ty),
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
                        (node(Kind::Ternary(Box::new(condition), Box::new(then), Box::new(otherwise))), ty)
                    }
                    None => return self.fail(span, format!("the branches are {one} and {other}")),
                }
            }
            ExprKind::Cast(name, operand) => self.cast(name, operand, span)?,
            ExprKind::New(name, arguments) => self.construct(name, arguments, span)?,
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
            return Ok((node, binding.ty));
        }
        let base = match name {
            "context" => Base::Context,
            _ => match Class::named(name) {
                Some(class) => Base::Class(class),
                None => {
                    return self
                        .fail(span, format!("{name} is not known here: expressions begin with context"));
                }
            },
        };
        Ok((constant(Constant::Null, span), base.into()))
    }

    fn conditional(&mut self, target: &Expr, rest: &Expr, span: &Span) -> Checked {
        let (target_node, ty) = self.value(target)?;
        if !ty.can_be_null() {
            return self.fail(&target.span, format!("{ty} is never null: write '.' in place of '?.'"));
        }
        let slot = self.slot();
        self.receivers.push((Type { nullable: false, ..ty }, slot));
        let rest = self.value(rest);
        self.receivers.pop();
        let (rest, ty) = rest?;
        let kind = Kind::IfNotNull { target: Box::new(target_node), slot, rest: Box::new(rest) };
        Ok((Node { kind, range: range(span) }, ty.or_null()))
    }

    fn compare(&mut self, comparison: Comparison, left: &Expr, right: &Expr, span: &Span) -> Checked {
        let (one, other) = (self.value(left), self.value(right));
        let ((one, one_ty), (other, other_ty)) = (one?, other?);
        let node = |kind| Node { kind, range: range(span) };
        if !matches!(comparison, Comparison::Equal | Comparison::Unequal) {
            let is_ordered =
                |ty: Type| ty.is_number() || matches!(ty.base, Base::Moment | Base::Span | Base::Char);
            if !is_ordered(one_ty) || one_ty.common(other_ty).is_none() {
                return self.fail(span, format!("{one_ty} and {other_ty} have no order"));
            }
            let kind = Kind::Order(comparison, Box::new(one), Box::new(other));
            return Ok((node(kind), Type::BOOL));
        }
        self.check_equality(one_ty, other_ty, left, right, span)?;
        self.lint_equality(&one, &other, comparison, span);
        let is_negated = comparison == Comparison::Unequal;
        Ok((node(Kind::Equal { one: Box::new(one), other: Box::new(other), is_negated }), Type::BOOL))
    }

    /// Whether `==` compares what the text means it to compare.
    fn check_equality(
        &mut self,
        one: Type,
        other: Type,
        left: &Expr,
        right: &Expr,
        span: &Span,
    ) -> Checked<()> {
        for (null, ty, at) in [(one, other, right), (other, one, left)] {
            if null.base == Base::Null && !ty.can_be_null() {
                return self.fail(&at.span, format!("{ty} is never null"));
            }
        }
        if one.base == Base::Null || other.base == Base::Null {
            return Ok(());
        }
        let is_text = |ty: Type| matches!(ty.base, Base::Text | Base::Name);
        let comparable = (is_text(one) && is_text(other)) || (one.common(other).is_some_and(Type::is_value));
        if comparable {
            return Ok(());
        }
        let remedy = match (one.base, other.base) {
            (Base::Object, _) | (_, Base::Object) => ": cast it, as in (string)context.Variables[\"name\"]",
            (Base::Certificate, _) => ": compare the certificates' Thumbprint",
            _ => "",
        };
        self.fail(span, format!("{one} and {other} are not compared{remedy}"))
    }

    fn cast(&mut self, name: &TypeName, operand: &Expr, span: &Span) -> Checked {
        let (operand_node, ty) = self.value(operand)?;
        let Some(wanted) = Type::named(name) else {
            return self.fail(&name.span, format!("{} is no type that is supported here", name.name));
        };
        if ty.fits(wanted) {
            return Ok((operand_node, wanted));
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

    /// `a + b + c`, from the left: numbers add up until a string comes.
    fn plus(&mut self, operands: &[Expr], span: &Span) -> Checked {
        let checked: Vec<_> = operands.iter().map(|operand| self.value(operand)).collect();
        let mut sum: Option<(Node, Type)> = None;
        let mut texts: Option<Vec<Node>> = None;
        let mut sums = 0;
        for (operand, at) in checked.into_iter().zip(operands) {
            let (node, ty) = operand?;
            if let Some(texts) = &mut texts {
                texts.push(self.printable(node, ty, &at.span)?);
                continue;
            }
            sum = Some(match sum.take() {
                None => (node, ty),
                Some((left, left_ty)) if left_ty.base == Base::Text || ty.base == Base::Text => {
                    let left = self.printable(left, left_ty, span)?;
                    texts = Some(vec![left, self.printable(node, ty, &at.span)?]);
                    continue;
                }
                Some((left, left_ty)) => {
                    sums += 1;
                    let function = match (left_ty.base, ty.base) {
                        _ if left_ty.nullable || ty.nullable || sums > 16 => None,
                        (Base::Int | Base::Double, Base::Int | Base::Double) => Some(Function::Add),
                        (Base::Moment, Base::Span) => Some(Function::PlusSpan),
                        (Base::Span, Base::Span) => Some(Function::AddSpans),
                        _ => None,
                    };
                    let Some(function) = function else {
                        return self.fail(span, format!("'+' does not apply to {left_ty} and {ty}"));
                    };
                    let ty = left_ty.common(ty).unwrap_or(left_ty);
                    (call(function, vec![left, node], span), ty)
                }
            });
        }
        match (texts, sum) {
            (Some(texts), _) => {
                Ok((Node { kind: Kind::Concat(texts.into()), range: range(span) }, Type::TEXT))
            }
            (None, Some(sum)) => Ok(sum),
            (None, None) => self.fail(span, "nothing to add"),
        }
    }

    fn minus(&mut self, left: &Expr, right: &Expr, span: &Span) -> Checked {
        let (left, right) = (self.value(left), self.value(right));
        let ((left, one), (right, other)) = (left?, right?);
        let (function, base) = match (one.base, other.base) {
            _ if one.nullable || other.nullable => {
                return self.fail(span, "'-' of something that may be null: compare with null first");
            }
            (Base::Int, Base::Int) => (Function::Subtract, Base::Int),
            (Base::Int | Base::Double, Base::Int | Base::Double) => (Function::Subtract, Base::Double),
            (Base::Moment, Base::Moment) => (Function::Difference, Base::Span),
            (Base::Moment, Base::Span) => (Function::MinusSpan, Base::Moment),
            (Base::Span, Base::Span) => (Function::SubtractSpans, Base::Span),
            _ => return self.fail(span, format!("'-' does not apply to {one} and {other}")),
        };
        Ok((call(function, vec![left, right], span), base.into()))
    }

    fn interpolated(&mut self, parts: &[Part], span: &Span) -> Checked {
        let mut nodes = Vec::new();
        for part in parts {
            match part {
                Part::Text(text) if text.is_empty() => {}
                Part::Text(text) => nodes.push(constant(Constant::Text(text.as_str().into()), span)),
                Part::Hole(hole) => {
                    let (node, ty) = self.value(hole)?;
                    nodes.push(self.printable(node, ty, &hole.span)?);
                }
            }
        }
        Ok((Node { kind: Kind::Concat(nodes.into()), range: range(span) }, Type::TEXT))
    }

    /// Something whose text no culture decides. Null is printed as nothing.
    fn printable(&mut self, node: Node, ty: Type, span: &Span) -> Checked<Node> {
        match ty.base {
            Base::Null | Base::Text | Base::Bool | Base::Int | Base::Char | Base::Object => Ok(node),
            Base::Moment | Base::Double | Base::Span => self
                .fail(span, format!("a culture decides how {ty} is printed: write .ToString(\"yyyy-MM-dd HH:mm:ss\") for a DateTime, a whole number else")),
            _ => self.fail(span, format!("{ty} has no text of its own: name a member of it")),
        }
    }

    pub(super) fn block(&mut self, statements: &[Statement], wanted: Type, span: &Span) -> Checked<Node> {
        let (compiled, returns) = self.statements(statements, wanted)?;
        if !returns {
            return self.fail(span, "not every way through this block ends with return");
        }
        Ok(Node { kind: Kind::Block(compiled), range: range(span) })
    }

    /// The statements, and whether every way through them returns.
    fn statements(
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

    fn declare(
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
