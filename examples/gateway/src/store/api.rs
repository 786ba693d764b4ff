//! APIs: a path, a backend URL and a policy.

use serde::{Deserialize, Serialize};
use tower_mtls::apim::Format;

use super::Revision;

/// An API of the store.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Api {
    pub(crate) display_name: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) description: Option<String>,
    /// Normalized path prefix, such as `/orders` or `/`.
    pub(crate) path: String,
    /// URL of the backend, as uploaded.
    pub(crate) service_url: String,
    pub(crate) protocols: Vec<String>,
    /// Changes with every write of the API, but not of its policy.
    pub(crate) tag: Revision,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) policy: Option<Policy>,
}

/// A policy document, as uploaded.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Policy {
    format: StoredFormat,
    pub(crate) value: String,
    /// Changes with every write of the policy.
    pub(crate) tag: Revision,
}

/// Stored form of [`Format`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum StoredFormat {
    Xml,
    RawXml,
}

impl Policy {
    pub(crate) fn new(format: Format, value: String, tag: Revision) -> Self {
        let format = if format == Format::Xml { StoredFormat::Xml } else { StoredFormat::RawXml };
        Self { format, value, tag }
    }

    pub(crate) fn format(&self) -> Format {
        match self.format {
            StoredFormat::Xml => Format::Xml,
            StoredFormat::RawXml => Format::RawXml,
        }
    }
}
