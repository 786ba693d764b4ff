//! Run-time values. Most borrow from the request, the certificate or the document.

use std::{borrow::Cow, rc::Rc};

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
    Certificate(CertificateValue<'r>),
    Pair(&'r DeployedCertificate),
    Texts(Rc<[Cow<'r, str>]>),
    Bytes(Cow<'r, [u8]>),
}

/// An `X509Certificate2`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct CertificateValue<'r> {
    pub(crate) certificate: &'r Certificate,
    pub(crate) has_private_key: bool,
}

impl<'r> Value<'r> {
    pub(super) fn borrowed(text: &'r str) -> Self {
        Self::Text(Cow::Borrowed(text))
    }

    pub(super) fn is_null(&self) -> bool {
        matches!(self, Self::Null)
    }

    /// C#'s `==` for values of comparable types.
    pub(super) fn equals(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Null, Self::Null) => true,
            (Self::Bool(one), Self::Bool(two)) => one == two,
            (Self::Int(one), Self::Int(two)) => one == two,
            (Self::Char(one), Self::Char(two)) => one == two,
            (Self::Text(one), Self::Text(two)) => one == two,
            (Self::DateTime(one), Self::DateTime(two)) | (Self::TimeSpan(one), Self::TimeSpan(two)) => {
                one == two
            }
            _ => match (self.number(), other.number()) {
                (Some(one), Some(two)) => one == two,
                _ => false,
            },
        }
    }

    /// Order for C#'s `<`, `<=`, `>` and `>=`. None if either is null or not a number: all four are then false.
    pub(super) fn order(&self, other: &Self) -> Option<std::cmp::Ordering> {
        match (self, other) {
            (Self::DateTime(one), Self::DateTime(two)) | (Self::TimeSpan(one), Self::TimeSpan(two)) => {
                Some(one.cmp(two))
            }
            (Self::Char(one), Self::Char(two)) => Some(one.cmp(two)),
            _ => self.number()?.partial_cmp(&other.number()?),
        }
    }

    pub(super) fn number(&self) -> Option<f64> {
        match self {
            Self::Int(value) => Some(f64::from(*value)),
            Self::Double(value) => Some(*value),
            _ => None,
        }
    }
}

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
