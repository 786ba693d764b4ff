//! Evaluator. Steps and memory are limited per request.

mod state;

use std::{borrow::Cow, cmp::Ordering};

pub(crate) use self::state::{Inputs, LastError, State, Trace, TracedPart, Variable};
use super::{
    ast::Comparison,
    members::{Row, Tag, thumbprint},
    node::{Kind, Node, Select, Statement},
    ty::Base,
    value::{Arguments, Fault, Value},
};
use crate::apim::{
    deployment::{DeployedCertificate, DeploymentCertificates},
    dotnet,
};

/// Maximum steps of all expressions of one request, some milliseconds of time.
const MAX_STEPS: u32 = 200_000;
/// Steps charged for verifying a chain: a signature takes as long as thousands of comparisons.
pub(super) const CHAIN_STEPS: u32 = 4_000;
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
    pub(super) fn step(&mut self, steps: u32) -> Evaluated<()> {
        self.state.steps = self.state.steps.saturating_add(steps);
        if self.state.steps > MAX_STEPS { Err(Fault::TooExpensive) } else { Ok(()) }
    }

    /// Charges the bytes of a new string.
    pub(super) fn charge_bytes(&mut self, bytes: usize) -> Evaluated<()> {
        self.state.bytes = self.state.bytes.saturating_add(bytes);
        if self.state.bytes > MAX_STRING_BYTES { Err(Fault::TooExpensive) } else { Ok(()) }
    }

    /// Charges a copy of a value. Borrowed values take no memory.
    pub(super) fn charge_copy(&mut self, value: &Value<'r>) -> Evaluated<()> {
        self.step(value.scan_steps())?;
        self.charge_bytes(match value {
            Value::Text(Cow::Owned(text)) => text.len(),
            Value::Bytes(Cow::Owned(bytes)) => bytes.len(),
            _ => 0,
        })
    }

    pub(super) fn text(&mut self, text: String) -> Evaluated<Value<'r>> {
        self.charge_bytes(text.len())?;
        Ok(Value::Text(Cow::Owned(text)))
    }

    /// The traced part of a condition that is evaluated. None without a trace.
    pub(super) fn traced(&mut self) -> Option<&mut TracedPart<'r>> {
        let trace = self.state.trace.as_mut()?;
        trace.current.and_then(|_| trace.parts.last_mut())
    }

    /// The deployment's certificates, to look up entries.
    pub(super) fn deployed(&mut self) -> &'r DeploymentCertificates {
        if let Some(part) = self.traced() {
            part.reads_deployment = true;
        }
        self.inputs.deployed()
    }

    fn local(&self, slot: usize) -> Value<'r> {
        self.state.locals.get(slot).cloned().unwrap_or(Value::Null)
    }

    fn set_local(&mut self, slot: usize, value: Value<'r>) {
        if self.state.locals.len() <= slot {
            self.state.locals.resize(slot + 1, Value::Null);
        }
        self.state.locals[slot] = value;
    }

    pub(crate) fn condition(&mut self, node: &'r Node) -> Evaluated<bool> {
        let part = self.state.trace.as_mut().and_then(|trace| trace.begin(node));
        let result = self.value(node).and_then(|value| match value {
            Value::Bool(value) => Ok(value),
            // The type checker rules this out.
            _ => Err(Fault::InvalidCast),
        });
        if let (Some(part), Some(trace)) = (part, &mut self.state.trace) {
            trace.end(part, &result);
        }
        result
    }

    pub(crate) fn value(&mut self, node: &'r Node) -> Evaluated<Value<'r>> {
        self.step(1)?;
        Ok(match &node.kind {
            Kind::Constant(constant) => Value::constant(constant),
            Kind::Local(slot) => {
                let value = self.local(*slot);
                self.charge_copy(&value)?;
                value
            }
            Kind::Call(row, arguments) => self.call(row, arguments)?,
            Kind::Select(select) => self.select(select)?,
            Kind::And(operands) | Kind::Or(operands) => {
                let deciding = matches!(node.kind, Kind::Or(_));
                for operand in operands {
                    if self.condition(operand)? == deciding {
                        return Ok(Value::Bool(deciding));
                    }
                }
                Value::Bool(!deciding)
            }
            Kind::Not(operand) => Value::Bool(!self.condition(operand)?),
            Kind::Compare(comparison, one, other) => {
                let (one, other) = (self.operand(node, one)?, self.operand(node, other)?);
                Value::Bool(match comparison {
                    Comparison::Equal => one.equals(&other),
                    Comparison::NotEqual => !one.equals(&other),
                    Comparison::Less => one.order(&other).is_some_and(Ordering::is_lt),
                    Comparison::LessOrEqual => one.order(&other).is_some_and(Ordering::is_le),
                    Comparison::Greater => one.order(&other).is_some_and(Ordering::is_gt),
                    Comparison::GreaterOrEqual => one.order(&other).is_some_and(Ordering::is_ge),
                })
            }
            Kind::Ternary(condition, then, otherwise) => {
                let branch = if self.condition(condition)? { then } else { otherwise };
                self.value(branch)?
            }
            Kind::Coalesce(first, second) => match self.value(first)? {
                Value::Null => self.value(second)?,
                value => value,
            },
            Kind::IfNotNull(slot, target, rest) => match self.value(target)? {
                Value::Null => Value::Null,
                value => {
                    self.set_local(*slot, value);
                    self.value(rest)?
                }
            },
            Kind::Concat(parts) => {
                let mut joined = String::new();
                for part in parts {
                    joined.push_str(&self.value(part)?.print()?);
                    // The string is charged when it is complete.
                    if joined.len() > MAX_STRING_BYTES {
                        return Err(Fault::TooExpensive);
                    }
                }
                self.text(joined)?
            }
            Kind::Array(items) => {
                let texts = items.iter().map(|item| match self.value(item)? {
                    Value::Text(text) => Ok(text),
                    // Null elements are not supported.
                    _ => Err(Fault::NullReference),
                });
                Value::Texts(texts.collect::<Evaluated<_>>()?)
            }
            Kind::Cast(ty, inner) => self.value(inner)?.cast(*ty)?,
            Kind::Block(statements) => self.block(statements)?.unwrap_or(Value::Null),
        })
    }

    /// Evaluates an operand of a comparison.
    fn operand(&mut self, comparison: &Node, operand: &'r Node) -> Evaluated<Value<'r>> {
        let value = self.value(operand)?;
        if let Some(trace) = &mut self.state.trace {
            trace.operand(comparison, operand, &value);
        }
        Ok(value)
    }

    fn call(&mut self, row: &Row, arguments: &'r [Node]) -> Evaluated<Value<'r>> {
        let mut few: [Value<'r>; 4] = std::array::from_fn(|_| Value::Null);
        let mut many = Vec::new();
        let values = match few.get_mut(..arguments.len()) {
            Some(few) => few,
            None => {
                many.resize(arguments.len(), Value::Null);
                &mut *many
            }
        };
        for (value, argument) in values.iter_mut().zip(arguments) {
            *value = self.value(argument)?;
            self.step(value.scan_steps())?;
        }
        (row.function)(self, Arguments(values))
    }

    fn select(&mut self, select: &'r Select) -> Evaluated<Value<'r>> {
        let item = |entry: &'r DeployedCertificate| match select.base {
            Base::ENTRY_KEYS => Value::borrowed(dotnet::thumbprint(entry.certificate())),
            Base::ENTRY_VALUES => entry.into(),
            _ => Value::Pair(entry),
        };
        let mut found = match &select.key {
            _ if select.base == Base::Texts => match self.value(&select.list)? {
                Value::Texts(texts) => self.first(select, texts.iter().cloned().map(Value::Text))?,
                _ => return Err(Fault::NullReference),
            },
            // .NET evaluates neither key nor condition without entries.
            _ if self.deployed().is_empty() => None,
            None => self.first(select, self.inputs.deployed().iter().map(item))?,
            Some(key) => {
                let entry = self.find_deployed(key)?;
                self.first(select, entry.map(item).into_iter())?
            }
        };
        (select.row.function)(self, Arguments(found.as_mut_slice()))
    }

    /// Returns the first item for which the condition decides.
    fn first(
        &mut self,
        select: &'r Select,
        items: impl Iterator<Item = Value<'r>>,
    ) -> Evaluated<Option<Value<'r>>> {
        for item in items {
            self.set_local(select.slot, item);
            if self.condition(&select.condition)? != (select.row.tag == Tag::All) {
                return Ok(Some(self.local(select.slot)));
            }
        }
        Ok(None)
    }

    fn find_deployed(&mut self, key: &'r Node) -> Evaluated<Option<&'r DeployedCertificate>> {
        // The thumbprint of a certificate is looked up without formatting it.
        if let Kind::Call(Row { tag: Tag::Thumbprint, .. }, receiver) = &key.kind
            && let [receiver] = &**receiver
            && let Value::Certificate(found, _) = self.value(receiver)?
        {
            return Ok(self.deployed().by_thumbprint(found.sha1_thumbprint()));
        }
        Ok(match self.value(key)? {
            Value::Text(text) => thumbprint(&text).and_then(|key| self.deployed().by_thumbprint(key)),
            // Null equals no thumbprint.
            _ => None,
        })
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
}
