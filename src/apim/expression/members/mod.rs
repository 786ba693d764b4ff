//! The table of members: properties, methods, indexes, operators and constants, by receiver.
//!
//! To add a member:
//! 1. Add a row to the members of its receiver: name, parameters, type of the result, and the function that evaluates it.
//!    Overloads are rows of their own; the first that accepts the arguments applies.
//! 2. Add an expression that uses it and is true to `examples.txt`; the test fails for a row without one.
//!
//! Checker and evaluator need no change. A member that is rejected with a remedy is a row of `unsupported.rs`.

mod certificate;
mod classes;
mod context;
mod deployment;
#[cfg(test)]
mod tests;
mod text;
mod time;
mod unsupported;

use std::fmt;

pub(super) use self::{
    deployment::thumbprint,
    text::literal_parts,
    unsupported::{CLASS, CONSTRUCTOR},
};
use super::{
    check::{Checked, Checker, Dependencies, MemberUse, Typed},
    eval::{Evaluated, Evaluation},
    node::{Kind, Node},
    text::Case,
    ty::{
        Base::{self, Path},
        Type,
    },
    value::{Arguments, Fault, NO_KEY, Value},
};

/// Evaluates a member from its evaluated arguments.
type Function = for<'r> fn(&mut Evaluation<'_, 'r>, Arguments<'_, 'r>) -> Evaluated<Value<'r>>;

/// Checks a use of a member further, or compiles it to a node of another kind.
type Hook = fn(&mut Checker, &mut MemberUse<'_>) -> Checked<Option<Typed>>;

/// A member.
#[derive(Clone, Copy)]
pub(crate) struct Row {
    /// Alternative names, separated by `|`. Methods without parameters end with `()`. An index is the method `[]`;
    /// operators are methods too.
    names: &'static str,
    pub(super) parameters: &'static [Parameter],
    /// True if the last parameter takes any number of arguments.
    pub(super) is_variadic: bool,
    pub(super) result: Base,
    /// Marks the inputs that the member reads.
    pub(super) reads: fn(&mut Dependencies),
    pub(super) tag: Tag,
    pub(super) hook: Option<Hook>,
    pub(super) function: Function,
}

/// A parameter of a member.
#[derive(Debug, Clone, Copy)]
pub(super) enum Parameter {
    /// A value of a type.
    Of(Base),
    /// A string or a character, as a string.
    TextOrChar,
    /// An optional value of a type.
    Optional(Base),
    /// An optional `StringComparison` and its default. Characters are compared ordinally by default.
    Comparison(Case),
    /// A string literal with a fixed meaning, and the error for others.
    Literal(fn(&str) -> Option<Value<'static>>, &'static str),
    /// A constant of an enumeration.
    Constant(&'static str),
    /// A condition on the items of the receiver.
    Condition,
    /// Checked by the hook.
    Any,
}

/// Kinds of members, for warnings and look-ups.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tag {
    None,
    /// The text of a certificate.
    Subject,
    Issuer,
    Thumbprint,
    Serial,
    /// The key or the certificate of an entry of the deployment.
    Key,
    Value,
    /// The receiver in lower or upper case, or with the same characters.
    Lower,
    Upper,
    Same,
    Split,
    /// Comparisons of strings, of a part of a string, of items with a string, and of keys.
    Equals,
    Part,
    Contains,
    LookUp,
    /// Methods with a condition.
    Any,
    All,
}

/// Receivers and their members.
static TABLE: &[(&[Base], &[Row])] = &[
    (&[Path("context")], context::CONTEXT),
    (&[Path("context.Request")], context::REQUEST),
    (&[Path("context.Request.Url")], context::URL),
    (&[Base::HEADERS], context::HEADERS),
    (&[Path("context.Request.Url.Query")], context::QUERY),
    (&[Base::VARIABLES], context::VARIABLES),
    (&[Path("context.LastError")], context::LAST_ERROR),
    (&[Path("context.Deployment")], deployment::DEPLOYMENT),
    (&[Base::ENTRIES], deployment::ENTRIES),
    (&[Base::ENTRY_KEYS], deployment::ENTRY_KEYS),
    (&[Base::ENTRY_VALUES], deployment::ENTRY_VALUES),
    (&[Base::ENTRIES, Base::ENTRY_KEYS, Base::ENTRY_VALUES], deployment::ENTRIES_OR_PARTS),
    (&[Base::Pair], deployment::PAIR),
    (&[Base::Certificate], certificate::CERTIFICATE),
    (&[Base::DistinguishedName], certificate::NAME),
    (&[Base::Oid], certificate::OID),
    (&[Base::Text], text::STRING),
    (&[Base::Texts], text::LIST),
    (&[Base::Bool, Base::Int, Base::Char, Base::Object], text::PRINTABLE),
    (&[Base::DateTime], time::DATE_TIME),
    (&[Base::TimeSpan], time::TIME_SPAN),
    (&[Base::Int], time::INT),
    (&[Base::Int, Base::Double], time::NUMBER),
    (&[Path("System")], &[]),
    (&[Path("string"), Path("String")], classes::STRING),
    (&[Path("DateTime")], classes::DATE_TIME),
    (&[Path("TimeSpan")], classes::TIME_SPAN),
    (&[Path("int"), Path("Int32")], classes::INT),
    (&[Path("bool"), Path("Boolean")], classes::BOOL),
    (&[Path("Convert")], classes::CONVERT),
    (&[Path("StringComparison"), Path("StringComparer")], classes::STRING_COMPARISON),
    (&[Path("StringSplitOptions")], classes::STRING_SPLIT_OPTIONS),
    (&[Path("X509NameType")], classes::NAME_TYPE),
    (&[Path("X509ContentType")], classes::CONTENT_TYPE),
];

/// The class with this name, or `context`.
pub(super) fn path(name: &str) -> Option<Base> {
    let mut receivers = TABLE.iter().flat_map(|(receivers, _)| *receivers);
    receivers.find(|base| matches!(base, Path(known) if *known == name)).copied()
}

/// Returns a class of the namespace `System`.
pub(super) fn class(name: &str) -> Option<Base> {
    path(name).filter(|_| !matches!(name, "context" | "System"))
}

/// The rows of a member.
pub(super) fn rows(receiver: Base, name: &str, is_method: bool) -> impl Iterator<Item = &'static Row> {
    let is_named = move |row: &Row| {
        row.names.split('|').any(|known| match known.strip_suffix("()") {
            Some(method) => is_method && method == name,
            None => is_method != row.parameters.is_empty() && known == name,
        })
    };
    let tables = TABLE.iter().filter(move |(receivers, _)| receivers.contains(&receiver));
    tables.flat_map(|(_, rows)| *rows).filter(move |row| is_named(row))
}

/// The remedy for a name that is known and not supported, with its separator.
pub(super) fn remedy(receiver: Base, name: &str) -> Option<&'static str> {
    let find = |name: &str| {
        let mut all = unsupported::MEMBERS.iter().filter(|(base, ..)| *base == receiver);
        all.find(|(_, names, _)| names.split('|').any(|known| known == name)).map(|(.., remedy)| *remedy)
    };
    find(name).or_else(|| find("*"))
}

/// The implicit conversion from `int` to `double`; null stays null.
pub(super) static TO_DOUBLE: Row = method("", &[], Base::Double, |_, mut arguments| {
    Ok(match arguments.take(0) {
        Value::Int(value) => Value::Double(value.into()),
        value => value,
    })
});

pub(super) static TO_TEXT: Row = method("", &[], Base::Text, text::to_text);

impl Row {
    /// The least and the largest number of arguments.
    pub(super) fn arity(&self) -> (usize, usize) {
        let is_optional =
            |parameter: &&Parameter| matches!(parameter, Parameter::Comparison(_) | Parameter::Optional(_));
        let required = self.parameters.len() - self.parameters.iter().filter(is_optional).count();
        match self.is_variadic {
            true => (required - 1, usize::MAX),
            false => (required, self.parameters.len()),
        }
    }

    /// True if the arguments fit, for the choice between overloads.
    pub(super) fn accepts(&self, arguments: &[Typed]) -> bool {
        let (least, most) = self.arity();
        let accepts = |(parameter, (node, ty)): (&Parameter, &Typed)| match parameter {
            Parameter::Of(base) => ty.has_values() && ty.fits((*base).into()),
            Parameter::Literal(..) => node.literal().is_some(),
            _ => true,
        };
        (least..=most).contains(&arguments.len()) && self.parameters.iter().zip(arguments).all(accepts)
    }

    pub(super) fn takes_condition(&self) -> bool {
        matches!(self.parameters, [Parameter::Condition])
    }

    const fn reads(self, reads: fn(&mut Dependencies)) -> Self {
        Self { reads, ..self }
    }

    const fn tag(self, tag: Tag) -> Self {
        Self { tag, ..self }
    }

    const fn hook(self, hook: Hook) -> Self {
        Self { hook: Some(hook), ..self }
    }

    const fn variadic(self) -> Self {
        Self { is_variadic: true, ..self }
    }
}

impl fmt::Debug for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.names)
    }
}

const fn method(
    names: &'static str,
    parameters: &'static [Parameter],
    result: Base,
    function: Function,
) -> Row {
    Row { names, parameters, is_variadic: false, result, reads: |_| (), tag: Tag::None, hook: None, function }
}

/// A member without parameters: a property, or with `()` a method.
const fn member(names: &'static str, result: Base, function: Function) -> Row {
    method(names, &[], result, function)
}

/// A property with the value of its receiver.
const fn same(names: &'static str, result: Base) -> Row {
    member(names, result, |_, mut arguments| Ok(arguments.take(0)))
        .hook(|_, member| Ok(Some((member.pop(), member.row.result.into()))))
}

/// The constants of an enumeration, in the order of their codes.
const fn constants(names: &'static str, class: &'static str) -> Row {
    member(names, Base::Constant(class), |_, _| Ok(Value::Null)).hook(|_, member| {
        let code = member.row.names.split('|').position(|known| known == member.name);
        let code = code.and_then(|code| i32::try_from(code).ok()).unwrap_or_default();
        Ok(Some((member.constant(Value::Int(code)), member.row.result.into())))
    })
}
