//! Compiled expressions: a tree with resolved members and checked types.

use super::{
    ast::{Comparison, Span},
    members::Row,
    text::Case,
    ty::{Base, Type},
    value::Value,
};

#[derive(Debug, Clone)]
pub(crate) struct Node {
    pub(crate) kind: Kind,
    pub(crate) range: Span,
}

impl Node {
    /// The value of a string constant; None for other expressions.
    pub(super) fn literal(&self) -> Option<&str> {
        match &self.kind {
            Kind::Constant(Value::Text(text)) => Some(text),
            _ => None,
        }
    }

    /// The `StringComparison` in an argument.
    pub(super) fn case(&self) -> Case {
        match self.kind {
            Kind::Constant(Value::Int(code)) => Case::from_code(code),
            _ => Case::Ordinal,
        }
    }

    /// Calls `visitor` for this node and its descendants, in source order.
    pub(crate) fn visit<'n>(&'n self, visitor: &mut dyn FnMut(&'n Self)) {
        visitor(self);
        let children: Vec<&Self> = match &self.kind {
            Kind::Constant(_) | Kind::Local(_) => Vec::new(),
            Kind::Not(one) | Kind::Cast(_, one) => vec![one],
            Kind::Compare(_, one, other) | Kind::Coalesce(one, other) | Kind::IfNotNull(_, one, other) => {
                vec![one, other]
            }
            Kind::Ternary(one, two, three) => vec![one, two, three],
            Kind::Call(_, many)
            | Kind::And(many)
            | Kind::Or(many)
            | Kind::Concat(many)
            | Kind::Array(many) => many.iter().collect(),
            Kind::Select(select) => {
                [&select.list].into_iter().chain(&select.key).chain([&select.condition]).collect()
            }
            Kind::Block(statements) => statements.iter().flat_map(Statement::nodes).collect(),
        };
        children.into_iter().for_each(|child| child.visit(visitor));
    }

    /// True if the expression reads a local.
    pub(super) fn reads_local(&self, slot: usize) -> bool {
        let mut found = false;
        self.visit(&mut |node| found |= matches!(node.kind, Kind::Local(local) if local == slot));
        found
    }
}

type Child = Box<Node>;

#[derive(Debug, Clone)]
pub(crate) enum Kind {
    Constant(Value<'static>),
    Local(usize),
    /// A member: its receiver, if that has a value, and its arguments.
    Call(&'static Row, Box<[Node]>),
    Select(Box<Select>),
    Not(Child),
    And(Box<[Node]>),
    Or(Box<[Node]>),
    Compare(Comparison, Child, Child),
    Ternary(Child, Child, Child),
    Coalesce(Child, Child),
    /// `target?.rest`: null if the target is null, otherwise the rest with the target in a local.
    IfNotNull(usize, Child, Child),
    Concat(Box<[Node]>),
    Array(Box<[Node]>),
    Cast(Type, Child),
    Block(Box<[Statement]>),
}

/// A method with a condition on the items of a list.
#[derive(Debug, Clone)]
pub(crate) struct Select {
    /// Evaluates the item that decides, if there is one.
    pub(super) row: &'static Row,
    /// Type of the list.
    pub(super) base: Base,
    /// The list; null for the deployment's certificates.
    pub(super) list: Node,
    /// The local that contains the item.
    pub(super) slot: usize,
    /// The thumbprint of the only entry that can satisfy the condition, looked up instead of trying all entries.
    pub(super) key: Option<Node>,
    pub(super) condition: Node,
}

#[derive(Debug, Clone)]
pub(crate) enum Statement {
    Set(usize, Node),
    If(Node, Box<[Self]>, Box<[Self]>),
    Return(Node),
}

impl Statement {
    fn nodes(&self) -> Vec<&Node> {
        match self {
            Self::Set(_, value) | Self::Return(value) => vec![value],
            Self::If(condition, then, otherwise) => {
                let branches = then.iter().chain(&**otherwise).flat_map(Self::nodes);
                [condition].into_iter().chain(branches).collect()
            }
        }
    }
}
