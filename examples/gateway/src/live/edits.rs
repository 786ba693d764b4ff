//! Edits of the configuration file in place, which are not loaded by themselves: half of a file may be valid, and open
//! to every caller what its rules guard.

use crate::load::Fingerprint;

/// State of the file that was loaded last, as of the latest poll.
#[derive(Debug, Default)]
pub(super) struct Edits {
    polled: Option<Fingerprint>,
    compared: Option<Fingerprint>,
}

impl Edits {
    /// Whether to compare the file, which is in this state now, with what was loaded: once for each edit that has
    /// settled.
    pub(super) fn is_due(&mut self, state: Fingerprint) -> bool {
        let is_settled = self.polled.replace(state) == Some(state);
        is_settled && self.compared.replace(state) != Some(state)
    }
}

#[cfg(test)]
mod tests {
    use std::io::ErrorKind;

    use super::*;

    #[test]
    fn edits_are_due_once_after_they_were_seen_twice() {
        let [one, two] = [ErrorKind::NotFound, ErrorKind::PermissionDenied].map(Fingerprint::Absent);
        let mut edits = Edits::default();
        let due: Vec<_> = [one, two, two, two, one, one, one].map(|state| edits.is_due(state)).into();
        assert_eq!(due, [false, false, true, false, false, true, false]);
    }
}
