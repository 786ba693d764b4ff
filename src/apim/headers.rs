//! Header changes.

use http::{HeaderMap, HeaderName, HeaderValue};

/// A header change with values, or with templates for them. `Delete` has none.
#[derive(Debug)]
pub(crate) struct HeaderChange<V> {
    pub(crate) name: HeaderName,
    pub(crate) mode: HeaderMode,
    pub(crate) values: Vec<V>,
}

/// A change for the response of the backend.
pub(crate) type ResponseChange = HeaderChange<HeaderValue>;

/// The attribute `exists-action`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum HeaderMode {
    Override,
    Skip,
    Append,
    Delete,
}

impl HeaderChange<HeaderValue> {
    /// Changes a header. `Override` without values (all null) removes it.
    pub(crate) fn apply(&self, headers: &mut HeaderMap) {
        match self.mode {
            HeaderMode::Skip if headers.contains_key(&self.name) => return,
            HeaderMode::Override | HeaderMode::Delete => {
                headers.remove(&self.name);
            }
            HeaderMode::Skip | HeaderMode::Append => {}
        }
        for value in &self.values {
            headers.append(self.name.clone(), value.clone());
        }
    }
}
