//! Edits of the configuration file in place. They are not loaded automatically: half of a file can be valid, and lack the
//! rules that guard a route.

use crate::build::Fingerprint;

/// State of the file that was loaded last, as of the latest poll.
#[derive(Debug, Default)]
pub(super) struct Edits {
    polled: Option<Fingerprint>,
    compared: Option<Fingerprint>,
}

impl Edits {
    /// Whether to compare the file in this state with the loaded one: once for each edit that has settled.
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
    fn edits_are_due_once_after_two_equal_polls() {
        let [one, two] = [ErrorKind::NotFound, ErrorKind::PermissionDenied].map(Fingerprint::Absent);
        let mut edits = Edits::default();
        let due: Vec<_> = [one, two, two, two, one, one, one].map(|state| edits.is_due(state)).into();
        assert_eq!(due, [false, false, true, false, false, true, false]);
    }
}
