//! Evaluated arguments of a member.

use std::{borrow::Cow, rc::Rc};

use super::Evaluated;
use crate::{
    apim::{
        deployment::DeployedCertificate,
        expression::{
            text::Case,
            value::{CertificateValue, Fault, Value},
        },
    },
    certificate::Certificate,
};

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
        texts: &Rc<[Cow<'r, str>]> = Value::Texts(texts) => texts;
        bytes: &[u8] = Value::Bytes(bytes) => bytes;
        char: char = Value::Char(value) => *value;
        int: i32 = Value::Int(value) => *value;
        header: &'r http::HeaderName = Value::Header(name) => name;
        pair: &'r DeployedCertificate = Value::Pair(entry) => entry;
        x509: CertificateValue<'r> = Value::Certificate(certificate) => *certificate;
        ticks: i64 = Value::DateTime(ticks) | Value::TimeSpan(ticks) => *ticks;
    }

    pub(crate) fn number(&self, index: usize) -> Evaluated<f64> {
        self.0.get(index).and_then(Value::number).ok_or(Fault::NullReference)
    }

    pub(crate) fn certificate(&self, index: usize) -> Evaluated<&'r Certificate> {
        self.x509(index).map(|value| value.certificate)
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
