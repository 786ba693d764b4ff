//! Decision when to read the files again, by the states of polls.

use std::{
    path::PathBuf,
    time::{Duration, Instant},
};

use crate::build::Fingerprints;

/// Interval of polls. A change must be equal in two polls before the files are read.
pub(super) const POLL_INTERVAL: Duration = Duration::from_millis(500);

/// Interval of retries without a change, after a failed load: the cause can be a temporary lack of file descriptors.
const RETRY_INTERVAL: Duration = Duration::from_secs(5);

/// Time after which a change is read even if it has not settled: a file that is written all the time must not block the
/// others. A change during the read is detected.
const MAX_SETTLING: Duration = Duration::from_millis(1_500);

/// States of the files.
#[derive(Debug)]
pub(super) struct Watch {
    /// Before the last read.
    read: Fingerprints,
    /// At the last poll.
    polled: Option<Fingerprints>,
    attempted: Instant,
    /// Time of the first poll that differed from the last read.
    changed: Option<Instant>,
}

impl Watch {
    /// Watches files that were read in this state.
    pub(super) fn new(read: Fingerprints, now: Instant) -> Self {
        Self { read, polled: None, attempted: now, changed: None }
    }

    /// The files to poll.
    pub(super) fn files(&self) -> Vec<PathBuf> {
        self.read.keys().cloned().collect()
    }

    /// Whether to read the files in this state: after a change that has settled, or periodically while the last load
    /// failed.
    pub(super) fn is_due(&mut self, state: Fingerprints, is_stale: bool, now: Instant) -> bool {
        let is_settled = self.polled.as_ref() == Some(&state);
        let is_changed = state != self.read;
        self.polled = Some(state);
        if !is_changed {
            self.changed = None;
            return is_stale && now.saturating_duration_since(self.attempted) >= RETRY_INTERVAL;
        }
        let since = *self.changed.get_or_insert(now);
        is_settled || now.saturating_duration_since(since) >= MAX_SETTLING
    }

    /// Returns true if this is the state of the last read.
    pub(super) fn is_unchanged(&self, state: &Fingerprints) -> bool {
        *state == self.read
    }

    /// Records an attempt to load; `read` are the states before it. Files of the current configuration are watched until
    /// another one replaces it, since one of them can be the fix.
    pub(super) fn attempted(
        &mut self,
        before: Fingerprints,
        read: Fingerprints,
        is_replaced: bool,
        now: Instant,
    ) {
        self.attempted = now;
        self.changed = None;
        if is_replaced {
            self.read = read;
        } else {
            // Files that were not read count as read: only a change triggers the next attempt.
            self.read.extend(before);
            self.read.extend(read);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::ErrorKind;

    use super::*;
    use crate::build::Fingerprint;

    const ONE: Fingerprint = Fingerprint::Absent(ErrorKind::NotFound);
    const TWO: Fingerprint = Fingerprint::Absent(ErrorKind::PermissionDenied);
    const THREE: Fingerprint = Fingerprint::Absent(ErrorKind::IsADirectory);

    fn state(files: &[(&str, Fingerprint)]) -> Fingerprints {
        files.iter().map(|(file, state)| (PathBuf::from(file), *state)).collect()
    }

    #[test]
    fn change_is_due_after_two_equal_polls() {
        let now = Instant::now();
        let mut watch = Watch::new(state(&[("a", ONE)]), now);
        let due: Vec<_> = [ONE, ONE, TWO, THREE, TWO, TWO, TWO]
            .into_iter()
            .map(|seen| watch.is_due(state(&[("a", seen)]), false, now))
            .collect();
        assert_eq!(due, [false, false, false, false, false, true, true]);
        watch.attempted(state(&[("a", TWO)]), state(&[("a", TWO)]), true, now);
        assert!(!watch.is_due(state(&[("a", TWO)]), false, now), "it has been read");
        assert!(!watch.is_due(state(&[("a", ONE)]), false, now));
        assert!(!watch.is_due(state(&[("a", TWO)]), false, now), "it changed back before it settled");
    }

    #[test]
    fn change_that_never_settles_is_due_after_a_while() {
        let start = Instant::now();
        let mut watch = Watch::new(state(&[("a", ONE)]), start);
        let due: Vec<_> = [TWO, THREE, TWO, THREE, TWO]
            .into_iter()
            .zip(0..)
            .map(|(seen, poll)| watch.is_due(state(&[("a", seen)]), false, start + poll * POLL_INTERVAL))
            .collect();
        assert_eq!(due, [false, false, false, true, true]);
        watch.attempted(state(&[("a", TWO)]), state(&[("a", TWO)]), true, start);
        assert!(
            !watch.is_due(state(&[("a", THREE)]), false, start + 5 * POLL_INTERVAL),
            "the time starts again"
        );
    }

    #[test]
    fn failed_load_is_retried_periodically() {
        let start = Instant::now();
        let mut watch = Watch::new(state(&[("a", ONE)]), start);
        for (seconds, is_stale, expected) in [(1, true, false), (6, false, false), (6, true, true)] {
            let now = start + Duration::from_secs(seconds);
            assert_eq!(watch.is_due(state(&[("a", ONE)]), is_stale, now), expected, "{seconds} {is_stale}");
        }
        let now = start + Duration::from_secs(6);
        watch.attempted(state(&[("a", ONE)]), state(&[("a", ONE)]), false, now);
        assert!(!watch.is_due(state(&[("a", ONE)]), true, now + Duration::from_secs(4)));
        assert!(watch.is_due(state(&[("a", ONE)]), true, now + Duration::from_secs(5)));
    }

    #[test]
    fn failed_load_watches_files_of_both_configurations() {
        let now = Instant::now();
        let mut watch = Watch::new(state(&[("config", ONE), ("old", ONE)]), now);
        // The new configuration names another file; the old one changed at the same time and was not read.
        let before = state(&[("config", TWO), ("old", TWO)]);
        watch.attempted(before, state(&[("config", TWO), ("new", ONE)]), false, now);
        assert_eq!(watch.files(), ["config", "new", "old"].map(PathBuf::from));
        let seen = state(&[("config", TWO), ("new", ONE), ("old", TWO)]);
        assert!(!watch.is_due(seen.clone(), true, now));
        assert!(!watch.is_due(seen, true, now), "nothing changed since");
        watch.attempted(state(&[]), state(&[("config", TWO), ("new", ONE)]), true, now);
        assert_eq!(watch.files(), ["config", "new"].map(PathBuf::from));
    }
}
