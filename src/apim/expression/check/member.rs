//! Uses of members: properties, methods, indexes and operators, resolved by the table of members.

use super::{
    Base, Checked, Checker, Comparison, Expr, ExprKind, Kind, Node, Slot, Span, Type, TypeName, Typed, Value,
    all, constant,
};
use crate::apim::expression::{
    members::{self, Parameter, Row},
    text::Case,
};

/// A use of a member whose arguments fit its parameters.
#[derive(Debug)]
pub(crate) struct MemberUse<'c> {
    pub(crate) row: &'static Row,
    /// Type of the receiver.
    pub(crate) base: Base,
    pub(crate) name: &'c str,
    /// Offset of the name.
    pub(crate) at: usize,
    pub(crate) range: Span,
    pub(crate) generic: Option<&'c TypeName>,
    /// The receiver, if it has a value, and the arguments.
    pub(crate) nodes: Vec<Node>,
    types: Vec<Type>,
}

impl MemberUse<'_> {
    pub(crate) fn node(&self, kind: Kind) -> Node {
        Node { kind, range: self.range.clone() }
    }

    pub(crate) fn constant(&self, constant: Value<'static>) -> Node {
        self.node(Kind::Constant(constant))
    }

    /// The literal that is the first argument.
    pub(crate) fn name(&self) -> &str {
        self.nodes.first().and_then(Node::literal).unwrap_or_default()
    }

    /// Moves the last node out; null if there is none.
    pub(crate) fn pop(&mut self) -> Node {
        self.nodes.pop().unwrap_or_else(|| self.constant(Value::Null))
    }

    /// Moves the nodes from an index on out.
    pub(crate) fn typed(&mut self, index: usize) -> Vec<Typed> {
        let types = self.types.get(index..).unwrap_or_default();
        self.nodes.split_off(index.min(self.nodes.len())).into_iter().zip(types.iter().copied()).collect()
    }

    /// Offset of a node.
    pub(crate) fn start(&self, index: usize) -> usize {
        self.nodes.get(index).map_or(self.range.start, |node| node.range.start)
    }
}

impl Checker {
    pub(super) fn property(&mut self, target: &Expr, name: &str, at: &Span, span: &Span) -> Checked {
        let (node, ty) = self.expression(target)?;
        if ty.nullable && name == "HasValue" {
            let null = constant(Value::Null, span);
            let kind = Kind::Compare(Comparison::NotEqual, Box::new(node), Box::new(null));
            return Ok((Node { kind, range: span.clone() }, Type::BOOL));
        }
        if let (Base::Path("System"), Some(class)) = (ty.base, members::class(name)) {
            return Ok((node, class.into()));
        }
        self.member((node, ty), name, at.start, None, None, span)
    }

    pub(super) fn call(
        &mut self,
        callee: &Expr,
        generic: Option<&TypeName>,
        arguments: &[Expr],
        span: &Span,
    ) -> Checked {
        let ExprKind::Member(target, name, at) = &callee.kind else {
            let _ = self.arguments(arguments, None);
            return self.fail(callee.span.start, "only methods can be called");
        };
        let target = self.expression(target);
        let list = target.as_ref().ok().map(|(_, ty)| ty.base);
        let list = list.filter(|base| members::rows(*base, name, true).any(Row::takes_condition));
        let arguments = self.arguments(arguments, list);
        let target = target?;
        if generic.is_some() && target.1.base != Base::VARIABLES {
            return self.fail(at.start, format!("{name} takes no type argument"));
        }
        self.member(target, name, at.start, Some(arguments), generic, span)
    }

    pub(super) fn index(&mut self, target: &Expr, index: &Expr, span: &Span) -> Checked {
        let target = self.expression(target);
        let index = self.arguments(std::slice::from_ref(index), None);
        let (node, ty) = target?;
        if members::rows(ty.base, "[]", true).next().is_none() {
            return self.fail(span.start, format!("{ty} has no index"));
        }
        self.member((node, ty), "[]", span.start, Some(index), None, span)
    }

    /// Checks an operator with one or two operands.
    pub(super) fn operator(&mut self, name: &str, left: Typed, right: Option<Typed>, span: &Span) -> Checked {
        let (one, other) = (left.1, right.as_ref().map(|(_, ty)| *ty));
        let is_nullable = one.nullable || other.is_some_and(|ty| ty.nullable);
        let arguments: Vec<_> = right.into_iter().collect();
        let is_known = members::rows(one.base, name, true).any(|row| row.accepts(&arguments));
        if is_known && !is_nullable {
            return self.member(left, name, span.start, Some(Ok(arguments)), None, span);
        }
        let operands = other.map_or_else(|| one.to_string(), |other| format!("{one} and {other}"));
        let remedy = if is_nullable { "; compare it with null first" } else { "" };
        self.fail(span.start, format!("'{name}' does not apply to {operands}{remedy}"))
    }

    /// Checks arguments. A lambda is a condition on the items of `list`.
    pub(super) fn arguments(&mut self, arguments: &[Expr], list: Option<Base>) -> Checked<Vec<Typed>> {
        all(arguments.iter().map(|argument| {
            let ExprKind::Lambda(parameter, body) = &argument.kind else {
                return self.expression(argument);
            };
            let (slot, body) = self.lambda(parameter, body, list)?;
            Ok((Node { range: argument.span.clone(), ..body }, Base::Lambda(slot).into()))
        }))
    }

    /// Resolves a property, or with arguments a method.
    fn member(
        &mut self,
        (node, ty): Typed,
        name: &str,
        at: usize,
        arguments: Option<Checked<Vec<Typed>>>,
        generic: Option<&TypeName>,
        span: &Span,
    ) -> Checked {
        if ty.nullable && ty.is_value() {
            return self.fail(at, format!("{ty} can be null; compare it with null first, or use ?. or ??"));
        }
        let described = match ty.base {
            Base::Certificate => format!("{name} of a certificate"),
            base if ty.has_values() || base == Base::Oid => format!("{name} of {ty}"),
            _ => format!("{ty}.{name}"),
        };
        let named: Vec<_> = members::rows(ty.base, name, arguments.is_some()).collect();
        if named.is_empty() {
            let remedy = members::remedy(ty.base, name).unwrap_or_default();
            return self.fail(at, format!("{described} is not supported{remedy}"));
        }
        let arguments = arguments.unwrap_or(Ok(Vec::new()))?;
        let fits = |row: &Row| (row.arity().0..=row.arity().1).contains(&arguments.len());
        let accepting = named.iter().find(|row| row.accepts(&arguments));
        let Some(row) = accepting.or_else(|| named.iter().rfind(|row| fits(row))) else {
            let least = named.iter().map(|row| row.arity().0).min().unwrap_or_default();
            let most = named.iter().map(|row| row.arity().1).max().unwrap_or_default();
            let count = match (least, most) {
                _ if named.iter().any(|row| row.takes_condition()) => "a condition".to_owned(),
                (0, 0) => "no arguments".to_owned(),
                (1, 1) => "one argument".to_owned(),
                (least, usize::MAX) => format!("{least} or more arguments"),
                (least, most) if least == most => format!("{least} arguments"),
                (least, most) => format!("{least} to {most} arguments"),
            };
            return self.fail(at, format!("{described} takes {count}"));
        };
        #[cfg(test)]
        self.rows.push(row);
        (row.reads)(&mut self.dependencies);
        self.record_receiver(ty.base, row);
        let (nodes, types) = match ty.has_values() || ty.base == Base::Oid {
            true => (vec![node], vec![ty]),
            false => (Vec::new(), Vec::new()),
        };
        let member = MemberUse { row, base: ty.base, name, at, range: span.clone(), generic, nodes, types };
        self.apply(member, arguments)
    }

    /// Records the input that a value below `context` is read from, by its path.
    fn record_receiver(&mut self, receiver: Base, row: &Row) {
        let Base::Path(path) = receiver else { return };
        if matches!(row.result, Base::Path(_)) {
            return;
        }
        self.dependencies.request |= path.starts_with("context.Request") && row.result != Base::Certificate;
        self.dependencies.deployment |= path.starts_with("context.Deployment");
    }

    /// Converts the arguments of a member to its parameters, and compiles it.
    fn apply(&mut self, mut member: MemberUse<'_>, arguments: Vec<Typed>) -> Checked {
        let row = member.row;
        let is_char = arguments.first().is_some_and(|(_, ty)| ty.base == Base::Char);
        let default = match row.parameters.get(arguments.len()) {
            // Characters are compared ordinally.
            Some(Parameter::Comparison(_)) if is_char => Some(Case::Ordinal),
            Some(Parameter::Comparison(default)) => Some(*default),
            _ => None,
        };
        for (index, argument) in arguments.into_iter().enumerate() {
            let Some(parameter) = row.parameters.get(index).or_else(|| row.parameters.last()) else { break };
            member.types.push(argument.1);
            let node = self.argument(*parameter, argument, &member)?;
            member.nodes.push(node);
        }
        if let Some(default) = default {
            self.lint_case(default, &member);
            member.nodes.push(member.constant(Value::Int(default as i32)));
        }
        let name = || member.name().into();
        match member.base {
            Base::VARIABLES => self.reads.push(Slot::Variable(name())),
            Base::HEADERS => self.reads.push(Slot::Header(name())),
            _ => {}
        }
        self.lint(&member);
        if let Some(hook) = row.hook
            && let Some(compiled) = hook(self, &mut member)?
        {
            return Ok(compiled);
        }
        let kind = Kind::Call(row, member.nodes.into());
        Ok((Node { kind, range: member.range }, row.result.into()))
    }

    /// Converts an argument to a parameter.
    fn argument(&mut self, parameter: Parameter, (node, ty): Typed, member: &MemberUse<'_>) -> Checked<Node> {
        let range = node.range.clone();
        match parameter {
            Parameter::Of(base) | Parameter::Optional(base) => self.fit((node, ty), base.into()),
            Parameter::TextOrChar if ty.base == Base::Char && !ty.nullable => {
                Ok(Node { kind: Kind::Call(&members::TO_TEXT, [node].into()), range })
            }
            Parameter::TextOrChar if ty.base == Base::Null => {
                self.fail(range.start, "expected string, found null")
            }
            Parameter::TextOrChar => self.fit((node, ty), Type::TEXT),
            Parameter::Comparison(_) => {
                let node = self.argument(Parameter::Constant("StringComparison"), (node, ty), member)?;
                self.lint_case(node.case(), member);
                Ok(node)
            }
            Parameter::Literal(parse, error) => match node.literal().and_then(parse) {
                Some(constant) => Ok(Node { kind: Kind::Constant(constant), range }),
                None => self.fail(range.start, error),
            },
            Parameter::Constant(class) if ty.base != Base::Constant(class) => {
                self.fail(range.start, format!("expected a {class}, found {ty}"))
            }
            Parameter::Condition if !matches!(ty.base, Base::Lambda(_)) => self.fail(
                range.start,
                "expected a condition such as x => x == \"...\" or c => c.Value.Thumbprint == \"...\"",
            ),
            Parameter::Constant(_) | Parameter::Condition | Parameter::Any => Ok(node),
        }
    }
}
