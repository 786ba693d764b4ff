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

    /// True if the expression reads a local.
    pub(super) fn reads_local(&self, slot: usize) -> bool {
        let reads = |node: &Self| node.reads_local(slot);
        match &self.kind {
            Kind::Constant(_) => false,
            Kind::Local(local) => *local == slot,
            Kind::Not(one) | Kind::Cast(_, one) => reads(one),
            Kind::Compare(_, one, other) | Kind::Coalesce(one, other) | Kind::IfNotNull(_, one, other) => {
                reads(one) || reads(other)
            }
            Kind::Ternary(one, two, three) => reads(one) || reads(two) || reads(three),
            Kind::Call(_, many)
            | Kind::And(many)
            | Kind::Or(many)
            | Kind::Concat(many)
            | Kind::Array(many) => many.iter().any(reads),
            Kind::Select(select) => {
                reads(&select.list) || select.key.as_ref().is_some_and(reads) || reads(&select.condition)
            }
            Kind::Block(statements) => statements.iter().any(|statement| statement.reads_local(slot)),
        }
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
    fn reads_local(&self, slot: usize) -> bool {
        match self {
            Self::Set(_, value) | Self::Return(value) => value.reads_local(slot),
            Self::If(condition, then, otherwise) => {
                let mut branches = then.iter().chain(otherwise);
                condition.reads_local(slot) || branches.any(|statement| statement.reads_local(slot))
            }
        }
    }
}
