//! Times of downloads.

use std::time::Duration;

/// Delay of the first retry after a failure, and the shortest delay before an early refresh; each further failure doubles
/// it, up to the configured interval.
const RETRY: Duration = Duration::from_secs(30);

/// Returns the delay of the next download.
///
/// The delay is the configured interval `refresh`, or shorter, if a list is overdue sooner. `failures` counts the failed
/// attempts since the last success. `jitter` from 0 to 1 shortens the delay by up to a tenth, so that the members of a
/// fleet spread.
pub(super) fn delay(
    refresh: Duration,
    failures: u32,
    until_overdue: Option<Duration>,
    jitter: f64,
) -> Duration {
    let delay = match failures.checked_sub(1) {
        Some(doublings) => RETRY.saturating_mul(1 << doublings.min(16)),
        None => until_overdue.map_or(refresh, |overdue| overdue.max(RETRY)),
    };
    delay.min(refresh).mul_f64(1.0 - 0.1 * jitter.clamp(0.0, 1.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delay_is_the_interval_less_a_tenth_and_shorter_after_failures_or_before_the_next_update() {
        let seconds = Duration::from_secs;
        for (case, refresh, failures, until_overdue, jitter, expected) in [
            ("the interval", 3_600, 0, None, 0.0, 3_600.0),
            ("with jitter", 3_600, 0, None, 1.0, 3_240.0),
            ("the next update is later", 3_600, 0, Some(86_400), 0.0, 3_600.0),
            ("the next update is sooner", 3_600, 0, Some(600), 0.0, 600.0),
            ("the list is overdue", 3_600, 0, Some(0), 0.0, 30.0),
            ("the first failure", 3_600, 1, None, 0.0, 30.0),
            ("the third failure", 3_600, 3, Some(1), 0.0, 120.0),
            ("many failures", 3_600, 99, None, 0.0, 3_600.0),
            ("a short interval", 2, 5, Some(0), 0.0, 2.0),
        ] {
            let found = delay(seconds(refresh), failures, until_overdue.map(seconds), jitter);
            assert!((found.as_secs_f64() - expected).abs() < 0.001, "{case}: {found:?}");
        }
    }
}
