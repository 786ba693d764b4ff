//! Functions with evaluated arguments.

use std::borrow::Cow;

use super::{Evaluated, Evaluation};
use crate::apim::expression::{
    base64,
    node::{Function, Node},
    text::{self, Side},
    time::{self, Date, TICKS_PER_SECOND},
    value::{Fault, Value},
};
use crate::certificate::Hex;

const NO_ELEMENT: Fault = Fault::NotFound("Sequence contains no elements");
const OUT_OF_RANGE: Fault = Fault::NotFound("Index was outside the bounds of the array.");

/// `ToString()`; null is the empty string, as in a concatenation.
pub(super) fn print<'v>(value: &'v Value<'_>) -> Evaluated<Cow<'v, str>> {
    Ok(match value {
        Value::Null => "".into(),
        Value::Text(text) => Cow::Borrowed(text),
        Value::Bool(value) => if *value { "True" } else { "False" }.into(),
        Value::Int(value) => value.to_string().into(),
        Value::Char(value) => value.to_string().into(),
        _ => return Err(Fault::CannotTell("The text of this value depends on a culture.")),
    })
}

fn as_text<'v>(value: &'v Value<'_>) -> Evaluated<&'v str> {
    match value {
        Value::Text(text) => Ok(text),
        _ => Err(Fault::NullReference),
    }
}

fn ticks(value: &Value<'_>) -> Evaluated<i64> {
    match value {
        Value::DateTime(ticks) | Value::TimeSpan(ticks) => Ok(*ticks),
        _ => Err(Fault::NullReference),
    }
}

fn int(value: &Value<'_>) -> Evaluated<i32> {
    match value {
        Value::Int(value) => Ok(*value),
        _ => Err(Fault::NullReference),
    }
}

fn number(value: &Value<'_>) -> Evaluated<f64> {
    value.number().ok_or(Fault::NullReference)
}

fn from_usize(value: usize) -> Value<'static> {
    Value::Int(i32::try_from(value).unwrap_or(i32::MAX))
}

/// Steps charged for reading a whole value.
pub(super) fn scan_steps(value: &Value<'_>) -> u32 {
    let bytes = match value {
        Value::Text(text) => text.len(),
        Value::Bytes(bytes) => bytes.len(),
        Value::Texts(texts) => texts.iter().map(|text| text.len() + 16).sum(),
        _ => 0,
    };
    u32::try_from(bytes / 64).unwrap_or(u32::MAX)
}

/// True for functions whose time grows with the product of both lengths.
fn searches_ignoring_case(function: Function) -> bool {
    use text::Case::{CultureIgnoreCase, OrdinalIgnoreCase};
    matches!(
        function,
        Function::Contains(OrdinalIgnoreCase | CultureIgnoreCase)
            | Function::IndexOf(OrdinalIgnoreCase | CultureIgnoreCase)
    )
}

impl<'r> Evaluation<'_, 'r> {
    pub(super) fn call(&mut self, function: Function, arguments: &'r [Node]) -> Evaluated<Value<'r>> {
        match arguments {
            [only] => {
                let only = self.value(only)?;
                self.step(scan_steps(&only))?;
                self.call_one(function, only)
            }
            [first, second] => {
                let first = self.value(first)?;
                let second = self.value(second)?;
                self.step(scan_steps(&first).saturating_add(scan_steps(&second)))?;
                if searches_ignoring_case(function) {
                    self.step(scan_steps(&first).saturating_mul(scan_steps(&second).saturating_mul(64)))?;
                }
                self.call_two(function, &first, &second)
            }
            _ => {
                let mut values = Vec::with_capacity(arguments.len());
                for argument in arguments {
                    let value = self.value(argument)?;
                    self.step(scan_steps(&value))?;
                    values.push(value);
                }
                self.call_many(function, &values)
            }
        }
    }

    /// Copies an element of a list.
    fn item(&mut self, item: Option<&Cow<'r, str>>) -> Evaluated<Option<Value<'r>>> {
        let value = item.cloned().map(Value::Text);
        if let Some(value) = &value {
            self.charge_copy(value)?;
        }
        Ok(value)
    }

    fn call_one(&mut self, function: Function, value: Value<'r>) -> Evaluated<Value<'r>> {
        Ok(match function {
            Function::IsNullOrEmpty => Value::Bool(as_text(&value).map_or(true, str::is_empty)),
            Function::IsNullOrWhiteSpace => {
                Value::Bool(as_text(&value).map_or(true, |text| text.trim().is_empty()))
            }
            Function::ToDouble => match value {
                Value::Int(value) => Value::Double(value.into()),
                value => value,
            },
            _ if value.is_null() => return Err(Fault::NullReference),
            Function::Length => from_usize(text::length(as_text(&value)?)),
            Function::ToUpper => {
                let upper = text::to_upper(as_text(&value)?);
                self.text(upper)?
            }
            Function::ToLower => {
                let lower = text::to_lower(as_text(&value)?);
                self.text(lower)?
            }
            Function::Trim(side) => self.trimmed(value, side, char::is_whitespace)?,
            Function::ToText => match value {
                Value::Text(_) => value,
                other => {
                    let printed = print(&other)?.into_owned();
                    self.text(printed)?
                }
            },
            Function::Count
            | Function::First
            | Function::FirstOrDefault
            | Function::Last
            | Function::IsNotEmpty => {
                let Value::Texts(texts) = value else { return Err(Fault::NullReference) };
                match function {
                    Function::Count => from_usize(texts.len()),
                    Function::IsNotEmpty => Value::Bool(!texts.is_empty()),
                    Function::First => self.item(texts.first())?.ok_or(NO_ELEMENT)?,
                    Function::Last => self.item(texts.last())?.ok_or(NO_ELEMENT)?,
                    _ => self.item(texts.first())?.unwrap_or(Value::Null),
                }
            }
            Function::SpanOf(seconds) => Value::TimeSpan(time::span(number(&value)?, seconds)?),
            Function::TotalUnits(seconds) => {
                Value::Double(ticks(&value)? as f64 / (seconds * TICKS_PER_SECOND as f64))
            }
            Function::PartOfSpan(seconds, modulus) => {
                let units = ticks(&value)? / TICKS_PER_SECOND / seconds;
                Value::Int(i32::try_from(units % modulus).unwrap_or(i32::MAX))
            }
            Function::Year => Value::Int(Date::of(ticks(&value)?).year as i32),
            Function::Month => Value::Int(Date::of(ticks(&value)?).month as i32),
            Function::Day => Value::Int(Date::of(ticks(&value)?).day as i32),
            Function::PartOfDay(unit, modulus) => {
                Value::Int(time::part_of_day(ticks(&value)?, unit, modulus))
            }
            Function::Midnight => Value::DateTime(time::midnight(ticks(&value)?)),
            Function::Negate => match value {
                Value::Int(value) => Value::Int(value.wrapping_neg()),
                value => Value::Double(-number(&value)?),
            },
            Function::ParseInt => {
                // .NET allows ASCII white space around numbers.
                let is_blank = |character| matches!(character, '\t'..='\r' | ' ');
                let text = as_text(&value)?.trim_matches(is_blank);
                Value::Int(
                    text.parse().map_err(|_| Fault::Format("Input string was not in a correct format."))?,
                )
            }
            Function::ToBool => {
                let text = as_text(&value)?.trim();
                match text {
                    _ if text.eq_ignore_ascii_case("true") => Value::Bool(true),
                    _ if text.eq_ignore_ascii_case("false") => Value::Bool(false),
                    _ => return Err(Fault::Format("String was not recognized as a valid Boolean.")),
                }
            }
            Function::ToBase64 => match &value {
                Value::Bytes(bytes) => {
                    let encoded = base64::encode(bytes);
                    self.text(encoded)?
                }
                _ => return Err(Fault::NullReference),
            },
            Function::ToHex => match &value {
                Value::Bytes(bytes) => {
                    let printed = format!("{:X}", Hex(bytes));
                    self.text(printed)?
                }
                _ => return Err(Fault::NullReference),
            },
            Function::FromBase64 => {
                let bytes = base64::decode(as_text(&value)?)
                    .ok_or(Fault::Format("The input is not a valid Base-64 string."))?;
                self.charge_bytes(bytes.len())?;
                Value::Bytes(Cow::Owned(bytes))
            }
            _ => self.call_certificate(function, value)?,
        })
    }

    fn call_two(&mut self, function: Function, one: &Value<'r>, two: &Value<'r>) -> Evaluated<Value<'r>> {
        Ok(match function {
            Function::SameText(case) => Value::Bool(match (one, two) {
                (Value::Text(one), Value::Text(two)) => case.equal(one, two)?,
                (one, two) => one.is_null() && two.is_null(),
            }),
            Function::EqualsText(case) => match two {
                Value::Text(other) => Value::Bool(case.equal(as_text(one)?, other)?),
                _ => {
                    as_text(one)?;
                    Value::Bool(false)
                }
            },
            Function::HasText => {
                let Value::Texts(texts) = one else { return Err(Fault::NullReference) };
                Value::Bool(matches!(two, Value::Text(wanted) if texts.contains(wanted)))
            }
            Function::At => {
                let Value::Texts(texts) = one else { return Err(Fault::NullReference) };
                let index = usize::try_from(int(two)?).map_err(|_| OUT_OF_RANGE)?;
                self.item(texts.get(index))?.ok_or(OUT_OF_RANGE)?
            }
            Function::Join => {
                let Value::Texts(texts) = two else { return Err(Fault::NullReference) };
                let separator = print(one)?;
                // Charged before joining: a long separator multiplies short texts.
                let separators = separator.len().saturating_mul(texts.len().saturating_sub(1));
                let length = texts.iter().map(|text| text.len()).sum::<usize>().saturating_add(separators);
                self.charge_bytes(length)?;
                Value::Text(Cow::Owned(texts.join(&*separator)))
            }
            Function::CharAt => {
                let character = text::char_at(as_text(one)?, int(two)?);
                Value::Char(character.ok_or(OUT_OF_RANGE)?)
            }
            Function::Contains(case) => Value::Bool(case.find(as_text(one)?, as_text(two)?)?.is_some()),
            Function::StartsWith(case) => Value::Bool(case.starts_with(as_text(one)?, as_text(two)?)?),
            Function::EndsWith(case) => Value::Bool(case.ends_with(as_text(one)?, as_text(two)?)?),
            Function::IndexOf(case) => {
                let text = as_text(one)?;
                match case.find(text, as_text(two)?)? {
                    Some(byte) => from_usize(text::position(text, byte)),
                    None => Value::Int(-1),
                }
            }
            Function::LastIndexOf => {
                let (text, Value::Char(wanted)) = (as_text(one)?, two) else {
                    return Err(Fault::NullReference);
                };
                text.rfind(*wanted).map_or(Value::Int(-1), |byte| from_usize(text::position(text, byte)))
            }
            Function::SplitBy { keep_empty } => {
                let (text, by) = (as_text(one)?, as_text(two)?);
                let parts = || text.split(by).filter(|part| keep_empty || !part.is_empty());
                self.charge_bytes(text.len() + 32 + parts().count() * 32)?;
                Value::Texts(parts().map(|part| Cow::Owned(part.to_owned())).collect())
            }
            Function::AddUnits(seconds) => {
                Value::DateTime(time::plus(ticks(one)?, time::span(number(two)?, seconds)?)?)
            }
            Function::AddMonths(months) => {
                Value::DateTime(time::add_months(ticks(one)?, months * i64::from(int(two)?))?)
            }
            Function::PlusSpan => Value::DateTime(time::plus(ticks(one)?, ticks(two)?)?),
            Function::MinusSpan => Value::DateTime(time::plus(ticks(one)?, ticks(two)?.saturating_neg())?),
            Function::Difference | Function::SubtractSpans => {
                Value::TimeSpan(ticks(one)?.saturating_sub(ticks(two)?))
            }
            Function::AddSpans => Value::TimeSpan(ticks(one)?.saturating_add(ticks(two)?)),
            Function::Format => {
                let printed = time::format(ticks(one)?, as_text(two)?)
                    .ok_or(Fault::Format("Input string was not in a correct format."))?;
                self.text(printed)?
            }
            Function::Add => match (one, two) {
                (Value::Int(one), Value::Int(two)) => Value::Int(one.wrapping_add(*two)),
                _ => Value::Double(number(one)? + number(two)?),
            },
            Function::Subtract => match (one, two) {
                (Value::Int(one), Value::Int(two)) => Value::Int(one.wrapping_sub(*two)),
                _ => Value::Double(number(one)? - number(two)?),
            },
            _ => self.call_many(function, &[one.clone(), two.clone()])?,
        })
    }

    fn call_many(&mut self, function: Function, values: &[Value<'r>]) -> Evaluated<Value<'r>> {
        let Some((first, rest)) = values.split_first() else { return Err(Fault::NullReference) };
        let chars = |value: &Value<'_>| match value {
            Value::Char(character) => Some(*character),
            _ => None,
        };
        Ok(match (function, rest) {
            (Function::TrimOf(side), rest) => {
                let trimmed: Vec<char> = rest.iter().filter_map(chars).collect();
                self.trimmed(first.clone(), side, |character| trimmed.contains(&character))?
            }
            (Function::Split { keep_empty }, rest) => {
                let Value::Text(text) = first else { return Err(Fault::NullReference) };
                let by: Vec<char> = rest.iter().filter_map(chars).collect();
                let is_separator = |character| by.contains(&character);
                let parts = text.split(is_separator).filter(|part| keep_empty || !part.is_empty()).count();
                self.charge_bytes(text.len() + 32 + parts * 32)?;
                Value::Texts(text::split(text.clone(), is_separator, keep_empty).into())
            }
            (Function::Substring, [start]) => self.substring(first, int(start)?, None)?,
            (Function::Substring, [start, count]) => self.substring(first, int(start)?, Some(int(count)?))?,
            (Function::Replace, [old, new]) => {
                let (text, old) = (as_text(first)?, as_text(old)?);
                if old.is_empty() {
                    return Err(Fault::Format("String cannot be of zero length."));
                }
                let new = print(new)?;
                // Charged before replacing: replacing short texts by long ones multiplies the length.
                self.charge_bytes(text.len() + text.matches(old).count() * new.len())?;
                Value::Text(Cow::Owned(text.replace(old, &new)))
            }
            _ => return Err(Fault::InvalidCast),
        })
    }

    fn trimmed(
        &mut self,
        value: Value<'r>,
        side: Side,
        is_trimmed: impl Fn(char) -> bool,
    ) -> Evaluated<Value<'r>> {
        match value {
            Value::Text(Cow::Borrowed(text)) => Ok(Value::borrowed(text::trim(text, side, is_trimmed))),
            Value::Text(Cow::Owned(text)) => {
                let trimmed = text::trim(&text, side, is_trimmed).to_owned();
                self.text(trimmed)
            }
            _ => Err(Fault::NullReference),
        }
    }

    fn substring(&mut self, value: &Value<'r>, start: i32, count: Option<i32>) -> Evaluated<Value<'r>> {
        match value {
            Value::Text(Cow::Borrowed(text)) => Ok(Value::borrowed(text::substring(text, start, count)?)),
            Value::Text(Cow::Owned(text)) => {
                let part = text::substring(text, start, count)?.to_owned();
                self.text(part)
            }
            _ => Err(Fault::NullReference),
        }
    }
}
