//! At most [`PER_SECOND`] lines about requests, and a summary of the rest.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use tracing::{Event, Subscriber};
use tracing_subscriber::{Layer, layer::Context};

use super::topic::Topic;

/// Lines of each kind between two reports.
const PER_SECOND: u64 = 20;

/// Suppresses lines about requests beyond [`PER_SECOND`].
#[derive(Debug, Clone, Default)]
pub(super) struct Limit(Arc<Counts>);

#[derive(Debug, Default)]
struct Counts {
    refusals: Count,
    failures: Count,
}

/// Lines since the last report.
#[derive(Debug, Default)]
struct Count(AtomicU64);

impl Count {
    fn admits(&self) -> bool {
        self.0.fetch_add(1, Ordering::Relaxed) < PER_SECOND
    }

    /// Resets the count, and returns the number of suppressed lines.
    fn suppressed(&self) -> u64 {
        self.0.swap(0, Ordering::Relaxed).saturating_sub(PER_SECOND)
    }
}

impl Limit {
    /// Logs the number of lines that were suppressed since the last report. Must be called every second.
    pub(super) fn report(&self) {
        let refusals = self.0.refusals.suppressed();
        if refusals > 0 {
            tracing::info!("{refusals} refusals not logged in the last second");
        }
        let failures = self.0.failures.suppressed();
        if failures > 0 {
            tracing::warn!("{failures} failed requests not logged in the last second");
        }
    }
}

impl<S: Subscriber> Layer<S> for Limit {
    fn event_enabled(&self, event: &Event<'_>, _: Context<'_, S>) -> bool {
        match Topic::of(event.metadata()) {
            Topic::Refusal => self.0.refusals.admits(),
            Topic::Failure => self.0.failures.admits(),
            Topic::Detail | Topic::Operation => true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn twenty_lines_pass_and_the_rest_is_counted() {
        let count = Count::default();
        let passed = (0..25).filter(|_| count.admits()).count();
        assert_eq!((passed, count.suppressed()), (20, 5));
        assert!(count.admits(), "after a report");
        assert_eq!(count.suppressed(), 0);
    }
}
