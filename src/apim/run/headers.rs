//! Changes of headers.

use http::{HeaderMap, HeaderName, HeaderValue};

use super::super::program::HeaderMode;

/// A change that is applied to the backend's response.
#[derive(Debug)]
pub(crate) struct ResponseChange {
    pub(crate) name: HeaderName,
    pub(crate) mode: HeaderMode,
    pub(crate) values: Vec<HeaderValue>,
}

/// Changes a header. Without values (they were null) an overridden header is gone.
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
