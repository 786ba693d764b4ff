//! Authorization of the callers of a route.

use tower_mtls::{Policy, apim::Document};

/// Authorization of a route.
#[derive(Debug)]
pub(crate) enum RoutePolicy {
    /// No certificate is required.
    None,
    Rules(Policy),
    Document(Document),
}

impl RoutePolicy {
    /// Returns the policy document, if there is one.
    pub(crate) fn document(&self) -> Option<&Document> {
        match self {
            Self::Document(document) => Some(document),
            Self::None | Self::Rules(_) => None,
        }
    }
}
