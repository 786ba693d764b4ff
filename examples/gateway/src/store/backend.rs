//! Backends, which policy documents reference (`set-backend-service backend-id`).

use serde::{Deserialize, Serialize};

use super::{Id, Revision};

/// A backend of the store.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Backend {
    pub(crate) url: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) title: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) description: Option<String>,
    /// True if the backend's certificate must chain to a trusted CA.
    pub(crate) validates_chain: bool,
    /// True if the backend's certificate must match its host name.
    pub(crate) validates_name: bool,
    /// Default client identity; a document can choose another one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) credential: Option<Credential>,
    /// Changes with every write.
    pub(crate) tag: Revision,
}

impl Backend {
    /// Logs a warning if certificate verification is reduced.
    pub(crate) fn warn_of_danger(&self, id: &Id) {
        let Self { validates_chain, validates_name, .. } = self;
        if !validates_chain || !validates_name {
            tracing::warn!(
                id = &**id,
                validates_chain,
                validates_name,
                "DANGER: certificate verification of this backend is reduced; it can be impersonated"
            );
        }
    }
}

/// Reference to the certificate that is presented to a backend.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Credential {
    Id(String),
    /// SHA-1, 40 hex digits.
    Thumbprint(String),
}
