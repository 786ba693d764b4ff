//! An API that administrators made: which requests go to which backend, under which policy.

use serde::{Deserialize, Serialize};
use tower_mtls::apim::Format;

use super::Revision;

/// An API.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Api {
    pub(crate) display_name: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) description: Option<String>,
    /// As requests are matched: `/orders`, or `/`.
    pub(crate) path: String,
    /// The URL of its backend, as it was given.
    pub(crate) service_url: String,
    pub(crate) protocols: Vec<String>,
    /// Changes with every write of the API itself.
    pub(crate) tag: Revision,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) policy: Option<Policy>,
}

/// A policy document, as it was given.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Policy {
    format: Written,
    pub(crate) value: String,
    /// Changes with every write of the policy.
    pub(crate) tag: Revision,
}

/// How its expressions are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Written {
    Xml,
    RawXml,
}

impl Policy {
    pub(crate) fn new(format: Format, value: String, tag: Revision) -> Self {
        let format = if format == Format::Xml { Written::Xml } else { Written::RawXml };
        Self { format, value, tag }
    }

    pub(crate) fn format(&self) -> Format {
        match self.format {
            Written::Xml => Format::Xml,
            Written::RawXml => Format::RawXml,
        }
    }
}
