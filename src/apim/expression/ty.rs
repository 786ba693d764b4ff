//! C# types of expressions.

use std::fmt;

use super::{ast::TypeName, value::Value};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Base {
    Null,
    Bool,
    Int,
    Double,
    Char,
    Text,
    DateTime,
    TimeSpan,
    Certificate,
    /// `X500DistinguishedName`; compared with strings by its `Name`.
    DistinguishedName,
    /// An entry of `context.Deployment.Certificates`.
    Pair,
    /// `string[]`
    Texts,
    /// `char[]`, an argument of `Split`.
    Chars,
    /// A condition on the parameter in a slot.
    Lambda(usize),
    Bytes,
    /// `object`, the type of `context.Variables["name"]`.
    Object,
    // The types below have members but no values.
    /// `SignatureAlgorithm`; at run time the certificate.
    Oid,
    /// A class, or a part of `context`.
    Path(&'static str),
    /// A constant of an enumeration.
    Constant(&'static str),
}

/// A type. `nullable` marks a value type that can be null (`bool?`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Type {
    pub(crate) base: Base,
    pub(crate) nullable: bool,
}

impl From<Base> for Type {
    fn from(base: Base) -> Self {
        Self { base, nullable: false }
    }
}

impl Base {
    pub(super) const VARIABLES: Self = Self::Path("context.Variables");
    pub(super) const HEADERS: Self = Self::Path("context.Request.Headers");
    pub(super) const ENTRIES: Self = Self::Path("context.Deployment.Certificates");
    pub(super) const ENTRY_KEYS: Self = Self::Path("context.Deployment.Certificates.Keys");
    pub(super) const ENTRY_VALUES: Self = Self::Path("context.Deployment.Certificates.Values");

    /// Type of the items of a list.
    pub(super) fn item(self) -> Option<Self> {
        Some(match self {
            Self::Texts | Self::ENTRY_KEYS => Self::Text,
            Self::ENTRIES => Self::Pair,
            Self::ENTRY_VALUES => Self::Certificate,
            _ => return None,
        })
    }

    /// The default value: null, but for value types.
    pub(super) fn default(self) -> Value<'static> {
        match self {
            Self::Bool => Value::Bool(false),
            Self::Int => Value::Int(0),
            Self::Double => Value::Double(0.0),
            Self::Char => Value::Char('\0'),
            Self::DateTime => Value::DateTime(0),
            Self::TimeSpan => Value::TimeSpan(0),
            _ => Value::Null,
        }
    }
}

impl Type {
    pub(crate) const BOOL: Self = Self { base: Base::Bool, nullable: false };
    pub(crate) const TEXT: Self = Self { base: Base::Text, nullable: false };
    pub(crate) const INT: Self = Self { base: Base::Int, nullable: false };

    /// True for value types, which are null only as `T?`.
    pub(super) fn is_value(self) -> bool {
        !matches!(self.base.default(), Value::Null)
    }

    pub(crate) fn can_be_null(self) -> bool {
        !self.is_value() || self.nullable
    }

    /// True if values of the type exist at run time.
    pub(super) fn has_values(self) -> bool {
        use Base::{Chars, Constant, Lambda, Oid, Path};
        !matches!(self.base, Chars | Lambda(_) | Oid | Path(_) | Constant(_))
    }

    /// The nullable form of the type, as `?.` yields it.
    pub(super) fn or_null(self) -> Self {
        Self { nullable: self.is_value() || self.nullable, ..self }
    }

    /// The common type of both, if there is one.
    pub(super) fn common(self, other: Self) -> Option<Self> {
        let nullable = self.nullable || other.nullable;
        match (self.base, other.base) {
            (one, two) if one == two => Some(Self { base: one, nullable }),
            (Base::Null, _) => Some(other.or_null()),
            (_, Base::Null) => Some(self.or_null()),
            (Base::Int, Base::Double) | (Base::Double, Base::Int) => {
                Some(Self { base: Base::Double, nullable })
            }
            _ => None,
        }
    }

    /// True if a value of this type converts implicitly to `wanted`.
    pub(super) fn fits(self, wanted: Self) -> bool {
        match self.base {
            Base::Null => wanted.can_be_null(),
            _ if wanted.base == Base::Object => self.has_values(),
            base => {
                (base == wanted.base || (base == Base::Int && wanted.base == Base::Double))
                    && (wanted.can_be_null() || !self.nullable)
            }
        }
    }

    /// Resolves a type name.
    pub(super) fn from_name(name: &TypeName) -> Option<Self> {
        if let ("Nullable", [inner]) = (name.name.as_str(), name.arguments.as_slice()) {
            return Some(Self::from_name(inner)?.or_null());
        }
        let full = format!("{}{}", name.name, if name.is_array { "[]" } else { "" });
        let known = NAMES.iter().find(|(_, short, long)| full == *short || full == *long)?;
        name.arguments.is_empty().then(|| known.0.into())
    }
}

/// Types that expressions can name: C#'s name, and .NET's.
const NAMES: &[(Base, &str, &str)] = &[
    (Base::Bool, "bool", "Boolean"),
    (Base::Int, "int", "Int32"),
    (Base::Double, "double", "Double"),
    (Base::Char, "char", "Char"),
    (Base::Text, "string", "String"),
    (Base::Texts, "string[]", "String[]"),
    (Base::Bytes, "byte[]", "Byte[]"),
    (Base::DateTime, "DateTime", "DateTime"),
    (Base::TimeSpan, "TimeSpan", "TimeSpan"),
    (Base::Certificate, "X509Certificate2", "X509Certificate2"),
    (Base::Object, "object", "Object"),
];

impl fmt::Display for Type {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.base {
            Base::Null => "null",
            Base::DistinguishedName => "X500DistinguishedName",
            Base::Pair => "KeyValuePair<string, X509Certificate2>",
            Base::Chars => "char[]",
            Base::Lambda(_) => "a lambda",
            Base::Oid => "Oid",
            Base::Path(name) | Base::Constant(name) => name,
            base => NAMES.iter().find(|(known, ..)| *known == base).map_or("", |(_, name, _)| name),
        })?;
        if self.nullable && self.is_value() { f.write_str("?") } else { Ok(()) }
    }
}
