//! A configuration of which only the beginning has been written: without the rest it may well be valid, and open to
//! everyone what its rules guarded.

use std::time::{Duration, Instant};

use crate::load::Fingerprint;

/// For how long a text that could be half of another one must stay what it is.
const STABLE: Duration = Duration::from_secs(5);

/// What serves, and what could be half of what is to follow.
#[derive(Debug)]
pub(super) struct HalfWritten {
    served: (String, Fingerprint),
    suspect: Option<(Fingerprint, Instant)>,
}

impl HalfWritten {
    /// The configuration's text that serves, and its file as it was then.
    pub(super) fn new(text: String, state: Fingerprint) -> Self {
        Self { served: (text, state), suspect: None }
    }

    /// Whether to wait for the rest: the very file that serves has been cut, just now.
    pub(super) fn is_likely(&mut self, text: &str, state: Fingerprint, now: Instant) -> bool {
        let (served, file) = &self.served;
        let is_beginning = text.len() < served.len() && served.starts_with(text);
        if !is_beginning || !state.is_of_same_file(file) {
            self.suspect = None;
            return false;
        }
        match self.suspect {
            Some((suspect, since)) if suspect == state => now.saturating_duration_since(since) < STABLE,
            _ => {
                self.suspect = Some((state, now));
                true
            }
        }
    }
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    fn state(inode: u64, size: u64) -> Fingerprint {
        Fingerprint::There { device: 1, inode, size, modified: (0, 0), changed: (0, 0) }
    }

    #[test]
    fn the_beginning_of_what_serves_is_waited_with_until_it_is_stable() {
        let now = Instant::now();
        let at = |seconds| now + Duration::from_secs(seconds);
        let mut half = HalfWritten::new("one two".into(), state(1, 7));
        for (case, text, state, now, expected) in [
            ("the same", "one two", state(1, 7), now, false),
            ("longer", "one two three", state(1, 13), now, false),
            ("another", "two", state(1, 3), now, false),
            ("in a file of its own", "one", state(2, 3), now, false),
            ("the beginning", "one", state(1, 3), at(1), true),
            ("a little later", "one", state(1, 3), at(5), true),
            ("more of it", "one t", state(1, 5), at(5), true),
            ("not yet", "one t", state(1, 5), at(9), true),
            ("stable", "one t", state(1, 5), at(10), false),
        ] {
            assert_eq!(half.is_likely(text, state, now), expected, "{case}");
        }
    }
}
