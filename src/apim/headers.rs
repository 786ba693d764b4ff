//! Header changes.

use http::{HeaderMap, HeaderName, HeaderValue};

use super::program::HeaderMode;

/// A header change for the response of the backend.
#[derive(Debug)]
pub(crate) struct ResponseChange {
    pub(crate) name: HeaderName,
    pub(crate) mode: HeaderMode,
    pub(crate) values: Vec<HeaderValue>,
}

/// Changes a header. `Override` without values (all null) removes it.
pub(crate) fn apply(headers: &mut HeaderMap, name: &HeaderName, mode: HeaderMode, values: &[HeaderValue]) {
    match mode {
        HeaderMode::Skip if headers.contains_key(name) => return,
        HeaderMode::Override | HeaderMode::Delete => {
            headers.remove(name);
        }
        HeaderMode::Skip | HeaderMode::Append => {}
    }
    if mode != HeaderMode::Delete {
        for value in values {
            headers.append(name.clone(), value.clone());
        }
    }
}
