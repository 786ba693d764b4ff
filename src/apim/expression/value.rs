//! Values at run time. Most borrow from the request, the certificate or the document.

use std::{borrow::Cow, rc::Rc};

use crate::{apim::deployment::DeployedCertificate, certificate::Certificate};

#[derive(Debug, Clone)]
pub(crate) enum Value<'r> {
    Null,
    Bool(bool),
    Int(i32),
    Double(f64),
    Char(char),
    Text(Cow<'r, str>),
    /// Ticks of 100 ns since 0001-01-01T00:00:00.
    Moment(i64),
    /// Ticks.
    Span(i64),
    Certificate(CertificateValue<'r>),
    Pair(&'r DeployedCertificate),
    Texts(Rc<[Cow<'r, str>]>),
    Bytes(Cow<'r, [u8]>),
}

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

    /// C#'s `==` between values whose types were found to be comparable.
    pub(super) fn equals(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Null, Self::Null) => true,
            (Self::Bool(one), Self::Bool(two)) => one == two,
            (Self::Int(one), Self::Int(two)) => one == two,
            (Self::Char(one), Self::Char(two)) => one == two,
            (Self::Text(one), Self::Text(two)) => one == two,
            (Self::Moment(one), Self::Moment(two)) | (Self::Span(one), Self::Span(two)) => one == two,
            _ => match (self.number(), other.number()) {
                (Some(one), Some(two)) => one == two,
                _ => false,
            },
        }
    }

    /// C#'s `<` and its kin; None if one is null, or no number, then every comparison is false.
    pub(super) fn order(&self, other: &Self) -> Option<std::cmp::Ordering> {
        match (self, other) {
            (Self::Moment(one), Self::Moment(two)) | (Self::Span(one), Self::Span(two)) => Some(one.cmp(two)),
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

/// Why an expression has no value: always a refusal, never "allowed".
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Fault {
    /// A member of null was asked for.
    NullReference,
    /// An index, a key or a position that does not exist.
    NotFound(&'static str),
    /// A value of another type than the one that it was cast to.
    InvalidCast,
    /// More steps or more memory than a request may take.
    TooExpensive,
    /// Something that .NET may answer otherwise than this implementation.
    CannotTell(&'static str),
    /// A text or number that cannot be converted, or lies out of range.
    Format(&'static str),
}

impl Fault {
    /// The message of .NET's exception where there is one.
    pub(crate) fn message(&self) -> &'static str {
        match self {
            Self::NullReference => "Object reference not set to an instance of an object.",
            Self::InvalidCast => "Unable to cast object.",
            Self::TooExpensive => "The expression takes more steps or memory than a request may take.",
            Self::NotFound(message) | Self::CannotTell(message) | Self::Format(message) => message,
        }
    }
}
