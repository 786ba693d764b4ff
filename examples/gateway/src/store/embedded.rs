//! A store in a local redb database, whose transactions are atomic and durable.

use std::{path::Path, sync::Arc};

use redb::{Database, DatabaseError, ReadableTable, ReadableTableMetadata, TableDefinition};
use tokio::{sync::watch, task::spawn_blocking};

use super::{
    Conflict, Expected, Listing, MAX_RECORDS, Record, RecordKey, RecordKind, Revision, Store, StoreError,
    StoreFuture,
};
use crate::file::private;

/// Name of the database file in the store's folder.
const FILE: &str = "store.redb";

/// Revision and value by id.
type RecordTable = TableDefinition<'static, &'static str, (Revision, &'static [u8])>;

const COUNTERS: TableDefinition<'static, &str, u64> = TableDefinition::new("counters");
const REVISION: &str = "revision";
const FORMAT: &str = "format";

/// Version of the storage format.
const CURRENT_FORMAT: u64 = 1;

#[derive(Debug)]
pub(super) struct Embedded {
    database: Arc<Database>,
    last: watch::Sender<Revision>,
}

impl RecordKind {
    fn table(self) -> RecordTable {
        TableDefinition::new(match self {
            Self::Certificate => "certificates",
            Self::Api => "apis",
            Self::Backend => "backends",
            Self::Policy => "policies",
            Self::Sealing => "sealing",
        })
    }
}

impl Embedded {
    /// Opens the store in this folder, and creates both with permissions for the owner only if they do not exist.
    ///
    /// # Errors
    ///
    /// The problem, phrased to follow the name of the folder.
    pub(super) fn open(folder: &Path) -> Result<Self, String> {
        private::folder(folder).map_err(|error| format!("cannot be created: {error}"))?;
        let file = private::file(&folder.join(FILE)).map_err(|error| format!("cannot be opened: {error}"))?;
        let database = redb::Builder::new().create_file(file).map_err(|error| match error {
            DatabaseError::DatabaseAlreadyOpen => "is in use by another process".to_owned(),
            other => format!("cannot be opened: {other}"),
        })?;
        Self::new(database)
    }

    fn new(database: Database) -> Result<Self, String> {
        let unusable = |error: StoreError| format!("cannot be used: {}", error.0);
        let (revision, format) = prepare(&database).map_err(unusable)?;
        if format != CURRENT_FORMAT {
            return Err(format!("has format {format}, which this version does not support"));
        }
        Ok(Self { database: Arc::new(database), last: watch::Sender::new(revision) })
    }

    /// Runs `work` on a thread for blocking operations.
    fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Database) -> Result<T, StoreError> + Send + 'static,
    ) -> StoreFuture<T> {
        let database = self.database.clone();
        Box::pin(async move {
            let result = spawn_blocking(move || work(&database)).await;
            result.map_err(StoreError::new)?
        })
    }

    /// Runs a change, and notifies watchers of its revision.
    fn change(
        &self,
        work: impl FnOnce(&Database) -> Result<Result<Revision, Conflict>, StoreError> + Send + 'static,
    ) -> StoreFuture<Result<Revision, Conflict>> {
        let last = self.last.clone();
        self.run(move |database| {
            let result = work(database)?;
            if let Ok(revision) = result {
                // Transactions are serialized, but their threads can arrive here in another order.
                last.send_if_modified(|last| {
                    let is_later = revision > *last;
                    *last = revision.max(*last);
                    is_later
                });
            }
            Ok(result)
        })
    }
}

/// Creates all tables; returns the last revision and the format.
fn prepare(database: &Database) -> Result<(Revision, u64), StoreError> {
    let transaction = database.begin_write()?;
    let found = {
        for kind in [
            RecordKind::Certificate,
            RecordKind::Api,
            RecordKind::Backend,
            RecordKind::Policy,
            RecordKind::Sealing,
        ] {
            transaction.open_table(kind.table())?;
        }
        let mut counters = transaction.open_table(COUNTERS)?;
        let format = counters.get(FORMAT)?.map(|format| format.value());
        if format.is_none() {
            counters.insert(FORMAT, CURRENT_FORMAT)?;
        }
        let revision = counters.get(REVISION)?.map_or(0, |revision| revision.value());
        (revision, format.unwrap_or(CURRENT_FORMAT))
    };
    transaction.commit()?;
    Ok(found)
}

/// redb's errors are large; only their messages are kept.
macro_rules! from_redb {
    ($($error:ident),*) => {
        $(impl From<redb::$error> for StoreError {
            fn from(error: redb::$error) -> Self {
                Self::new(error)
            }
        })*
    };
}

from_redb!(TransactionError, TableError, StorageError, CommitError);

impl Store for Embedded {
    fn get(&self, key: RecordKey) -> StoreFuture<Option<Record>> {
        self.run(move |database| {
            let table = database.begin_read()?.open_table(key.kind.table())?;
            let found = table.get(&*key.id)?;
            Ok(found.map(|found| {
                let (revision, value) = found.value();
                Record { id: key.id.clone(), revision, value: value.to_vec() }
            }))
        })
    }

    fn list(&self, kind: RecordKind) -> StoreFuture<Listing> {
        self.run(move |database| {
            let transaction = database.begin_read()?;
            let counters = transaction.open_table(COUNTERS)?;
            let revision = counters.get(REVISION)?.map_or(0, |revision| revision.value());
            let table = transaction.open_table(kind.table())?;
            let records = table.iter()?.map(|entry| {
                let (id, found) = entry?;
                let (revision, value) = found.value();
                Ok(Record { id: id.value().into(), revision, value: value.to_vec() })
            });
            Ok(Listing { records: records.collect::<Result<_, StoreError>>()?, revision })
        })
    }

    fn put(
        &self,
        key: RecordKey,
        value: Vec<u8>,
        expected: Expected,
    ) -> StoreFuture<Result<Revision, Conflict>> {
        self.change(move |database| {
            // A transaction that is dropped without a commit is rolled back.
            let transaction = database.begin_write()?;
            let revision = {
                let mut table = transaction.open_table(key.kind.table())?;
                let present = table.get(&*key.id)?.map(|found| found.value().0);
                let Some(revision) = next(&transaction, expected, present)? else {
                    return Ok(Err(Conflict::Changed));
                };
                if present.is_none() && table.len()? >= MAX_RECORDS {
                    return Ok(Err(Conflict::Full));
                }
                table.insert(&*key.id, (revision, &*value))?;
                revision
            };
            transaction.commit()?;
            Ok(Ok(revision))
        })
    }

    fn delete(&self, key: RecordKey, expected: Expected) -> StoreFuture<Result<Revision, Conflict>> {
        self.change(move |database| {
            let transaction = database.begin_write()?;
            let revision = {
                let mut table = transaction.open_table(key.kind.table())?;
                let present = table.get(&*key.id)?.map(|found| found.value().0);
                let Some(revision) = next(&transaction, expected, present)? else {
                    return Ok(Err(Conflict::Changed));
                };
                table.remove(&*key.id)?;
                revision
            };
            transaction.commit()?;
            Ok(Ok(revision))
        })
    }

    fn watch(&self, seen: Revision) -> StoreFuture<Revision> {
        let mut last = self.last.subscribe();
        Box::pin(async move {
            let last = last.wait_for(|last| *last > seen).await;
            last.map(|last| *last).map_err(StoreError::new)
        })
    }
}

/// Increments the store's revision within a transaction; None if the expectations are not met. The transaction is
/// dropped without a commit then.
fn next(
    transaction: &redb::WriteTransaction,
    expected: Expected,
    present: Option<Revision>,
) -> Result<Option<Revision>, StoreError> {
    let mut counters = transaction.open_table(COUNTERS)?;
    let last = counters.get(REVISION)?.map_or(0, |revision| revision.value());
    if present != expected.record || expected.store.is_some_and(|expected| expected != last) {
        return Ok(None);
    }
    counters.insert(REVISION, last + 1)?;
    Ok(Some(last + 1))
}
