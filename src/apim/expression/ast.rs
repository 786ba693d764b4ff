//! Syntax tree of a C# expression, before names and types are resolved.

pub(crate) use crate::apim::lexer::Span;

#[derive(Debug, Clone)]
pub(crate) struct Expr {
    pub(crate) kind: ExprKind,
    pub(crate) span: Span,
}

#[derive(Debug, Clone)]
pub(crate) enum ExprKind {
    Null,
    Bool(bool),
    Int(i32),
    Double(f64),
    Text(String),
    Char(char),
    /// `$"..."`
    Interpolated(Vec<Segment>),
    Name(String),
    /// Target of the enclosing `?.`, at the start of its right side.
    Receiver,
    Member(Box<Expr>, String, Span),
    Call(Box<Expr>, Option<TypeName>, Vec<Expr>),
    Index(Box<Expr>, Box<Expr>),
    /// `target?.rest`
    Conditional(Box<Expr>, Box<Expr>),
    Not(Box<Expr>),
    Negate(Box<Expr>),
    And(Vec<Expr>),
    Or(Vec<Expr>),
    Add(Vec<Expr>),
    Subtract(Box<Expr>, Box<Expr>),
    Coalesce(Box<Expr>, Box<Expr>),
    Compare(Comparison, Box<Expr>, Box<Expr>),
    Ternary(Box<Expr>, Box<Expr>, Box<Expr>),
    Cast(TypeName, Box<Expr>),
    New(TypeName, Vec<Expr>),
    Array(Vec<Expr>),
    Lambda(String, Box<Expr>),
}

#[derive(Debug, Clone)]
pub(crate) enum Segment {
    Text(String),
    Expression(Expr),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Comparison {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

/// A type name in the source: `string`, `Dictionary<string, int>`, `string[]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TypeName {
    pub(crate) name: String,
    pub(crate) arguments: Vec<Self>,
    pub(crate) is_array: bool,
    pub(crate) span: Span,
}

/// A statement of `@{ ... }`.
#[derive(Debug, Clone)]
pub(crate) enum Stmt {
    /// A statement that could not be parsed, with the names that it appears to declare.
    Invalid(Vec<String>),
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

/// A whole expression: `@(...)` or `@{...}`.
#[derive(Debug, Clone)]
pub(crate) enum SyntaxTree {
    Expression(Expr),
    Block(Vec<Stmt>, Span),
}
