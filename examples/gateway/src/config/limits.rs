//! `[limits]`: timeouts and maximum numbers.

use std::time::Duration;

use toml::de::DeValue;

use super::entry::checked;
use super::section::Section;

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

pub(crate) const ROUTE_KEYS: &[&str] =
    &["first_byte_timeout", "request_timeout", "body_timeout", "max_requests"];

/// The largest configurable number.
const MAX_COUNT: usize = 10_000_000;

/// The shortest configurable timeout.
const MIN_TIMEOUT: Duration = Duration::from_millis(1);

/// The longest configurable timeout.
const MAX_TIMEOUT: Duration = Duration::from_secs(24 * 60 * 60);

/// Timeouts and maximum numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Limits {
    /// Time for the head of a request to arrive. Default: 10 s.
    pub(crate) head_timeout: Duration,
    /// Time after which an idle connection is closed. Default: 60 s.
    pub(crate) idle_timeout: Duration,
    /// Time for an upstream to accept a connection. Default: 5 s.
    pub(crate) connect_timeout: Duration,
    /// Time for a TLS handshake. Default: 10 s.
    pub(crate) handshake_timeout: Duration,
    /// Time from the end of a request's body to the head of its response, on routes without their own. Default: 60 s.
    /// None: unlimited.
    pub(crate) first_byte_timeout: Option<Duration>,
    /// Time for a whole exchange with both bodies, on routes without their own. None, the default: unlimited.
    pub(crate) request_timeout: Option<Duration>,
    /// Time without progress of a request body that is awaited, or of a response body that is available, on routes
    /// without their own. Default: 60 s. None: unlimited.
    pub(crate) body_timeout: Option<Duration>,
    /// Time for requests in flight to finish at shutdown. Default: 30 s. Zero: none.
    pub(crate) drain_timeout: Duration,
    /// Concurrent connections; None: derived from the limit of open files.
    pub(crate) max_connections: Option<usize>,
    /// Concurrent handshakes; None: the listener's default.
    pub(crate) max_handshakes: Option<usize>,
    /// Concurrent connections to one upstream; None: unlimited.
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
    pub(crate) fn read(mut section: Section<'_, '_>) -> Self {
        let mut limits = Self::default();
        duration(&mut section, "head_timeout", MIN_TIMEOUT, &mut limits.head_timeout);
        duration(&mut section, "idle_timeout", MIN_TIMEOUT, &mut limits.idle_timeout);
        duration(&mut section, "connect_timeout", MIN_TIMEOUT, &mut limits.connect_timeout);
        duration(&mut section, "handshake_timeout", MIN_TIMEOUT, &mut limits.handshake_timeout);
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
        limits.max_connections = section.integer("max_connections", 1, MAX_COUNT);
        limits.max_handshakes = section.integer("max_handshakes", 1, MAX_COUNT);
        limits.max_upstream_connections = section.integer("max_upstream_connections", 1, MAX_COUNT);
        section.finish();
        limits
    }
}

/// Limits of one route. Those that are not stated are the general ones.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct RouteLimits {
    first_byte_timeout: Option<Option<Duration>>,
    request_timeout: Option<Option<Duration>>,
    body_timeout: Option<Option<Duration>>,
    /// Concurrent requests in flight; None: unlimited.
    pub(crate) max_requests: Option<usize>,
}

impl RouteLimits {
    pub(crate) fn read(mut section: Section<'_, '_>) -> Self {
        let limits = Self {
            first_byte_timeout: duration_or_off(&mut section, "first_byte_timeout"),
            request_timeout: duration_or_off(&mut section, "request_timeout"),
            body_timeout: duration_or_off(&mut section, "body_timeout"),
            max_requests: section.integer("max_requests", 1, MAX_COUNT),
        };
        section.finish();
        limits
    }

    /// Time from the end of a request's body to the head of its response.
    pub(crate) fn first_byte_timeout(&self, general: &Limits) -> Option<Duration> {
        self.first_byte_timeout.unwrap_or(general.first_byte_timeout)
    }

    /// Time without progress of a body.
    pub(crate) fn body_timeout(&self, general: &Limits) -> Option<Duration> {
        self.body_timeout.unwrap_or(general.body_timeout)
    }

    /// Time for a whole exchange with both bodies.
    pub(crate) fn request_timeout(&self, general: &Limits) -> Option<Duration> {
        self.request_timeout.unwrap_or(general.request_timeout)
    }
}

/// Takes a duration, or `"off"` for no limit.
fn duration_or_off(section: &mut Section<'_, '_>, name: &str) -> Option<Option<Duration>> {
    if section.take_word(name, "off") {
        return Some(None);
    }
    take_duration(section, name, MIN_TIMEOUT, "write a duration such as 500ms, 10s or 2m, or \"off\"")
        .map(Some)
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
        None => Err("is not a duration"),
        Some(found) if found < least => Err("is shorter than 1ms"),
        Some(found) if found > MAX_TIMEOUT => Err("is longer than 24h"),
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
}
