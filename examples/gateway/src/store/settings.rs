//! Settings that administrators change at run time: APIs, backends and policies.

use std::{collections::BTreeMap, fmt, sync::Arc};

use serde::{Serialize, de::DeserializeOwned};

use super::{Api, Backend, Id, Policy, Record, RecordKey, RecordKind, Revision, StoreError};

/// APIs, backends and the global policy at one revision.
#[derive(Debug, Clone, Default)]
pub(crate) struct Settings {
    pub(crate) apis: BTreeMap<Id, Versioned<Api>>,
    pub(crate) backends: BTreeMap<Id, Versioned<Backend>>,
    /// The global policy, which applies before the policy of each API.
    pub(crate) policy: Option<Versioned<Policy>>,
}

/// A value with the revision of its record.
#[derive(Debug)]
pub(crate) struct Versioned<T> {
    pub(crate) revision: Revision,
    pub(crate) value: Arc<T>,
}

/// The subject of a change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Item {
    Api(Id),
    Backend(Id),
    Policy,
}

/// New value of an item.
pub(crate) enum ItemValue {
    Api(Api),
    Backend(Backend),
    Policy(Policy),
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
    /// Decodes the records; reuses the values that did not change since `previous`.
    pub(super) fn read(
        apis: &[Record],
        backends: &[Record],
        policies: &[Record],
        previous: &Self,
    ) -> Result<Self, StoreError> {
        let policies = decode(policies, "policy", &BTreeMap::new())?;
        Ok(Self {
            apis: decode(apis, "API", &previous.apis)?,
            backends: decode(backends, "backend", &previous.backends)?,
            policy: policies.into_values().next(),
        })
    }

    /// Returns the settings with one item changed or removed, and its encoded value.
    pub(super) fn with(
        &self,
        item: &Item,
        value: Option<ItemValue>,
        revision: Revision,
    ) -> (Self, Option<Vec<u8>>) {
        let mut next = self.clone();
        let encoded = match (item, value) {
            (Item::Api(id), Some(ItemValue::Api(api))) => Some(insert(&mut next.apis, id, api, revision)),
            (Item::Backend(id), Some(ItemValue::Backend(backend))) => {
                Some(insert(&mut next.backends, id, backend, revision))
            }
            (Item::Policy, Some(ItemValue::Policy(policy))) => {
                let encoded = encode(&policy);
                next.policy = Some(Versioned { revision, value: Arc::new(policy) });
                Some(encoded)
            }
            (Item::Api(id), _) => {
                next.apis.remove(id);
                None
            }
            (Item::Backend(id), _) => {
                next.backends.remove(id);
                None
            }
            (Item::Policy, _) => {
                next.policy = None;
                None
            }
        };
        (next, encoded)
    }

    /// Returns the revision of this item's record.
    pub(super) fn revision_of(&self, item: &Item) -> Option<Revision> {
        match item {
            Item::Api(id) => self.apis.get(id).map(|item| item.revision),
            Item::Backend(id) => self.backends.get(id).map(|item| item.revision),
            Item::Policy => self.policy.as_ref().map(|item| item.revision),
        }
    }
}

/// Decodes the records of one kind. An invalid record is an error of the whole store: without it, requests could reach
/// a route with weaker rules.
fn decode<T: DeserializeOwned>(
    records: &[Record],
    kind: &str,
    previous: &BTreeMap<Id, Versioned<T>>,
) -> Result<BTreeMap<Id, Versioned<T>>, StoreError> {
    let items = records.iter().map(|record| {
        let invalid = |problem: String| StoreError::new(format!("{kind} '{}': {problem}", record.id));
        let id: Id = record.id.parse().map_err(|problem| invalid(format!("its id {problem}")))?;
        let item = match previous.get(&id).filter(|item| item.revision == record.revision) {
            Some(item) => item.clone(),
            None => {
                let value = serde_json::from_slice(&record.value).map_err(|error| {
                    invalid(format!("invalid record (column {}): {error}", error.column()))
                })?;
                Versioned { revision: record.revision, value: Arc::new(value) }
            }
        };
        Ok((id, item))
    });
    items.collect()
}

fn insert<T: Serialize>(
    items: &mut BTreeMap<Id, Versioned<T>>,
    id: &Id,
    value: T,
    revision: Revision,
) -> Vec<u8> {
    let encoded = encode(&value);
    items.insert(id.clone(), Versioned { revision, value: Arc::new(value) });
    encoded
}

fn encode<T: Serialize>(value: &T) -> Vec<u8> {
    // Serialization of strings and numbers cannot fail.
    serde_json::to_vec(value).unwrap_or_default()
}

impl Item {
    /// Returns the key of the item's record.
    pub(super) fn key(&self) -> RecordKey {
        match self {
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
