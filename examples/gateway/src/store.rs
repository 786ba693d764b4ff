//! What administrators put in while the gateway serves: certificates, with private keys sealed at rest, APIs, backends
//! and policies.
//!
//! [`Store`] is the little that the gateway asks of whatever keeps the records: reads, changes that say what they
//! expect to find, and news of changes. Nothing in it assumes that this process is the only one that writes: what
//! requests see ([`Published`]) is made by a [`Follower`] out of what the store says, whoever wrote it.

mod api;
mod apis;
mod backend;
mod certificates;
mod condition;
mod deployed;
mod embedded;
mod entry;
mod follow;
mod id;
mod open;
mod private;
mod published;
mod seal;
mod settings;
#[cfg(test)]
mod tests;
mod upload;
mod uses;
mod write_lock;

use std::{fmt, future::Future, pin::Pin, sync::Arc};

pub(crate) use self::{
    api::{Api, Policy},
    apis::{Apis, Changed},
    backend::{Backend, Credential},
    certificates::Certificates,
    condition::{Condition, Refusal},
    deployed::Deployed,
    entry::{Entry, Purpose},
    follow::Follower,
    id::Id,
    open::{Opened, open},
    published::{Members, Published},
    settings::{Broken, Item, Part, Settings, Value},
    upload::Upload,
    uses::{Use, Uses},
};

/// Counts the changes of a store: each change has the next one.
pub(crate) type Revision = u64;

/// What the store will answer.
pub(crate) type Pending<T> = Pin<Box<dyn Future<Output = Result<T, StoreError>> + Send>>;

/// The most records of one kind.
const MOST: u64 = 10_000;

/// Keeps records.
pub(crate) trait Store: fmt::Debug + Send + Sync + 'static {
    /// The record under this key.
    fn get(&self, key: Key) -> Pending<Option<Record>>;

    /// Some of the records of one kind, by id, as they are at one moment.
    fn list(&self, kind: Kind, wanted: ListQuery) -> Pending<Listing>;

    /// Writes a record if all is as expected. It is safe on disk, with all before it, once this is answered.
    fn put(&self, key: Key, value: Vec<u8>, expected: Expected) -> Pending<Result<Revision, Conflict>>;

    /// Removes a record if all is as expected.
    fn delete(&self, key: Key, expected: Expected) -> Pending<Result<Revision, Conflict>>;

    /// Waits for changes after this revision, of whichever process; the revision of the last.
    fn watch(&self, seen: Revision) -> Pending<Revision>;
}

/// What a record is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Certificate,
    Api,
    Backend,
    /// The policy of all APIs.
    Policy,
    /// What proves that a sealing key is the store's.
    Sealing,
}

/// Where a record is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Key {
    pub(crate) kind: Kind,
    pub(crate) id: Arc<str>,
}

/// A value with the revision at which it was written.
#[derive(Clone)]
pub(crate) struct Record {
    pub(crate) id: Arc<str>,
    pub(crate) revision: Revision,
    pub(crate) value: Vec<u8>,
}

/// Which records are wanted: of those that the filter takes, `top` after the first `skip`.
pub(crate) struct ListQuery {
    pub(crate) filter: Box<dyn Fn(&Record) -> bool + Send>,
    pub(crate) skip: usize,
    pub(crate) top: usize,
}

/// What was found.
#[derive(Debug)]
pub(crate) struct Listing {
    pub(crate) records: Vec<Record>,
    /// How many the filter takes.
    pub(crate) count: usize,
    /// The last change that this shows.
    pub(crate) revision: Revision,
}

/// What a change expects to find.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Expected {
    /// The revision of the record under its key; None: there is none.
    pub(crate) record: Option<Revision>,
    /// The last change of the whole store, for a change that depends on other records too. None: whatever it is.
    pub(crate) store: Option<Revision>,
}

/// Why a record was not changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Conflict {
    /// What is there is not what was expected.
    Changed,
    /// There are as many records as the store takes.
    Full,
}

/// The store failed: its disk, or whatever keeps it.
#[derive(Debug)]
pub(crate) struct StoreError(String);

impl ListQuery {
    /// All of them.
    pub(crate) fn all() -> Self {
        Self { filter: Box::new(|_| true), skip: 0, top: usize::MAX }
    }
}

impl StoreError {
    fn new(problem: impl fmt::Display) -> Self {
        Self(problem.to_string())
    }
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the store failed: {}", self.0)
    }
}

impl fmt::Debug for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Record")
            .field("id", &self.id)
            .field("revision", &self.revision)
            .finish_non_exhaustive()
    }
}
