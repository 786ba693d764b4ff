//! What a C# text says, before anyone asks whether it means something.

use std::ops::Range;

/// Bytes of the expression's text.
pub(super) type Span = Range<usize>;

#[derive(Debug, Clone)]
pub(super) struct Expr {
    pub(super) kind: ExprKind,
    pub(super) span: Span,
}

#[derive(Debug, Clone)]
pub(super) enum ExprKind {
    Null,
    Bool(bool),
    Int(i32),
    Double(f64),
    Text(String),
    Char(char),
    /// `$"..."`
    Interpolated(Vec<Part>),
    Name(String),
    /// The value left of `?.`, inside of what stands right of it.
    Receiver,
    Member(Box<Expr>, String, Span),
    Call(Box<Expr>, Option<TypeName>, Vec<Expr>),
    Index(Box<Expr>, Box<Expr>),
    /// `target?.rest`
    Conditional(Box<Expr>, Box<Expr>),
    Not(Box<Expr>),
    Minus(Box<Expr>),
    And(Vec<Expr>),
    Or(Vec<Expr>),
    Plus(Vec<Expr>),
    Minusing(Box<Expr>, Box<Expr>),
    Coalesce(Box<Expr>, Box<Expr>),
    Compare(Comparison, Box<Expr>, Box<Expr>),
    Ternary(Box<Expr>, Box<Expr>, Box<Expr>),
    Cast(TypeName, Box<Expr>),
    New(TypeName, Vec<Expr>),
    Array(Vec<Expr>),
    Lambda(String, Box<Expr>),
}

#[derive(Debug, Clone)]
pub(super) enum Part {
    Text(String),
    Hole(Expr),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Comparison {
    Equal,
    Unequal,
    Less,
    AtMost,
    Greater,
    AtLeast,
}

/// A type as it is written: `string`, `Dictionary<string, int>`, `string[]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct TypeName {
    pub(super) name: String,
    pub(super) arguments: Vec<Self>,
    pub(super) is_array: bool,
    pub(super) span: Span,
}

/// A statement of `@{ ... }`.
#[derive(Debug, Clone)]
pub(super) enum Statement {
    /// One that could not be parsed: the names that it may have declared.
    Broken(Vec<String>),
    Declare {
        name: String,
        ty: Option<TypeName>,
        value: Expr,
        span: Span,
    },
    Assign {
        name: String,
        value: Expr,
        span: Span,
    },
    If {
        condition: Expr,
        then: Vec<Self>,
        otherwise: Vec<Self>,
    },
    Return(Expr),
}

/// A whole expression.
#[derive(Debug, Clone)]
pub(super) enum Source {
    Expression(Expr),
    Block(Vec<Statement>, Span),
}
