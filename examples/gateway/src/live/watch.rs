//! When to read the files again: a decision about what polls have seen.

use std::{
    path::PathBuf,
    time::{Duration, Instant},
};

use crate::load::Fingerprints;

/// How often the files are looked at. A change must be seen unchanged twice before it is read.
pub(super) const EVERY: Duration = Duration::from_millis(500);

/// How often files that cannot serve are read again without a change: what is missing may be a file descriptor.
const RETRY: Duration = Duration::from_secs(5);

/// A change that does not settle is read after this long all the same: one file that is written all the time must not
/// keep the others from being read. Half of a change is noticed when it is read.
const PATIENCE: Duration = Duration::from_millis(1_500);

/// What is known of the files.
#[derive(Debug)]
pub(super) struct Watch {
    /// As they were before they were read.
    read: Fingerprints,
    /// As the last poll saw them.
    polled: Option<Fingerprints>,
    attempted: Instant,
    /// Since when they differ from what was read.
    changed: Option<Instant>,
}

impl Watch {
    /// Watches files that have been read in this state.
    pub(super) fn new(read: Fingerprints, now: Instant) -> Self {
        Self { read, polled: None, attempted: now, changed: None }
    }

    /// The files to look at.
    pub(super) fn files(&self) -> Vec<PathBuf> {
        self.read.keys().cloned().collect()
    }

    /// Whether to read the files, which are in this state now: after a change that has settled, or, while what was
    /// read last cannot serve, now and then.
    pub(super) fn is_due(&mut self, state: Fingerprints, is_stale: bool, now: Instant) -> bool {
        let is_settled = self.polled.as_ref() == Some(&state);
        let is_changed = state != self.read;
        self.polled = Some(state);
        if !is_changed {
            self.changed = None;
            return is_stale && now.saturating_duration_since(self.attempted) >= RETRY;
        }
        let since = *self.changed.get_or_insert(now);
        is_settled || now.saturating_duration_since(since) >= PATIENCE
    }

    /// The files were read, or as many of them as the configuration named: `read` is the state before that. Files
    /// of the configuration that serves are watched on until another one replaces it, for it may be theirs to mend.
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
            // What was not read counts as read: only a change makes a difference.
            self.read.extend(before);
            self.read.extend(read);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::ErrorKind;

    use super::*;
    use crate::load::Fingerprint;

    const ONE: Fingerprint = Fingerprint::Absent(ErrorKind::NotFound);
    const TWO: Fingerprint = Fingerprint::Absent(ErrorKind::PermissionDenied);
    const THREE: Fingerprint = Fingerprint::Absent(ErrorKind::IsADirectory);

    fn state(files: &[(&str, Fingerprint)]) -> Fingerprints {
        files.iter().map(|(file, state)| (PathBuf::from(file), *state)).collect()
    }

    #[test]
    fn a_change_is_due_when_it_was_seen_twice() {
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
    fn a_change_that_never_settles_is_due_after_a_while() {
        let start = Instant::now();
        let mut watch = Watch::new(state(&[("a", ONE)]), start);
        let due: Vec<_> = [TWO, THREE, TWO, THREE, TWO]
            .into_iter()
            .zip(0..)
            .map(|(seen, poll)| watch.is_due(state(&[("a", seen)]), false, start + poll * EVERY))
            .collect();
        assert_eq!(due, [false, false, false, true, true]);
        watch.attempted(state(&[("a", TWO)]), state(&[("a", TWO)]), true, start);
        assert!(!watch.is_due(state(&[("a", THREE)]), false, start + 5 * EVERY), "it has its time again");
    }

    #[test]
    fn what_cannot_serve_is_read_again_now_and_then() {
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
    fn after_a_failure_the_files_of_both_configurations_are_watched() {
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
