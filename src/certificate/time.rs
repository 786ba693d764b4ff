use std::{
    fmt,
    time::{Duration, SystemTime},
};

use time::OffsetDateTime;

/// A time in whole seconds since 1970-01-01T00:00:00Z, negative before it.
///
/// Seconds are the resolution of certificates (RFC 5280, section 4.1.2.5). Prints as RFC 3339 in UTC.
///
/// ```
/// use tower_mtls::certificate::Timestamp;
///
/// let start = Timestamp::from_unix(1_767_225_600);
/// assert_eq!(start.plus(59).to_string(), "2026-01-01T00:00:59Z");
/// assert!(start.plus(-1) < start);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(i64);

impl Timestamp {
    pub(crate) const MIN: Self = Self(i64::MIN);
    pub(crate) const MAX: Self = Self(i64::MAX);

    /// The time `seconds` after the Unix epoch.
    ///
    /// ```
    /// use tower_mtls::certificate::Timestamp;
    ///
    /// assert_eq!(Timestamp::from_unix(0).to_string(), "1970-01-01T00:00:00Z");
    /// ```
    pub const fn from_unix(seconds: i64) -> Self {
        Self(seconds)
    }

    /// Seconds since the Unix epoch.
    pub const fn as_unix(self) -> i64 {
        self.0
    }

    /// This time plus `seconds`, saturating at the ends of the range.
    #[must_use]
    pub const fn plus(self, seconds: i64) -> Self {
        Self(self.0.saturating_add(seconds))
    }
}

impl From<SystemTime> for Timestamp {
    /// Rounds down to whole seconds.
    fn from(time: SystemTime) -> Self {
        let seconds = |d: Duration| i64::try_from(d.as_secs()).unwrap_or(i64::MAX);
        match time.duration_since(SystemTime::UNIX_EPOCH) {
            Ok(after) => Self(seconds(after)),
            Err(before) => {
                let before = before.duration();
                Self(-seconds(before) - i64::from(before.subsec_nanos() > 0))
            }
        }
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Ok(at) = OffsetDateTime::from_unix_timestamp(self.0) else {
            return write!(f, "{}s", self.0);
        };
        let (year, month, day) = at.to_calendar_date();
        let (hour, minute, second) = at.to_hms();
        write!(f, "{year:04}-{:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z", u8::from(month))
    }
}

/// Validity period of a certificate, both ends included (RFC 5280, section 4.1.2.5).
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let made = rcgen::generate_simple_self_signed(vec![])?;
/// use tower_mtls::Certificate;
///
/// let validity = Certificate::from_der(made.cert.der())?.validity();
/// assert!(validity.contains(validity.not_before) && validity.contains(validity.not_after));
/// assert!(!validity.contains(validity.not_after.plus(1)));
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Validity {
    /// The first valid second.
    pub not_before: Timestamp,
    /// The last valid second.
    pub not_after: Timestamp,
}

impl Validity {
    /// Returns true if `at` is within the period: `not_before <= at <= not_after`.
    pub fn contains(&self, at: Timestamp) -> bool {
        self.not_before <= at && at <= self.not_after
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timestamps_print_as_rfc_3339() {
        for (seconds, text) in [
            (0, "1970-01-01T00:00:00Z"),
            (-1, "1969-12-31T23:59:59Z"),
            (951_782_400, "2000-02-29T00:00:00Z"),
            (1_767_225_599, "2025-12-31T23:59:59Z"),
            (253_402_300_799, "9999-12-31T23:59:59Z"),
        ] {
            assert_eq!(Timestamp::from_unix(seconds).to_string(), text);
        }
    }

    #[test]
    fn timestamps_at_the_ends_of_the_range_print() {
        for end in [Timestamp::MIN, Timestamp::MAX] {
            assert!(!end.to_string().is_empty());
        }
    }

    #[test]
    fn validity_includes_both_ends() {
        let validity = Validity { not_before: Timestamp::from_unix(10), not_after: Timestamp::from_unix(20) };
        for (at, expected) in [(9, false), (10, true), (20, true), (21, false)] {
            assert_eq!(validity.contains(Timestamp::from_unix(at)), expected, "at {at}");
        }
    }
}
