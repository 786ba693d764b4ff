//! Live configuration: certificates, with private keys sealed at rest, APIs, backends and policies.
//!
//! [`Store`] is the interface to the record storage: reads, conditional writes and a watch. It does not assume that
//! this process is the only writer: a [`Publisher`] publishes a [`Snapshot`] of the stored records after each change,
//! whichever process wrote it. [`CurrentStore`] is the snapshot that requests see.

mod api;
mod backend;
mod certificate_sets;
mod certificate_uses;
mod embedded;
mod entry;
mod handle;
mod id;
mod open;
mod precondition;
mod settings;
mod snapshot;
#[cfg(test)]
mod tests;
mod upload;

use std::{fmt, future::Future, pin::Pin, sync::Arc};

use self::snapshot::AllRecords;

pub(crate) use self::{
    api::{Api, Policy},
    backend::{Backend, Credential},
    certificate_sets::{DocumentCertificates, StoreMembers},
    certificate_uses::{CertificateUse, CertificateUses},
    entry::{CertificateEntry, EntryPurpose},
    handle::{SettingsChange, StoreHandle, StoredChange, Validator},
    id::Id,
    open::{OpenStore, open},
    precondition::{ChangeError, Precondition},
    settings::{Item, ItemError, ItemField, Settings, Versioned},
    snapshot::{CurrentStore, IdentityResolver, Publisher, Snapshot},
    upload::{CertificateUpload, UploadedCertificate},
};

/// Number of a change; each change of the store increments it.
pub(crate) type Revision = u64;

/// Future of a store operation.
pub(crate) type StoreFuture<T> = Pin<Box<dyn Future<Output = Result<T, StoreError>> + Send>>;

/// Maximum number of records of one kind.
const MAX_RECORDS: u64 = 10_000;

/// Storage of records.
pub(crate) trait Store: fmt::Debug + Send + Sync + 'static {
    /// Returns the record with this key.
    fn get(&self, key: RecordKey) -> StoreFuture<Option<Record>>;

    /// Returns the records of one kind, as of one revision.
    fn list(&self, kind: RecordKind) -> StoreFuture<Listing>;

    /// Writes a record if the expectations are met. The record and all earlier changes are durable once this returns.
    fn put(
        &self,
        key: RecordKey,
        value: Vec<u8>,
        expected: Expected,
    ) -> StoreFuture<Result<Revision, Conflict>>;

    /// Removes a record if the expectations are met.
    fn delete(&self, key: RecordKey, expected: Expected) -> StoreFuture<Result<Revision, Conflict>>;

    /// Waits for a change after this revision, by any process; returns the latest revision.
    fn watch(&self, seen: Revision) -> StoreFuture<Revision>;
}

/// Kind of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RecordKind {
    Certificate,
    Api,
    Backend,
    /// The global policy, which applies to all APIs.
    Policy,
    /// Verifies that a sealing key belongs to the store.
    Sealing,
}

/// Key of a record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RecordKey {
    pub(crate) kind: RecordKind,
    pub(crate) id: Arc<str>,
}

/// A stored value and the revision at which it was written.
#[derive(Clone)]
pub(crate) struct Record {
    pub(crate) id: Arc<str>,
    pub(crate) revision: Revision,
    pub(crate) value: Vec<u8>,
}

/// Result of [`Store::list`].
#[derive(Debug)]
pub(crate) struct Listing {
    pub(crate) records: Vec<Record>,
    /// Revision of the store at the time of the read.
    pub(crate) revision: Revision,
}

/// Expectations of a conditional write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Expected {
    /// Revision of the record; None: the record does not exist.
    pub(crate) record: Option<Revision>,
    /// Revision of the whole store, for a change that depends on other records too; None: any.
    pub(crate) store: Option<Revision>,
}

/// Reason why a conditional write was rejected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Conflict {
    /// The record or the store is at another revision.
    Changed,
    /// The number of records is at [`MAX_RECORDS`].
    Full,
}

/// Failure of the storage, such as of its disk.
#[derive(Debug)]
pub(crate) struct StoreError(String);

impl StoreError {
    pub(crate) fn new(problem: impl fmt::Display) -> Self {
        Self(problem.to_string())
    }
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "store: {}", self.0)
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
