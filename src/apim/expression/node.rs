//! Compiled expressions: a tree with resolved members and checked types.

use std::sync::Arc;

use http::HeaderName;

use super::{
    ast::Comparison,
    text::{Case, Side},
    ty::Type,
};

/// A byte range of the expression's source text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct SourceRange {
    pub(crate) start: usize,
    pub(crate) end: usize,
}

#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) kind: Kind,
    pub(crate) range: SourceRange,
}

impl Node {
    /// Calls `visitor` for this node and its descendants, in source order.
    pub(crate) fn visit<'n>(&'n self, visitor: &mut dyn FnMut(&'n Self)) {
        visitor(self);
        match &self.kind {
            Kind::Constant(_)
            | Kind::Local(_)
            | Kind::Certificate
            | Kind::Now
            | Kind::LastError(_)
            | Kind::Request(_)
            | Kind::Port
            | Kind::Headers(_)
            | Kind::HasHeader(_)
            | Kind::Queries(_)
            | Kind::HasQuery(_)
            | Kind::Variable(_)
            | Kind::HasVariable(_)
            | Kind::DeploymentCount
            | Kind::AnyDeployed(None) => {}
            Kind::Header(_, one)
            | Kind::Query(_, one)
            | Kind::VariableOr(_, _, one)
            | Kind::Deployed(one)
            | Kind::HasDeployed(one)
            | Kind::AnyDeployed(Some((_, one)))
            | Kind::AllDeployed(_, one)
            | Kind::AnyByThumbprint(one, None)
            | Kind::FirstDeployed { condition: one, .. }
            | Kind::CertificateText(_, one)
            | Kind::Not(one)
            | Kind::Cast(_, one) => one.visit(visitor),
            Kind::AnyByThumbprint(one, Some((_, other)))
            | Kind::AnyText { list: one, condition: other, .. }
            | Kind::Equal { one, other, .. }
            | Kind::Order(_, one, other)
            | Kind::Coalesce(one, other)
            | Kind::IfNotNull { target: one, rest: other, .. } => {
                one.visit(visitor);
                other.visit(visitor);
            }
            Kind::Ternary(one, two, three) => {
                one.visit(visitor);
                two.visit(visitor);
                three.visit(visitor);
            }
            Kind::Call(_, many)
            | Kind::And(many)
            | Kind::Or(many)
            | Kind::Concat(many)
            | Kind::Array(many) => many.iter().for_each(|one| one.visit(visitor)),
            Kind::Block(statements) => visit_all(statements, visitor),
        }
    }
}

fn visit_all<'n>(statements: &'n [Statement], visitor: &mut dyn FnMut(&'n Node)) {
    for statement in statements {
        match statement {
            Statement::Set(_, value) | Statement::Return(value) => value.visit(visitor),
            Statement::If(condition, then, otherwise) => {
                condition.visit(visitor);
                visit_all(then, visitor);
                visit_all(otherwise, visitor);
            }
        }
    }
}

#[derive(Debug)]
pub(crate) enum Constant {
    Null,
    Bool(bool),
    Int(i32),
    Double(f64),
    Char(char),
    Text(Box<str>),
    DateTime(i64),
    TimeSpan(i64),
    Bytes(Box<[u8]>),
}

/// Certificate members that are stored as text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CertificateText {
    Subject,
    Issuer,
    Thumbprint,
    Serial,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RequestText {
    Method,
    IpAddress,
    Url,
    Path,
    Host,
    Scheme,
    QueryString,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ErrorField {
    Source,
    Reason,
    Message,
    Scope,
    Section,
    Path,
    PolicyId,
}

type Child = Box<Node>;

#[derive(Debug)]
pub(crate) enum Kind {
    Constant(Constant),
    Local(usize),
    /// `context.Request.Certificate`
    Certificate,
    /// `DateTime.Now`
    Now,
    LastError(ErrorField),
    Request(RequestText),
    Port,
    /// Header values joined by commas; the default if the header is missing.
    Header(HeaderName, Child),
    Headers(HeaderName),
    HasHeader(HeaderName),
    Query(Box<str>, Child),
    Queries(Box<str>),
    HasQuery(Box<str>),
    Variable(Arc<str>),
    VariableOr(Arc<str>, Type, Child),
    HasVariable(Arc<str>),
    DeploymentCount,
    Deployed(Child),
    HasDeployed(Child),
    /// `Any`, with an optional condition on the entry in a local.
    AnyDeployed(Option<(usize, Child)>),
    AllDeployed(usize, Child),
    /// `Any` by an index look-up: the thumbprint to find, and the rest of the condition.
    AnyByThumbprint(Child, Option<(usize, Child)>),
    FirstDeployed {
        slot: usize,
        condition: Child,
        or_default: bool,
    },
    AnyText {
        list: Child,
        slot: usize,
        condition: Child,
        is_all: bool,
    },
    CertificateText(CertificateText, Child),
    Call(Function, Box<[Node]>),
    Not(Child),
    And(Box<[Node]>),
    Or(Box<[Node]>),
    Equal {
        one: Child,
        other: Child,
        is_negated: bool,
    },
    Order(Comparison, Child, Child),
    Ternary(Child, Child, Child),
    Coalesce(Child, Child),
    /// `target?.rest`: null if the target is null, otherwise the rest with the target in a local.
    IfNotNull {
        target: Child,
        slot: usize,
        rest: Child,
    },
    Concat(Box<[Node]>),
    Array(Box<[Node]>),
    Cast(Type, Child),
    Block(Box<[Statement]>),
}

#[derive(Debug)]
pub(crate) enum Statement {
    Set(usize, Node),
    If(Node, Box<[Self]>, Box<[Self]>),
    Return(Node),
}

/// Functions with eager arguments. The target is the first argument.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Function {
    // string
    Length,
    CharAt,
    ToUpper,
    ToLower,
    Trim(Side),
    TrimOf(Side),
    Contains(Case),
    StartsWith(Case),
    EndsWith(Case),
    /// `a.Equals(b)`: the first must not be null.
    EqualsText(Case),
    /// `string.Equals(a, b)`: two nulls are equal.
    SameText(Case),
    IndexOf(Case),
    LastIndexOf,
    Substring,
    Replace,
    /// Splits at characters, the arguments after the target.
    Split {
        keep_empty: bool,
    },
    /// Splits at a string.
    SplitBy {
        keep_empty: bool,
    },
    IsNullOrEmpty,
    IsNullOrWhiteSpace,
    Join,
    /// `ToString()` of a value that is not null.
    ToText,
    // string[]
    Count,
    At,
    First,
    FirstOrDefault,
    Last,
    HasText,
    IsNotEmpty,
    // DateTime and TimeSpan
    /// Adds units of this many seconds.
    AddUnits(f64),
    AddMonths(i64),
    PlusSpan,
    MinusSpan,
    Difference,
    AddSpans,
    SubtractSpans,
    /// A span in units of this many seconds.
    SpanOf(f64),
    TotalUnits(f64),
    /// A component of a span: seconds per unit, and modulus.
    PartOfSpan(i64, i64),
    Year,
    Month,
    Day,
    PartOfDay(i64, i64),
    Midnight,
    Format,
    // numbers
    Add,
    Subtract,
    Negate,
    /// Implicit conversion from `int` to `double`; null stays null.
    ToDouble,
    ParseInt,
    ToBool,
    // certificate
    NotBefore,
    NotAfter,
    Verify,
    SimpleName {
        of_issuer: bool,
    },
    DnsName {
        or_common_name: bool,
    },
    HasPrivateKey,
    Version,
    SignatureAlgorithm {
        is_name: bool,
    },
    RawData,
    Sha1,
    SerialReversed,
    // entries
    PairKey,
    PairValue,
    // bytes
    ToBase64,
    FromBase64,
    ToHex,
}
