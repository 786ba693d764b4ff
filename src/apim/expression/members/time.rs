//! Members of `DateTime`, `TimeSpan` and numbers.

use super::{
    Base::{DateTime, Double, Int, Text, TimeSpan},
    Evaluated, Fault,
    Parameter::{self, Literal, Of},
    Row, Value, member, method,
};
use crate::apim::expression::{
    time::{self, Date, TICKS_PER_SECOND},
    value::Arguments,
};

const FORMAT: Parameter = Literal(
    |format| time::is_known_format(format).then(|| Value::Text(format.to_owned().into())),
    "the format depends on a culture; use a literal such as \"yyyy-MM-dd HH:mm:ss\" or \"o\"",
);

pub(super) const DATE_TIME: &[Row] = &[
    member("Year", Int, |_, a| date(&a, |date| date.year)),
    member("Month", Int, |_, a| date(&a, |date| date.month)),
    member("Day", Int, |_, a| date(&a, |date| date.day)),
    member("Hour", Int, |_, a| Ok(Value::Int(time::part_of_day(a.ticks(0)?, 3_600, 24)))),
    member("Minute", Int, |_, a| Ok(Value::Int(time::part_of_day(a.ticks(0)?, 60, 60)))),
    member("Second", Int, |_, a| Ok(Value::Int(time::part_of_day(a.ticks(0)?, 1, 60)))),
    member("Date", DateTime, |_, a| Ok(Value::DateTime(time::midnight(a.ticks(0)?)))),
    method("AddDays", &[Of(Double)], DateTime, |_, a| add_units(&a, 86_400.0)),
    method("AddHours", &[Of(Double)], DateTime, |_, a| add_units(&a, 3_600.0)),
    method("AddMinutes", &[Of(Double)], DateTime, |_, a| add_units(&a, 60.0)),
    method("AddSeconds", &[Of(Double)], DateTime, |_, a| add_units(&a, 1.0)),
    method("AddMonths", &[Of(Int)], DateTime, |_, a| add_months(&a, 1)),
    method("AddYears", &[Of(Int)], DateTime, |_, a| add_months(&a, 12)),
    method("Add|+", &[Of(TimeSpan)], DateTime, |_, a| {
        time::plus(a.ticks(0)?, a.ticks(1)?).map(Value::DateTime)
    }),
    method("Subtract|-", &[Of(TimeSpan)], DateTime, |_, a| {
        time::plus(a.ticks(0)?, a.ticks(1)?.saturating_neg()).map(Value::DateTime)
    }),
    method("Subtract|-", &[Of(DateTime)], TimeSpan, |_, a| {
        Ok(Value::TimeSpan(a.ticks(0)?.saturating_sub(a.ticks(1)?)))
    }),
    method("ToString", &[FORMAT], Text, |e, a| {
        let printed = time::format(a.ticks(0)?, a.text(1)?);
        e.text(printed.ok_or(Fault::Format("Input string was not in a correct format."))?)
    }),
];

pub(super) const TIME_SPAN: &[Row] = &[
    member("Days", Int, |_, a| part(&a, 86_400, i64::MAX)),
    member("Hours", Int, |_, a| part(&a, 3_600, 24)),
    member("Minutes", Int, |_, a| part(&a, 60, 60)),
    member("Seconds", Int, |_, a| part(&a, 1, 60)),
    member("TotalDays", Double, |_, a| total(&a, 86_400.0)),
    member("TotalHours", Double, |_, a| total(&a, 3_600.0)),
    member("TotalMinutes", Double, |_, a| total(&a, 60.0)),
    member("TotalSeconds", Double, |_, a| total(&a, 1.0)),
    method("Add|+", &[Of(TimeSpan)], TimeSpan, |_, a| {
        Ok(Value::TimeSpan(a.ticks(0)?.saturating_add(a.ticks(1)?)))
    }),
    method("Subtract|-", &[Of(TimeSpan)], TimeSpan, |_, a| {
        Ok(Value::TimeSpan(a.ticks(0)?.saturating_sub(a.ticks(1)?)))
    }),
];

pub(super) const INT: &[Row] = &[
    member("-()", Int, |_, a| Ok(Value::Int(a.int(0)?.wrapping_neg()))),
    method("+", &[Of(Int)], Int, |_, a| Ok(Value::Int(a.int(0)?.wrapping_add(a.int(1)?)))),
    method("-", &[Of(Int)], Int, |_, a| Ok(Value::Int(a.int(0)?.wrapping_sub(a.int(1)?)))),
];

pub(super) const NUMBER: &[Row] = &[
    member("-()", Double, |_, a| Ok(Value::Double(-a.number(0)?))),
    method("+", &[Of(Double)], Double, |_, a| Ok(Value::Double(a.number(0)? + a.number(1)?))),
    method("-", &[Of(Double)], Double, |_, a| Ok(Value::Double(a.number(0)? - a.number(1)?))),
];

fn date<'r>(arguments: &Arguments<'_, 'r>, component: fn(Date) -> i64) -> Evaluated<Value<'r>> {
    Ok(Value::Int(component(Date::of(arguments.ticks(0)?)) as i32))
}

fn add_units<'r>(arguments: &Arguments<'_, 'r>, seconds: f64) -> Evaluated<Value<'r>> {
    let span = time::span(arguments.number(1)?, seconds)?;
    time::plus(arguments.ticks(0)?, span).map(Value::DateTime)
}

fn add_months<'r>(arguments: &Arguments<'_, 'r>, months: i64) -> Evaluated<Value<'r>> {
    time::add_months(arguments.ticks(0)?, months * i64::from(arguments.int(1)?)).map(Value::DateTime)
}

/// A component of a span: seconds per unit, and modulus.
fn part<'r>(arguments: &Arguments<'_, 'r>, seconds: i64, modulus: i64) -> Evaluated<Value<'r>> {
    let units = arguments.ticks(0)? / TICKS_PER_SECOND / seconds;
    Ok(Value::Int(i32::try_from(units % modulus).unwrap_or(i32::MAX)))
}

fn total<'r>(arguments: &Arguments<'_, 'r>, seconds: f64) -> Evaluated<Value<'r>> {
    Ok(Value::Double(arguments.ticks(0)? as f64 / (seconds * TICKS_PER_SECOND as f64)))
}
