//! Run-time values. Most borrow from the request, the certificate or the document.

use std::{borrow::Cow, cmp::Ordering, sync::Arc};

use super::{
    eval::Evaluated,
    text::Case,
    ty::{Base, Type},
};
use crate::{apim::deployment::DeployedCertificate, certificate::Certificate};

/// A value of an expression.
#[derive(Debug, Clone)]
pub(crate) enum Value<'r> {
    Null,
    Bool(bool),
    Int(i32),
    Double(f64),
    Char(char),
    Text(Cow<'r, str>),
    /// Ticks of 100 ns since 0001-01-01T00:00:00.
    DateTime(i64),
    /// Ticks of 100 ns.
    TimeSpan(i64),
    /// An `X509Certificate2`, and true if the deployment has its private key.
    Certificate(&'r Certificate, bool),
    Pair(&'r DeployedCertificate),
    Texts(Arc<[Cow<'r, str>]>),
    Bytes(Cow<'r, [u8]>),
}

impl From<usize> for Value<'_> {
    fn from(value: usize) -> Self {
        Self::Int(i32::try_from(value).unwrap_or(i32::MAX))
    }
}

impl<'r> From<&'r DeployedCertificate> for Value<'r> {
    fn from(entry: &'r DeployedCertificate) -> Self {
        Self::Certificate(entry.certificate(), entry.has_private_key())
    }
}

impl<'r> Value<'r> {
    pub(super) fn borrowed(text: &'r str) -> Self {
        Self::Text(Cow::Borrowed(text))
    }

    /// The value of a constant, which borrows from it.
    pub(super) fn constant(constant: &'r Value<'static>) -> Self {
        match constant {
            Value::Text(text) => Self::borrowed(text),
            Value::Bytes(bytes) => Self::Bytes(Cow::Borrowed(bytes)),
            value => value.clone(),
        }
    }

    /// C#'s `==` for values of comparable types.
    pub(super) fn equals(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Null, Self::Null) => true,
            (Self::Bool(one), Self::Bool(two)) => one == two,
            (Self::Text(one), Self::Text(two)) => one == two,
            _ => self.order(other) == Some(Ordering::Equal),
        }
    }

    /// Order for C#'s `<`, `<=`, `>` and `>=`. None if either is null or not a number: all four are then false.
    pub(super) fn order(&self, other: &Self) -> Option<Ordering> {
        match (self, other) {
            (Self::DateTime(one), Self::DateTime(two)) | (Self::TimeSpan(one), Self::TimeSpan(two)) => {
                Some(one.cmp(two))
            }
            (Self::Char(one), Self::Char(two)) => Some(one.cmp(two)),
            _ => self.number()?.partial_cmp(&other.number()?),
        }
    }

    /// `ToString()`; null is the empty string, as in a concatenation.
    pub(super) fn print(&self) -> Evaluated<Cow<'_, str>> {
        Ok(match self {
            Self::Null => "".into(),
            Self::Text(text) => Cow::Borrowed(text),
            Self::Bool(value) => if *value { "True" } else { "False" }.into(),
            Self::Int(value) => value.to_string().into(),
            Self::Char(value) => value.to_string().into(),
            _ => return Err(Fault::CannotTell("The text of this value depends on a culture.")),
        })
    }

    /// `(type)value` of an object.
    pub(super) fn cast(self, ty: Type) -> Evaluated<Self> {
        let fits = match (&self, ty.base) {
            (Self::Null, _) => return if ty.can_be_null() { Ok(self) } else { Err(Fault::NullReference) },
            (_, Base::Object) => true,
            (Self::Text(_), Base::Text | Base::DistinguishedName)
            | (Self::Bool(_), Base::Bool)
            | (Self::Int(_), Base::Int)
            | (Self::Double(_), Base::Double)
            | (Self::Char(_), Base::Char)
            | (Self::DateTime(_), Base::DateTime)
            | (Self::TimeSpan(_), Base::TimeSpan)
            | (Self::Certificate(..), Base::Certificate)
            | (Self::Texts(_), Base::Texts)
            | (Self::Bytes(_), Base::Bytes) => true,
            _ => false,
        };
        if fits { Ok(self) } else { Err(Fault::InvalidCast) }
    }

    /// Steps charged for reading the whole value.
    pub(super) fn scan_steps(&self) -> u32 {
        let bytes = match self {
            Self::Text(text) => text.len(),
            Self::Bytes(bytes) => bytes.len(),
            Self::Texts(texts) => texts.iter().map(|text| text.len() + 16).sum(),
            _ => 0,
        };
        u32::try_from(bytes / 64).unwrap_or(u32::MAX)
    }

    pub(super) fn number(&self) -> Option<f64> {
        match self {
            Self::Int(value) => Some(f64::from(*value)),
            Self::Double(value) => Some(*value),
            _ => None,
        }
    }
}

/// .NET's message for a missing entry.
pub(super) const NO_KEY: Fault = Fault::NotFound("The given key was not present in the dictionary.");

/// Reason why an evaluation failed. A fault never admits a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Fault {
    /// Access to a member of null.
    NullReference,
    /// An index, a key or a position that does not exist.
    NotFound(&'static str),
    /// A cast to a type that the value does not have.
    InvalidCast,
    /// The limit on steps or memory of a request is exceeded.
    TooExpensive,
    /// The result is platform-dependent in .NET, for example by culture.
    CannotTell(&'static str),
    /// A text or number that cannot be converted or is out of range.
    Format(&'static str),
}

impl Fault {
    /// Message of the fault; that of .NET's exception where there is one.
    pub(crate) fn message(&self) -> &'static str {
        match self {
            Self::NullReference => "Object reference not set to an instance of an object.",
            Self::InvalidCast => "Unable to cast object.",
            Self::TooExpensive => "The expression exceeds the limit on steps or memory.",
            Self::NotFound(message) | Self::CannotTell(message) | Self::Format(message) => message,
        }
    }
}

/// The receiver of a member, if it has a value, and the arguments.
pub(crate) struct Arguments<'a, 'r>(pub(super) &'a mut [Value<'r>]);

/// Accessors by index. Null fails as in .NET.
macro_rules! accessors {
    ($($name:ident: $result:ty = $($pattern:pat_param)|+ => $value:expr;)*) => {
        $(
            pub(crate) fn $name(&self, index: usize) -> Evaluated<$result> {
                match self.0.get(index) {
                    $(Some($pattern))|+ => Ok($value),
                    _ => Err(Fault::NullReference),
                }
            }
        )*
    };
}

impl<'r> Arguments<'_, 'r> {
    accessors! {
        text: &str = Value::Text(text) => text;
        texts: &Arc<[Cow<'r, str>]> = Value::Texts(texts) => texts;
        bytes: &[u8] = Value::Bytes(bytes) => bytes;
        char: char = Value::Char(value) => *value;
        int: i32 = Value::Int(value) => *value;
        pair: &'r DeployedCertificate = Value::Pair(entry) => entry;
        certificate: &'r Certificate = Value::Certificate(certificate, _) => certificate;
        has_private_key: bool = Value::Certificate(_, has_private_key) => *has_private_key;
        ticks: i64 = Value::DateTime(ticks) | Value::TimeSpan(ticks) => *ticks;
    }

    pub(crate) fn number(&self, index: usize) -> Evaluated<f64> {
        self.0.get(index).and_then(Value::number).ok_or(Fault::NullReference)
    }

    pub(crate) fn case(&self, index: usize) -> Case {
        self.int(index).map_or(Case::Ordinal, Case::from_code)
    }

    /// The arguments from an index on.
    pub(crate) fn rest(&self, index: usize) -> &[Value<'r>] {
        self.0.get(index..).unwrap_or_default()
    }

    /// Moves an argument out.
    pub(crate) fn take(&mut self, index: usize) -> Value<'r> {
        self.0.get_mut(index).map_or(Value::Null, |value| std::mem::replace(value, Value::Null))
    }
}
