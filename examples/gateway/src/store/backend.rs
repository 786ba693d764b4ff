//! A backend that policy documents name (`set-backend-service backend-id`).

use serde::{Deserialize, Serialize};

use super::{Id, Revision};

/// A backend.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Backend {
    pub(crate) url: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) title: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) description: Option<String>,
    /// Whether its certificate needs a chain to a trusted CA.
    pub(crate) validates_chain: bool,
    /// Whether its certificate needs its name.
    pub(crate) validates_name: bool,
    /// The identity that it is called under, unless a document chooses one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) credential: Option<Credential>,
    /// Changes with every write.
    pub(crate) tag: Revision,
}

impl Backend {
    /// Tells the log if less is verified than should be.
    pub(crate) fn warn_of_danger(&self, id: &Id) {
        let Self { validates_chain, validates_name, .. } = self;
        if !validates_chain || !validates_name {
            tracing::warn!(
                id = &**id,
                validates_chain,
                validates_name,
                "DANGER: anyone on the way can pose as this backend"
            );
        }
    }
}

/// Which certificate of the store is shown to a backend.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Credential {
    Id(String),
    /// 40 hex digits of SHA-1.
    Thumbprint(String),
}
