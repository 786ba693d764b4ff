//! C# types of expressions.

use std::fmt;

use super::{ast::TypeName, node::Constant};

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
    pub(super) fn default(self) -> Constant {
        match self {
            Self::Bool => Constant::Bool(false),
            Self::Int => Constant::Int(0),
            Self::Double => Constant::Double(0.0),
            Self::Char => Constant::Char('\0'),
            Self::DateTime => Constant::DateTime(0),
            Self::TimeSpan => Constant::TimeSpan(0),
            _ => Constant::Null,
        }
    }
}

impl Type {
    pub(crate) const BOOL: Self = Self { base: Base::Bool, nullable: false };
    pub(crate) const TEXT: Self = Self { base: Base::Text, nullable: false };
    pub(crate) const INT: Self = Self { base: Base::Int, nullable: false };

    /// True for value types, which are null only as `T?`.
    pub(super) fn is_value(self) -> bool {
        !matches!(self.base.default(), Constant::Null)
    }

    pub(crate) fn can_be_null(self) -> bool {
        !self.is_value() || self.nullable
    }

    /// True if values of the type exist at run time.
    pub(super) fn has_values(self) -> bool {
        self.is_value()
            || matches!(
                self.base,
                Base::Null
                    | Base::Text
                    | Base::Certificate
                    | Base::DistinguishedName
                    | Base::Pair
                    | Base::Texts
                    | Base::Bytes
                    | Base::Object
            )
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
        let base = match name.name.as_str() {
            "bool" | "Boolean" => Base::Bool,
            "int" | "Int32" => Base::Int,
            "double" | "Double" => Base::Double,
            "char" | "Char" => Base::Char,
            "string" | "String" if name.is_array => return Some(Base::Texts.into()),
            "string" | "String" => Base::Text,
            "byte" | "Byte" if name.is_array => return Some(Base::Bytes.into()),
            "DateTime" => Base::DateTime,
            "TimeSpan" => Base::TimeSpan,
            "X509Certificate2" => Base::Certificate,
            "object" | "Object" => Base::Object,
            _ => return None,
        };
        (name.arguments.is_empty() && !name.is_array).then(|| base.into())
    }
}

impl fmt::Display for Type {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.base {
            Base::Null => "null",
            Base::Bool => "bool",
            Base::Int => "int",
            Base::Double => "double",
            Base::Char => "char",
            Base::Text => "string",
            Base::DateTime => "DateTime",
            Base::TimeSpan => "TimeSpan",
            Base::Certificate => "X509Certificate2",
            Base::DistinguishedName => "X500DistinguishedName",
            Base::Pair => "KeyValuePair<string, X509Certificate2>",
            Base::Texts => "string[]",
            Base::Chars => "char[]",
            Base::Lambda(_) => "a lambda",
            Base::Bytes => "byte[]",
            Base::Object => "object",
            Base::Oid => "Oid",
            Base::Path(name) | Base::Constant(name) => name,
        })?;
        if self.nullable && self.is_value() { f.write_str("?") } else { Ok(()) }
    }
}
