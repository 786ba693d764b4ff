//! Evaluator. Steps and memory are limited per request.

mod certificate;
mod deployed;
mod functions;
mod request;
mod state;

use std::{borrow::Cow, cmp::Ordering};

pub(crate) use self::{
    certificate::{is_trusted, trust_failure},
    state::{Inputs, LastError, State, Variable},
};
use super::{
    ast::Comparison,
    node::{CertificateText, Constant, ErrorField, Kind, Node, Statement},
    time,
    ty::{Base, Type},
    value::{CertificateValue, Fault, Value},
};
use crate::apim::dotnet;

/// Maximum steps of all expressions of one request, some milliseconds of time.
const MAX_STEPS: u32 = 200_000;
/// Steps charged for verifying a chain: a signature takes as long as thousands of comparisons.
const CHAIN_STEPS: u32 = 4_000;
/// Maximum bytes of all strings that the expressions of one request create.
const MAX_STRING_BYTES: usize = 256 * 1024;

pub(crate) type Evaluated<T> = Result<T, Fault>;

/// An evaluation for one request.
#[derive(Debug)]
pub(crate) struct Evaluation<'s, 'r> {
    pub(crate) inputs: &'r Inputs<'r>,
    pub(crate) state: &'s mut State<'r>,
}

impl<'r> Evaluation<'_, 'r> {
    /// Charges steps.
    fn step(&mut self, steps: u32) -> Evaluated<()> {
        self.state.steps = self.state.steps.saturating_add(steps);
        if self.state.steps > MAX_STEPS { Err(Fault::TooExpensive) } else { Ok(()) }
    }

    /// Charges the bytes of a new string.
    fn charge_bytes(&mut self, bytes: usize) -> Evaluated<()> {
        self.state.bytes = self.state.bytes.saturating_add(bytes);
        if self.state.bytes > MAX_STRING_BYTES { Err(Fault::TooExpensive) } else { Ok(()) }
    }

    /// Charges a copy of a value. Borrowed values take no memory.
    fn charge_copy(&mut self, value: &Value<'r>) -> Evaluated<()> {
        self.step(functions::scan_steps(value))?;
        self.charge_bytes(match value {
            Value::Text(Cow::Owned(text)) => text.len(),
            Value::Bytes(Cow::Owned(bytes)) => bytes.len(),
            _ => 0,
        })
    }

    fn text(&mut self, text: String) -> Evaluated<Value<'r>> {
        self.charge_bytes(text.len())?;
        Ok(Value::Text(Cow::Owned(text)))
    }

    fn set_local(&mut self, slot: usize, value: Value<'r>) {
        if self.state.locals.len() <= slot {
            self.state.locals.resize(slot + 1, Value::Null);
        }
        if let Some(local) = self.state.locals.get_mut(slot) {
            *local = value;
        }
    }

    pub(crate) fn condition(&mut self, node: &'r Node) -> Evaluated<bool> {
        match self.value(node)? {
            Value::Bool(value) => Ok(value),
            // The type checker rules this out.
            _ => Err(Fault::InvalidCast),
        }
    }

    pub(crate) fn value(&mut self, node: &'r Node) -> Evaluated<Value<'r>> {
        self.step(1)?;
        Ok(match &node.kind {
            Kind::Constant(constant) => constant_value(constant),
            Kind::Local(slot) => {
                let value = self.state.locals.get(*slot).cloned().unwrap_or(Value::Null);
                self.charge_copy(&value)?;
                value
            }
            Kind::Certificate => {
                self.state.certificate_read = true;
                self.inputs.certificate().map_or(Value::Null, Value::Certificate)
            }
            Kind::CertificateText(which, certificate) => match self.value(certificate)? {
                Value::Certificate(certificate) => certificate_text(*which, certificate)?,
                _ => return Err(Fault::NullReference),
            },
            Kind::Equal { one, other, is_negated } => {
                let one = self.value(one)?;
                let other = self.value(other)?;
                Value::Bool(one.equals(&other) != *is_negated)
            }
            Kind::Or(operands) => {
                for operand in operands {
                    if self.condition(operand)? {
                        return Ok(Value::Bool(true));
                    }
                }
                Value::Bool(false)
            }
            Kind::And(operands) => {
                for operand in operands {
                    if !self.condition(operand)? {
                        return Ok(Value::Bool(false));
                    }
                }
                Value::Bool(true)
            }
            Kind::Not(operand) => Value::Bool(!self.condition(operand)?),
            Kind::Order(comparison, one, other) => {
                let one = self.value(one)?;
                let other = self.value(other)?;
                let order = one.order(&other);
                Value::Bool(order.is_some_and(|order| match comparison {
                    Comparison::Less => order == Ordering::Less,
                    Comparison::LessOrEqual => order != Ordering::Greater,
                    Comparison::Greater => order == Ordering::Greater,
                    Comparison::GreaterOrEqual => order != Ordering::Less,
                    Comparison::Equal | Comparison::NotEqual => false,
                }))
            }
            Kind::Now => Value::DateTime(time::from_timestamp(self.inputs.now)),
            Kind::Ternary(condition, then, otherwise) => {
                let branch = if self.condition(condition)? { then } else { otherwise };
                self.value(branch)?
            }
            Kind::Coalesce(first, second) => match self.value(first)? {
                Value::Null => self.value(second)?,
                value => value,
            },
            Kind::IfNotNull { target, slot, rest } => match self.value(target)? {
                Value::Null => Value::Null,
                value => {
                    self.set_local(*slot, value);
                    self.value(rest)?
                }
            },
            Kind::Concat(parts) => self.concat(parts)?,
            Kind::Array(items) => {
                let mut texts = Vec::with_capacity(items.len());
                for item in items {
                    match self.value(item)? {
                        Value::Text(text) => texts.push(text),
                        // Null elements are not supported.
                        _ => return Err(Fault::NullReference),
                    }
                }
                Value::Texts(texts.into())
            }
            Kind::Cast(ty, inner) => {
                let value = self.value(inner)?;
                cast(value, *ty)?
            }
            Kind::Block(statements) => self.block(statements)?.unwrap_or(Value::Null),
            Kind::Call(function, arguments) => self.call(*function, arguments)?,
            Kind::AnyText { list, slot, condition, is_all } => {
                self.any_text(list, *slot, condition, *is_all)?
            }
            Kind::LastError(field) => self.last_error(*field),
            Kind::Variable(name) => match self.variable(name)? {
                Some(value) => value,
                None => return Err(Fault::NotFound("The given key was not present in the dictionary.")),
            },
            Kind::VariableOr(name, ty, default) => match self.variable(name)? {
                Some(value) => cast(value, *ty)?,
                None => self.value(default)?,
            },
            Kind::HasVariable(name) => Value::Bool(self.variable(name)?.is_some()),
            Kind::DeploymentCount => {
                Value::Int(i32::try_from(self.inputs.deployed().len()).unwrap_or(i32::MAX))
            }
            Kind::Deployed(key) => match self.find_deployed(key)? {
                Some(entry) => Value::Certificate(CertificateValue {
                    certificate: entry.certificate(),
                    has_private_key: entry.has_private_key(),
                }),
                None => return Err(Fault::NotFound("The given key was not present in the dictionary.")),
            },
            Kind::HasDeployed(key) => {
                // A null key is an exception in .NET, not a missing key.
                if self.value(key)?.is_null() {
                    return Err(Fault::NullReference);
                }
                Value::Bool(self.find_deployed(key)?.is_some())
            }
            Kind::AnyDeployed(None) => Value::Bool(!self.inputs.deployed().is_empty()),
            Kind::AnyDeployed(Some((slot, condition))) => {
                Value::Bool(self.first_deployed(*slot, condition, true)?.is_some())
            }
            Kind::AllDeployed(slot, condition) => {
                Value::Bool(self.first_deployed(*slot, condition, false)?.is_none())
            }
            Kind::AnyByThumbprint(key, rest) => {
                // .NET does not evaluate the key without entries.
                if self.inputs.deployed().is_empty() {
                    return Ok(Value::Bool(false));
                }
                let found = self.find_deployed(key)?;
                match (found, rest) {
                    (Some(entry), Some((slot, condition))) => {
                        self.set_local(*slot, Value::Pair(entry));
                        Value::Bool(self.condition(condition)?)
                    }
                    (found, _) => Value::Bool(found.is_some()),
                }
            }
            Kind::FirstDeployed { slot, condition, or_default } => {
                match self.first_deployed(*slot, condition, true)? {
                    Some(entry) => Value::Pair(entry),
                    None if *or_default => Value::Null,
                    None => return Err(Fault::NotFound("Sequence contains no matching element")),
                }
            }
            Kind::Request(text) => self.request_text(*text)?,
            Kind::Port => Value::Int(self.port()),
            Kind::Header(name, default) => match self.header(name)? {
                Some(text) => text,
                None => self.value(default)?,
            },
            Kind::Headers(name) => self.headers(name)?,
            Kind::HasHeader(name) => Value::Bool(self.request_headers().contains_key(name)),
            Kind::Query(name, default) => match self.query(name)?.as_slice() {
                [] => self.value(default)?,
                values => {
                    let joined = values.join(",");
                    self.text(joined)?
                }
            },
            Kind::Queries(name) => match self.query(name)? {
                values if values.is_empty() => {
                    return Err(Fault::NotFound("The given key was not present in the dictionary."));
                }
                values => Value::Texts(values.into_iter().map(Cow::Owned).collect()),
            },
            Kind::HasQuery(name) => Value::Bool(!self.query(name)?.is_empty()),
        })
    }

    fn concat(&mut self, parts: &'r [Node]) -> Evaluated<Value<'r>> {
        let mut joined = String::new();
        for part in parts {
            let value = self.value(part)?;
            match &value {
                Value::Text(text) => joined.push_str(text),
                other => joined.push_str(&functions::print(other)?),
            }
            if joined.len() > MAX_STRING_BYTES {
                return Err(Fault::TooExpensive);
            }
        }
        self.text(joined)
    }

    /// Runs statements. Returns the value of the first `return` reached.
    fn block(&mut self, statements: &'r [Statement]) -> Evaluated<Option<Value<'r>>> {
        for statement in statements {
            self.step(1)?;
            match statement {
                Statement::Set(slot, value) => {
                    let value = self.value(value)?;
                    self.set_local(*slot, value);
                }
                Statement::If(condition, then, otherwise) => {
                    let branch = if self.condition(condition)? { then } else { otherwise };
                    if let Some(value) = self.block(branch)? {
                        return Ok(Some(value));
                    }
                }
                Statement::Return(value) => return self.value(value).map(Some),
            }
        }
        Ok(None)
    }

    fn any_text(
        &mut self,
        list: &'r Node,
        slot: usize,
        condition: &'r Node,
        is_all: bool,
    ) -> Evaluated<Value<'r>> {
        let Value::Texts(texts) = self.value(list)? else { return Err(Fault::NullReference) };
        for text in texts.iter() {
            self.set_local(slot, Value::Text(text.clone()));
            if self.condition(condition)? != is_all {
                return Ok(Value::Bool(!is_all));
            }
        }
        Ok(Value::Bool(is_all))
    }

    fn variable(&mut self, name: &str) -> Evaluated<Option<Value<'r>>> {
        let Some(variable) = self.state.variables.iter().find(|variable| variable.name == name) else {
            return Ok(None);
        };
        self.state.certificate_read |= variable.reads_certificate;
        let value = variable.value.clone();
        self.charge_copy(&value)?;
        Ok(Some(value))
    }

    fn last_error(&self, field: ErrorField) -> Value<'r> {
        let Some(error) = &self.state.last_error else { return Value::Null };
        let text = match field {
            ErrorField::Source => Some(error.source.clone()),
            ErrorField::Reason => Some(error.reason.to_owned()),
            ErrorField::Message => Some(error.message.clone()),
            ErrorField::Scope => Some(error.scope.to_owned()),
            ErrorField::Section => Some(error.section.to_owned()),
            ErrorField::Path => Some(error.path.clone()),
            ErrorField::PolicyId => error.policy_id.clone(),
        };
        text.map_or(Value::Null, |text| Value::Text(Cow::Owned(text)))
    }
}

fn constant_value(constant: &Constant) -> Value<'_> {
    match constant {
        Constant::Null => Value::Null,
        Constant::Bool(value) => Value::Bool(*value),
        Constant::Int(value) => Value::Int(*value),
        Constant::Double(value) => Value::Double(*value),
        Constant::Char(value) => Value::Char(*value),
        Constant::Text(text) => Value::borrowed(text),
        Constant::DateTime(ticks) => Value::DateTime(*ticks),
        Constant::TimeSpan(ticks) => Value::TimeSpan(*ticks),
        Constant::Bytes(bytes) => Value::Bytes(Cow::Borrowed(bytes)),
    }
}

const UNREADABLE_NAME: Fault =
    Fault::CannotTell("A name of the certificate contains a value that cannot be decoded unambiguously.");

fn certificate_text(which: CertificateText, certificate: CertificateValue<'_>) -> Evaluated<Value<'_>> {
    let certificate = certificate.certificate;
    let text = match which {
        CertificateText::Thumbprint => dotnet::thumbprint(certificate),
        CertificateText::Serial => dotnet::serial(certificate),
        CertificateText::Subject => dotnet::subject(certificate).ok_or(UNREADABLE_NAME)?,
        CertificateText::Issuer => dotnet::issuer(certificate).ok_or(UNREADABLE_NAME)?,
    };
    Ok(Value::borrowed(text))
}

/// `(type)value` of an object.
fn cast(value: Value<'_>, ty: Type) -> Evaluated<Value<'_>> {
    let fits = match (&value, ty.base) {
        (Value::Null, _) => return if ty.can_be_null() { Ok(value) } else { Err(Fault::NullReference) },
        (_, Base::Object) => true,
        (Value::Text(_), Base::Text | Base::DistinguishedName)
        | (Value::Bool(_), Base::Bool)
        | (Value::Int(_), Base::Int)
        | (Value::Double(_), Base::Double)
        | (Value::Char(_), Base::Char)
        | (Value::DateTime(_), Base::DateTime)
        | (Value::TimeSpan(_), Base::TimeSpan)
        | (Value::Certificate(_), Base::Certificate)
        | (Value::Texts(_), Base::Texts)
        | (Value::Bytes(_), Base::Bytes) => true,
        _ => false,
    };
    if fits { Ok(value) } else { Err(Fault::InvalidCast) }
}
