//! `DateTime` and `TimeSpan` in ticks of 100 ns. Local time is UTC, as on Azure's hosts.

use std::fmt::Write;

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

pub(super) fn in_range(ticks: i64) -> Result<i64, Fault> {
    if (0..=LAST).contains(&ticks) { Ok(ticks) } else { Err(OUT_OF_RANGE) }
}

pub(super) fn plus(moment: i64, span: i64) -> Result<i64, Fault> {
    in_range(moment.checked_add(span).ok_or(OUT_OF_RANGE)?)
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
    if !(1..=9999).contains(&year) {
        return Err(OUT_OF_RANGE);
    }
    let day = date.day.min(days_in_month(year, month));
    let days = days_before(year, month, day);
    in_range(days * TICKS_PER_DAY + moment.rem_euclid(TICKS_PER_DAY))
}

/// A date of the proleptic Gregorian calendar.
pub(super) struct Date {
    pub(super) year: i64,
    pub(super) month: i64,
    pub(super) day: i64,
}

impl Date {
    pub(super) fn of(moment: i64) -> Self {
        // Days since 0000-03-01, counted in years that begin in March.
        let days = moment.div_euclid(TICKS_PER_DAY) + 306;
        let era = days.div_euclid(146_097);
        let day_of_era = days.rem_euclid(146_097);
        let year_of_era =
            (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
        let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let month_index = (5 * day_of_year + 2) / 153;
        let month = if month_index < 10 { month_index + 3 } else { month_index - 9 };
        Self {
            year: year_of_era + era * 400 + i64::from(month <= 2),
            month,
            day: day_of_year - (153 * month_index + 2) / 5 + 1,
        }
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

fn is_leap(year: i64) -> bool {
    year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
}

fn days_in_month(year: i64, month: i64) -> i64 {
    match month {
        2 if is_leap(year) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Days from 0001-01-01.
fn days_before(year: i64, month: i64, day: i64) -> i64 {
    let years = year - 1;
    let months: i64 = (1..month).map(|month| days_in_month(year, month)).sum();
    years * 365 + years / 4 - years / 100 + years / 400 + months + day - 1
}

/// The moment of a date and a time; None if either does not exist.
pub(super) fn from_parts(date: [i64; 3], time: [i64; 3]) -> Option<i64> {
    let [year, month, day] = date;
    let [hour, minute, second] = time;
    let is_date = (1..=9999).contains(&year)
        && (1..=12).contains(&month)
        && (1..=days_in_month(year, month)).contains(&day);
    let is_time = (0..24).contains(&hour) && (0..60).contains(&minute) && (0..60).contains(&second);
    (is_date && is_time).then(|| {
        days_before(year, month, day) * TICKS_PER_DAY
            + (hour * 3_600 + minute * 60 + second) * TICKS_PER_SECOND
    })
}

/// Parses `2026-06-01` and `2026-06-01T12:00:00`, with or without `Z`. Other forms depend on a culture.
pub(super) fn parse(text: &str) -> Option<i64> {
    let (date, time) = match text.split_once(['T', ' ']) {
        Some((date, time)) => (date, time.strip_suffix('Z').unwrap_or(time)),
        None => (text, "00:00:00"),
    };
    let number = |digits: &str, length: usize| {
        let is_number = digits.len() == length && digits.bytes().all(|digit| digit.is_ascii_digit());
        if is_number { digits.parse::<i64>().ok() } else { None }
    };
    let mut dates = date.split('-');
    let date = [number(dates.next()?, 4)?, number(dates.next()?, 2)?, number(dates.next()?, 2)?];
    let mut times = time.split(':');
    let time =
        [number(times.next()?, 2)?, number(times.next()?, 2)?, number(times.next().unwrap_or("00"), 2)?];
    if dates.next().is_some() || times.next().is_some() {
        return None;
    }
    from_parts(date, time)
}

/// True for formats of `DateTime.ToString` that do not depend on a culture.
pub(super) fn is_known_format(format: &str) -> bool {
    matches!(format, "o" | "O" | "s" | "u") || custom(format, 0).is_some()
}

pub(super) fn format(moment: i64, format: &str) -> Option<String> {
    match format {
        // The kind is not stored: formatted as DateTimeKind.Unspecified.
        "o" | "O" => custom("yyyy-MM-ddTHH:mm:ss.fffffff", moment),
        "s" => custom("yyyy-MM-ddTHH:mm:ss", moment),
        "u" => custom("yyyy-MM-dd HH:mm:ssZ", moment),
        _ => custom(format, moment),
    }
}

fn custom(format: &str, moment: i64) -> Option<String> {
    let date = Date::of(moment);
    let fraction = moment.rem_euclid(TICKS_PER_SECOND);
    let mut text = String::new();
    let mut rest = format;
    // A single letter is a standard format; most depend on a culture.
    if format.chars().count() < 2 {
        return None;
    }
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
            _ if matches!(first, '-' | ' ' | '.' | 'T' | 'Z' | '_') => write!(text, "{token}"),
            // The time separator, which the invariant culture keeps.
            _ if first == ':' => write!(text, "{token}"),
            _ => return None,
        };
        rest = &rest[run..];
    }
    Some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_round_trip() {
        for (text, ticks) in [
            ("0001-01-01", 0),
            ("1970-01-01", EPOCH * TICKS_PER_SECOND),
            ("2000-02-29T12:34:56Z", (EPOCH + 951_827_696) * TICKS_PER_SECOND),
            ("9999-12-31T23:59:59", LAST - (TICKS_PER_SECOND - 1)),
        ] {
            assert_eq!(parse(text), Some(ticks), "{text}");
            let date = Date::of(ticks);
            assert_eq!(format(ticks, "yyyy-MM-dd").unwrap(), text[..10], "{}", date.year);
        }
        for text in ["", "2026", "2026-13-01", "2025-02-29", "06/01/2026", "2026-06-01T25:00:00", "2026-6-1"]
        {
            assert_eq!(parse(text), None, "{text}");
        }
    }

    #[test]
    fn adding_months_clamps_to_the_last_day() {
        let january = parse("2026-01-31T10:00:00").unwrap();
        assert_eq!(add_months(january, 1).ok(), parse("2026-02-28T10:00:00"));
        assert_eq!(add_months(january, -11).ok(), parse("2025-02-28T10:00:00"));
        assert!(add_months(january, 12 * 9_000).is_err());
    }

    #[test]
    fn culture_dependent_formats_are_unknown() {
        for (format, known) in [
            ("o", true),
            ("s", true),
            ("yyyy-MM-dd HH:mm:ss", true),
            ("d", false),
            ("MMM", false),
            ("", false),
        ] {
            assert_eq!(is_known_format(format), known, "{format}");
        }
        assert_eq!(
            format(parse("2026-01-02T03:04:05").unwrap(), "o").unwrap(),
            "2026-01-02T03:04:05.0000000"
        );
    }
}
