//! `[limits]`: how long things may take, and how many there may be.

use std::time::Duration;

use toml::de::DeValue;

use super::entry::checked;
use super::section::Section;

/// The keys of `[limits]`.
pub(crate) const KEYS: &[&str] = &[
    "head_timeout",
    "idle_timeout",
    "connect_timeout",
    "handshake_timeout",
    "first_byte_timeout",
    "request_timeout",
    "body_timeout",
    "drain_timeout",
    "max_connections",
    "max_handshakes",
    "max_upstream_connections",
];

/// The keys of `[routes.limits]`.
pub(crate) const ROUTE_KEYS: &[&str] =
    &["first_byte_timeout", "request_timeout", "body_timeout", "max_requests"];

/// The most connections or handshakes that can be asked for.
const MOST: usize = 10_000_000;

/// The shortest duration of a timeout.
const LEAST: Duration = Duration::from_millis(1);

/// The longest duration that can be asked for.
const LONGEST: Duration = Duration::from_secs(24 * 60 * 60);

/// How long things may take, and how many there may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Limits {
    /// Until a request's head has arrived; 10 s.
    pub(crate) head_timeout: Duration,
    /// Until an idle connection is closed; 60 s.
    pub(crate) idle_timeout: Duration,
    /// Until an upstream has accepted a connection; 5 s.
    pub(crate) connect_timeout: Duration,
    /// Until a TLS handshake is done; 10 s.
    pub(crate) handshake_timeout: Duration,
    /// From the end of a request's body to the head of its answer, on routes that do not say otherwise; 60 s.
    /// None: any time.
    pub(crate) first_byte_timeout: Option<Duration>,
    /// For a whole exchange with both bodies, on routes that do not say otherwise. None, the default: any time.
    pub(crate) request_timeout: Option<Duration>,
    /// How long a caller may send nothing of a body that is wanted, and read nothing of an answer that is there, on
    /// routes that do not say otherwise; 60 s. None: any time.
    pub(crate) body_timeout: Option<Duration>,
    /// Until requests in flight are cut off at the end; 30 s. Zero: at once.
    pub(crate) drain_timeout: Duration,
    /// Connections at a time; if not stated, what the process may open.
    pub(crate) max_connections: Option<usize>,
    /// Handshakes at a time; if not stated, the listener's own default.
    pub(crate) max_handshakes: Option<usize>,
    /// Connections to one upstream at a time; if not stated, any number.
    pub(crate) max_upstream_connections: Option<usize>,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            head_timeout: Duration::from_secs(10),
            idle_timeout: Duration::from_secs(60),
            connect_timeout: Duration::from_secs(5),
            handshake_timeout: Duration::from_secs(10),
            first_byte_timeout: Some(Duration::from_secs(60)),
            request_timeout: None,
            body_timeout: Some(Duration::from_secs(60)),
            drain_timeout: Duration::from_secs(30),
            max_connections: None,
            max_handshakes: None,
            max_upstream_connections: None,
        }
    }
}

impl Limits {
    /// Reads the section.
    pub(crate) fn read(mut section: Section<'_, '_>) -> Self {
        let mut limits = Self::default();
        duration(&mut section, "head_timeout", LEAST, &mut limits.head_timeout);
        duration(&mut section, "idle_timeout", LEAST, &mut limits.idle_timeout);
        duration(&mut section, "connect_timeout", LEAST, &mut limits.connect_timeout);
        duration(&mut section, "handshake_timeout", LEAST, &mut limits.handshake_timeout);
        if let Some(timeout) = duration_or_off(&mut section, "first_byte_timeout") {
            limits.first_byte_timeout = timeout;
        }
        if let Some(timeout) = duration_or_off(&mut section, "request_timeout") {
            limits.request_timeout = timeout;
        }
        if let Some(timeout) = duration_or_off(&mut section, "body_timeout") {
            limits.body_timeout = timeout;
        }
        duration(&mut section, "drain_timeout", Duration::ZERO, &mut limits.drain_timeout);
        limits.max_connections = section.integer("max_connections", 1, MOST);
        limits.max_handshakes = section.integer("max_handshakes", 1, MOST);
        limits.max_upstream_connections = section.integer("max_upstream_connections", 1, MOST);
        section.finish();
        limits
    }
}

/// What a route says about limits; what it does not say is as for every route.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct RouteLimits {
    first_byte_timeout: Option<Option<Duration>>,
    request_timeout: Option<Option<Duration>>,
    body_timeout: Option<Option<Duration>>,
    /// Requests in flight at a time; None: any number.
    pub(crate) max_requests: Option<usize>,
}

impl RouteLimits {
    /// Reads the section.
    pub(crate) fn read(mut section: Section<'_, '_>) -> Self {
        let limits = Self {
            first_byte_timeout: duration_or_off(&mut section, "first_byte_timeout"),
            request_timeout: duration_or_off(&mut section, "request_timeout"),
            body_timeout: duration_or_off(&mut section, "body_timeout"),
            max_requests: section.integer("max_requests", 1, MOST),
        };
        section.finish();
        limits
    }

    /// From the end of a request's body to the head of its answer.
    pub(crate) fn first_byte_timeout(&self, every: &Limits) -> Option<Duration> {
        self.first_byte_timeout.unwrap_or(every.first_byte_timeout)
    }

    /// How long a caller may send nothing, or read nothing.
    pub(crate) fn body_timeout(&self, every: &Limits) -> Option<Duration> {
        self.body_timeout.unwrap_or(every.body_timeout)
    }

    /// For a whole exchange with both bodies.
    pub(crate) fn request_timeout(&self, every: &Limits) -> Option<Duration> {
        self.request_timeout.unwrap_or(every.request_timeout)
    }
}

/// Takes a duration, or `"off"`: then there is no limit.
fn duration_or_off(section: &mut Section<'_, '_>, name: &str) -> Option<Option<Duration>> {
    if section.take_word(name, "off") {
        return Some(None);
    }
    take_duration(section, name, LEAST, "write a duration such as 500ms, 10s or 2m, or \"off\"").map(Some)
}

/// Takes a duration of at least `least` into `value`.
fn duration(section: &mut Section<'_, '_>, name: &str, least: Duration, value: &mut Duration) {
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
        None => Err("is no duration"),
        Some(found) if found < least => Err("is no time at all"),
        Some(found) if found > LONGEST => Err("is longer than 24h"),
        Some(found) => Ok(found),
    };
    checked(report, text, remedy, read).map(|found| found.value)
}

/// A whole number and its unit: `500ms`, `10s`, `2m`, `1h`.
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
    fn a_duration_is_a_number_and_a_unit() {
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
}
