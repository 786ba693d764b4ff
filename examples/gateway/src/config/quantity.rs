//! Durations and sizes of `gateway.toml`.

use std::time::Duration;

use toml::de::DeValue;

use super::entry::checked;
use super::section::Section;

/// The shortest configurable timeout.
pub(super) const MIN_TIMEOUT: Duration = Duration::from_millis(1);

/// The longest configurable timeout.
const MAX_TIMEOUT: Duration = Duration::from_secs(24 * 60 * 60);

/// The largest configurable size, in bytes.
const MAX_SIZE: usize = 1 << 40;

/// Takes a size in bytes.
pub(super) fn size(section: &mut Section<'_, '_>, name: &str, least: usize) -> Option<usize> {
    take_size(section, name, least, "write a size such as 64KiB, 10MiB or 1GiB")
}

/// Takes a size in bytes, or `"off"` for no limit.
pub(super) fn size_or_off(section: &mut Section<'_, '_>, name: &str) -> Option<Option<usize>> {
    if section.take_word(name, "off") {
        return Some(None);
    }
    take_size(section, name, 0, "write a size such as 64KiB, 10MiB or 1GiB, or \"off\"").map(Some)
}

fn take_size(section: &mut Section<'_, '_>, name: &str, least: usize, remedy: &str) -> Option<usize> {
    let report = section.report;
    let entry = section.take(name)?;
    if let DeValue::Integer(_) | DeValue::Float(_) = entry.value {
        report.error(entry.line, &entry.key, "is a number without a unit", "write \"64KiB\" or \"10MiB\"");
        return None;
    }
    let text = entry.into_string(report)?;
    let read = |text: &str| match parse_size(text) {
        None => Err("is not a size"),
        Some(found) if found < least => Err("is too small"),
        Some(found) if found > MAX_SIZE => Err("is larger than 1024GiB"),
        Some(found) => Ok(found),
    };
    checked(report, text, remedy, read).map(|found| found.value)
}

/// Parses an integer with its unit: `512B`, `64KiB`, `10MiB`, `1GiB`.
fn parse_size(text: &str) -> Option<usize> {
    let (digits, unit) = text.split_at(text.find(|digit: char| !digit.is_ascii_digit())?);
    let number: usize = digits.parse().ok()?;
    let factor: usize = match unit.trim_start() {
        "B" => 1,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        _ => return None,
    };
    number.checked_mul(factor)
}

/// Takes a duration, or `"off"` for no limit.
pub(super) fn duration_or_off(section: &mut Section<'_, '_>, name: &str) -> Option<Option<Duration>> {
    if section.take_word(name, "off") {
        return Some(None);
    }
    take_duration(section, name, MIN_TIMEOUT, "write a duration such as 500ms, 10s or 2m, or \"off\"")
        .map(Some)
}

/// Takes a duration of at least `least` into `value`.
pub(super) fn duration(section: &mut Section<'_, '_>, name: &str, least: Duration, value: &mut Duration) {
    if let Some(found) = take_duration(section, name, least, "write a duration such as 500ms, 10s or 2m") {
        *value = found;
    }
}

fn take_duration(
    section: &mut Section<'_, '_>,
    name: &str,
    least: Duration,
    remedy: &str,
) -> Option<Duration> {
    let report = section.report;
    let entry = section.take(name)?;
    if let DeValue::Integer(_) | DeValue::Float(_) = entry.value {
        report.error(
            entry.line,
            &entry.key,
            "is a number without a unit",
            "write \"10s\", \"500ms\" or \"2m\"",
        );
        return None;
    }
    let text = entry.into_string(report)?;
    let read = |text: &str| match parse_duration(text) {
        None => Err("is not a duration".to_owned()),
        Some(found) if found < least => Err(format!("is shorter than {least:?}")),
        Some(found) if found > MAX_TIMEOUT => Err("is longer than 24h".to_owned()),
        Some(found) => Ok(found),
    };
    checked(report, text, remedy, read).map(|found| found.value)
}

/// Parses an integer with its unit: `500ms`, `10s`, `2m`, `1h`.
fn parse_duration(text: &str) -> Option<Duration> {
    let (digits, unit) = text.split_at(text.find(|digit: char| !digit.is_ascii_digit())?);
    let number: u64 = digits.parse().ok()?;
    match unit.trim_start() {
        "ms" => Some(Duration::from_millis(number)),
        "s" => Some(Duration::from_secs(number)),
        "m" => number.checked_mul(60).map(Duration::from_secs),
        "h" => number.checked_mul(60 * 60).map(Duration::from_secs),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn duration_is_a_number_and_a_unit() {
        let cases = [
            ("500ms", Some(500)),
            ("10s", Some(10_000)),
            ("2m", Some(120_000)),
            ("1h", Some(3_600_000)),
            ("10 s", Some(10_000)),
            ("0s", Some(0)),
            ("10", None),
            ("s", None),
            ("-1s", None),
            ("1.5s", None),
            ("10S", None),
            ("1d", None),
            ("99999999999999999999s", None),
            ("18446744073709551615h", None),
        ];
        for (text, expected) in cases {
            assert_eq!(parse_duration(text), expected.map(Duration::from_millis), "{text}");
        }
    }

    #[test]
    fn size_is_a_number_and_a_binary_unit() {
        let cases = [
            ("512B", Some(512)),
            ("64KiB", Some(65_536)),
            ("10 MiB", Some(10 << 20)),
            ("1GiB", Some(1 << 30)),
            ("64", None),
            ("64KB", None),
            ("64kib", None),
            ("1.5MiB", None),
            ("KiB", None),
            ("18446744073709551615GiB", None),
        ];
        for (text, expected) in cases {
            assert_eq!(parse_size(text), expected, "{text}");
        }
    }
}
