//! Settings that administrators change at run time: certificates, APIs, backends and policies.

use std::{collections::BTreeMap, fmt, sync::Arc};

use serde::de::DeserializeOwned;

use super::{
    AllRecords, Api, Backend, CertificateEntry, Id, Policy, Record, RecordKey, RecordKind, Revision,
    StoreError,
};

/// Certificates, APIs, backends and the global policy at one revision.
#[derive(Debug, Clone, Default)]
pub(crate) struct Settings {
    /// Revision of the store; in a change, the one that the change creates.
    pub(crate) revision: Revision,
    pub(crate) certificates: Items<CertificateEntry>,
    pub(crate) apis: Items<Api>,
    pub(crate) backends: Items<Backend>,
    /// The global policy, which applies before the policy of each API.
    pub(crate) policy: Option<Versioned<Policy>>,
}

/// Items of one kind.
pub(super) type Items<T> = BTreeMap<Id, Versioned<T>>;

/// A value with the revision of its record.
#[derive(Debug)]
pub(crate) struct Versioned<T> {
    pub(crate) revision: Revision,
    pub(crate) value: Arc<T>,
}

/// The subject of a change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Item {
    Certificate(Id),
    Api(Id),
    Backend(Id),
    Policy,
}

/// Reason why requests cannot be served with an item.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ItemError {
    pub(crate) item: Item,
    pub(crate) field: ItemField,
    /// Line and column, in a policy document.
    pub(crate) at: Option<(usize, usize)>,
    pub(crate) problem: String,
}

/// Invalid field of an item.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ItemField {
    /// The path, which is the path of another API.
    Path,
    ServiceUrl,
    Url,
    Credentials,
    Document,
}

impl Settings {
    /// Decodes the records of APIs, backends and policies; reuses the values that did not change since `previous`.
    pub(super) fn read(
        certificates: Items<CertificateEntry>,
        records: &AllRecords,
        previous: &Self,
    ) -> Result<Self, StoreError> {
        let AllRecords { revision, apis, backends, policies, .. } = records;
        Ok(Self {
            revision: *revision,
            certificates,
            apis: decode(apis, "API", &previous.apis)?,
            backends: decode(backends, "backend", &previous.backends)?,
            policy: decode(policies, "policy", &Items::new())?.into_values().next(),
        })
    }

    /// Returns the revision of this item's record.
    pub(super) fn revision(&self, item: &Item) -> Option<Revision> {
        match item {
            Item::Certificate(id) => self.certificates.get(id).map(|item| item.revision),
            Item::Api(id) => self.apis.get(id).map(|item| item.revision),
            Item::Backend(id) => self.backends.get(id).map(|item| item.revision),
            Item::Policy => self.policy.as_ref().map(|item| item.revision),
        }
    }
}

impl<T> Versioned<T> {
    pub(crate) fn new(revision: Revision, value: T) -> Self {
        Self { revision, value: Arc::new(value) }
    }
}

/// Decodes the records of one kind. An invalid record is an error of the whole store: without it, requests could reach
/// a route with weaker rules.
fn decode<T: DeserializeOwned>(
    records: &[Record],
    kind: &str,
    previous: &Items<T>,
) -> Result<Items<T>, StoreError> {
    let items = records.iter().map(|record| {
        let invalid = |problem: String| StoreError::new(format!("{kind} '{}': {problem}", record.id));
        let id: Id = record.id.parse().map_err(|problem| invalid(format!("its id {problem}")))?;
        if let Some(item) = unchanged(record, previous) {
            return Ok((id, item));
        }
        let value = serde_json::from_slice(&record.value)
            .map_err(|error| invalid(format!("invalid record (column {}): {error}", error.column())))?;
        Ok((id, Versioned::new(record.revision, value)))
    });
    items.collect()
}

/// Returns the value of this record, if it is known.
pub(super) fn unchanged<T>(record: &Record, previous: &Items<T>) -> Option<Versioned<T>> {
    previous.get(&*record.id).filter(|item| item.revision == record.revision).cloned()
}

impl Item {
    /// Returns the key of the item's record.
    pub(super) fn key(&self) -> RecordKey {
        match self {
            Self::Certificate(id) => RecordKey { kind: RecordKind::Certificate, id: id.shared() },
            Self::Api(id) => RecordKey { kind: RecordKind::Api, id: id.shared() },
            Self::Backend(id) => RecordKey { kind: RecordKind::Backend, id: id.shared() },
            Self::Policy => RecordKey { kind: RecordKind::Policy, id: "policy".into() },
        }
    }
}

/// The item's name in messages.
impl fmt::Display for Item {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Certificate(id) => write!(f, "the certificate '{id}'"),
            Self::Api(id) => write!(f, "the API '{id}'"),
            Self::Backend(id) => write!(f, "the backend '{id}'"),
            Self::Policy => f.write_str("the global policy"),
        }
    }
}

/// The problem with its position.
impl fmt::Display for ItemError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.at {
            Some((line, column)) => write!(f, "line {line}, column {column}: {}", self.problem),
            None => f.write_str(&self.problem),
        }
    }
}

impl<T> Clone for Versioned<T> {
    fn clone(&self) -> Self {
        Self { revision: self.revision, value: self.value.clone() }
    }
}
