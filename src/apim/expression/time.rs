//! `DateTime` and `TimeSpan` in ticks of 100 ns. Local time is UTC, as on Azure's hosts.

use std::fmt::Write;

use time::{Month, OffsetDateTime};

use super::value::Fault;
use crate::certificate::Timestamp;

pub(super) const TICKS_PER_SECOND: i64 = 10_000_000;
const TICKS_PER_DAY: i64 = 86_400 * TICKS_PER_SECOND;
/// Seconds from 0001-01-01 to 1970-01-01.
const EPOCH: i64 = 62_135_596_800;
/// 9999-12-31T23:59:59.9999999
const LAST: i64 = 3_155_378_975_999_999_999;

const OUT_OF_RANGE: Fault =
    Fault::Format("The added or subtracted value results in an un-representable DateTime.");

/// Converts a timestamp, clamped to .NET's years 1 to 9999.
pub(super) fn from_timestamp(at: Timestamp) -> i64 {
    at.as_unix().saturating_add(EPOCH).saturating_mul(TICKS_PER_SECOND).clamp(0, LAST)
}

pub(super) fn plus(moment: i64, span: i64) -> Result<i64, Fault> {
    moment.checked_add(span).filter(|ticks| (0..=LAST).contains(ticks)).ok_or(OUT_OF_RANGE)
}

/// A span of `count` units of `seconds` each, rounded to ticks. Some versions of .NET round to milliseconds.
pub(super) fn span(count: f64, seconds: f64) -> Result<i64, Fault> {
    let ticks = (count * seconds * TICKS_PER_SECOND as f64).round();
    if ticks.is_finite() && ticks.abs() < i64::MAX as f64 { Ok(ticks as i64) } else { Err(OUT_OF_RANGE) }
}

pub(super) fn add_months(moment: i64, months: i64) -> Result<i64, Fault> {
    let date = Date::of(moment);
    let total = date.year * 12 + (date.month - 1) + months;
    let (year, month) = (total.div_euclid(12), total.rem_euclid(12) + 1);
    // The last day of a shorter month.
    let mut days = (date.day - 3..=date.day).rev();
    let midnight = days.find_map(|day| from_parts([year, month, day], [0; 3])).ok_or(OUT_OF_RANGE)?;
    plus(midnight, moment.rem_euclid(TICKS_PER_DAY))
}

/// A date of the proleptic Gregorian calendar.
pub(super) struct Date {
    pub(super) year: i64,
    pub(super) month: i64,
    pub(super) day: i64,
}

impl Date {
    pub(super) fn of(moment: i64) -> Self {
        let at = OffsetDateTime::from_unix_timestamp(moment.div_euclid(TICKS_PER_SECOND) - EPOCH);
        let (year, month, day) = at.unwrap_or(OffsetDateTime::UNIX_EPOCH).to_calendar_date();
        Self { year: year.into(), month: u8::from(month).into(), day: day.into() }
    }
}

pub(super) fn midnight(moment: i64) -> i64 {
    moment - moment.rem_euclid(TICKS_PER_DAY)
}

/// Hour, minute or second of the day.
pub(super) fn part_of_day(moment: i64, unit_seconds: i64, modulus: i64) -> i32 {
    let seconds = moment.rem_euclid(TICKS_PER_DAY) / TICKS_PER_SECOND;
    (seconds / unit_seconds % modulus) as i32
}

/// The moment of a date and a time; None if either does not exist.
pub(super) fn from_parts(date: [i64; 3], time: [i64; 3]) -> Option<i64> {
    let [year, month, day] = date;
    let part = |part: i64| u8::try_from(part).ok();
    let year = i32::try_from(year).ok().filter(|year| (1..=9999).contains(year))?;
    let date = time::Date::from_calendar_date(year, Month::try_from(part(month)?).ok()?, part(day)?).ok()?;
    let [hour, minute, second] = time;
    let at = date.with_hms(part(hour)?, part(minute)?, part(second)?).ok()?;
    Some((at.assume_utc().unix_timestamp() + EPOCH) * TICKS_PER_SECOND)
}

/// Parses `2026-06-01` and `2026-06-01T12:00:00`, with or without `Z`. Other forms depend on a culture.
pub(super) fn parse(text: &str) -> Option<i64> {
    const FORMS: [&str; 5] = [
        "0000-00-00",
        "0000-00-00 00:00",
        "0000-00-00 00:00Z",
        "0000-00-00 00:00:00",
        "0000-00-00 00:00:00Z",
    ];
    let form = text.replace(|next: char| next.is_ascii_digit(), "0").replacen('T', " ", 1);
    if !FORMS.contains(&form.as_str()) {
        return None;
    }
    let numbers: Vec<i64> = text.split(|next: char| !next.is_ascii_digit()).flat_map(str::parse).collect();
    let part = |index| numbers.get(index).copied().unwrap_or_default();
    from_parts([part(0), part(1), part(2)], [part(3), part(4), part(5)])
}

/// Returns true for formats of `DateTime.ToString` that do not depend on a culture.
pub(super) fn is_known_format(text: &str) -> bool {
    format(0, text).is_some()
}

pub(super) fn format(moment: i64, format: &str) -> Option<String> {
    let date = Date::of(moment);
    let fraction = moment.rem_euclid(TICKS_PER_SECOND);
    let mut text = String::new();
    let mut rest = match format {
        // The kind is not stored: formatted as DateTimeKind.Unspecified.
        "o" | "O" => "yyyy-MM-ddTHH:mm:ss.fffffff",
        "s" => "yyyy-MM-ddTHH:mm:ss",
        "u" => "yyyy-MM-dd HH:mm:ssZ",
        // A single letter is a standard format; most depend on a culture.
        _ if format.chars().count() < 2 => return None,
        _ => format,
    };
    while let Some(first) = rest.chars().next() {
        let run = rest.len() - rest.trim_start_matches(first).len();
        let token = &rest[..run];
        let _ = match token {
            "yyyy" => write!(text, "{:04}", date.year),
            "MM" => write!(text, "{:02}", date.month),
            "dd" => write!(text, "{:02}", date.day),
            "HH" => write!(text, "{:02}", part_of_day(moment, 3_600, 24)),
            "mm" => write!(text, "{:02}", part_of_day(moment, 60, 60)),
            "ss" => write!(text, "{:02}", part_of_day(moment, 1, 60)),
            "fff" => write!(text, "{:03}", fraction / 10_000),
            "fffffff" => write!(text, "{fraction:07}"),
            // The invariant culture keeps the time separator.
            _ if matches!(first, '-' | ' ' | '.' | 'T' | 'Z' | '_' | ':') => write!(text, "{token}"),
            _ => return None,
        };
        rest = &rest[run..];
    }
    Some(text)
}
