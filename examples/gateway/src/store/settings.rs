//! What administrators configure while the gateway serves: APIs, backends, and policies.

use std::{collections::BTreeMap, fmt, sync::Arc};

use serde::{Serialize, de::DeserializeOwned};

use super::{Api, Backend, Id, Key, Kind, Policy, Record, Revision, StoreError};

/// All of it at one moment.
#[derive(Debug, Clone, Default)]
pub(crate) struct Settings {
    pub(crate) apis: BTreeMap<Id, Stored<Api>>,
    pub(crate) backends: BTreeMap<Id, Stored<Backend>>,
    /// The policy of all APIs, which stands above each one's own.
    pub(crate) policy: Option<Stored<Policy>>,
}

/// Something with the revision of its record.
#[derive(Debug)]
pub(crate) struct Stored<T> {
    pub(crate) revision: Revision,
    pub(crate) value: Arc<T>,
}

/// What a change is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Item {
    Api(Id),
    Backend(Id),
    Policy,
}

/// What a change makes of it.
pub(crate) enum Value {
    Api(Api),
    Backend(Backend),
    Policy(Policy),
}

/// Why requests could not be served as it says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Broken {
    pub(crate) item: Item,
    pub(crate) part: Part,
    /// Line and column, in a policy document.
    pub(crate) at: Option<(usize, usize)>,
    pub(crate) problem: String,
}

/// What of it is at fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Part {
    /// The path, which is another's.
    Path,
    ServiceUrl,
    Url,
    Credentials,
    Document,
}

impl Settings {
    /// Reads the records of every kind; what did not change since `before` is the very same.
    pub(super) fn read(
        apis: &[Record],
        backends: &[Record],
        policies: &[Record],
        before: Option<&Self>,
    ) -> Result<Self, StoreError> {
        let policies = map(policies, "the policy", None)?;
        Ok(Self {
            apis: map(apis, "the API", before.map(|before| &before.apis))?,
            backends: map(backends, "the backend", before.map(|before| &before.backends))?,
            policy: policies.into_values().next(),
        })
    }

    /// The same with one item changed or removed; what is written down of it.
    pub(super) fn with(
        &self,
        item: &Item,
        value: Option<Value>,
        revision: Revision,
    ) -> (Self, Option<Vec<u8>>) {
        let mut next = self.clone();
        let written = match (item, value) {
            (Item::Api(id), Some(Value::Api(api))) => Some(insert(&mut next.apis, id, api, revision)),
            (Item::Backend(id), Some(Value::Backend(backend))) => {
                Some(insert(&mut next.backends, id, backend, revision))
            }
            (Item::Policy, Some(Value::Policy(policy))) => {
                let written = encode(&policy);
                next.policy = Some(Stored { revision, value: Arc::new(policy) });
                Some(written)
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
        (next, written)
    }

    /// The revision of this item's record.
    pub(super) fn revision_of(&self, item: &Item) -> Option<Revision> {
        match item {
            Item::Api(id) => self.apis.get(id).map(|stored| stored.revision),
            Item::Backend(id) => self.backends.get(id).map(|stored| stored.revision),
            Item::Policy => self.policy.as_ref().map(|stored| stored.revision),
        }
    }
}

fn map<T: DeserializeOwned>(
    records: &[Record],
    what: &str,
    before: Option<&BTreeMap<Id, Stored<T>>>,
) -> Result<BTreeMap<Id, Stored<T>>, StoreError> {
    let read = records.iter().map(|record| {
        let failed = |problem: String| StoreError::new(format!("{what} '{}': {problem}", record.id));
        let id: Id = record.id.parse().map_err(|problem| failed(format!("its id {problem}")))?;
        let kept = before.and_then(|before| before.get(&id)).filter(|kept| kept.revision == record.revision);
        let stored = match kept {
            Some(kept) => kept.clone(),
            None => {
                // A request that it should guard would else take another way.
                let value = serde_json::from_slice(&record.value).map_err(|error| {
                    failed(format!("it cannot be read (column {}): {error}", error.column()))
                })?;
                Stored { revision: record.revision, value: Arc::new(value) }
            }
        };
        Ok((id, stored))
    });
    read.collect()
}

fn insert<T: Serialize>(
    items: &mut BTreeMap<Id, Stored<T>>,
    id: &Id,
    value: T,
    revision: Revision,
) -> Vec<u8> {
    let written = encode(&value);
    items.insert(id.clone(), Stored { revision, value: Arc::new(value) });
    written
}

fn encode<T: Serialize>(value: &T) -> Vec<u8> {
    // Texts and numbers, whose serialization cannot fail.
    serde_json::to_vec(value).unwrap_or_default()
}

impl Item {
    /// Where it is kept.
    pub(super) fn key(&self) -> Key {
        match self {
            Self::Api(id) => Key { kind: Kind::Api, id: id.shared() },
            Self::Backend(id) => Key { kind: Kind::Backend, id: id.shared() },
            Self::Policy => Key { kind: Kind::Policy, id: "policy".into() },
        }
    }
}

/// As messages call it.
impl fmt::Display for Item {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Api(id) => write!(f, "the API '{id}'"),
            Self::Backend(id) => write!(f, "the backend '{id}'"),
            Self::Policy => f.write_str("the policy of all APIs"),
        }
    }
}

/// As messages tell it.
impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.at {
            Some((line, column)) => write!(f, "line {line}, column {column}: {}", self.problem),
            None => f.write_str(&self.problem),
        }
    }
}

impl<T> Clone for Stored<T> {
    fn clone(&self) -> Self {
        Self { revision: self.revision, value: self.value.clone() }
    }
}
