use std::sync::Arc;

/// Name of a custom rule. One thin pointer: a rejection is two words and does not allocate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct RuleName(Arc<Arc<str>>);

impl RuleName {
    pub(super) fn new(name: impl Into<Arc<str>>) -> Self {
        Self(Arc::new(name.into()))
    }

    pub(super) fn as_str(&self) -> &str {
        &self.0
    }
}
