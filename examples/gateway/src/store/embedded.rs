//! The store in a file of this machine: redb, whose transactions are whole on disk or not there at all.

use std::{path::Path, sync::Arc};

use redb::{Database, DatabaseError, ReadableTable, ReadableTableMetadata, TableDefinition};
use tokio::{sync::watch, task::spawn_blocking};

use super::{
    Conflict, Expected, Key, Kind, ListQuery, Listing, MOST, Pending, Record, Revision, Store, StoreError,
    private,
};

/// The one file in the store's folder.
const FILE: &str = "store.redb";

/// Ids, with the revision and the value of each.
type Records = TableDefinition<'static, &'static str, (Revision, &'static [u8])>;

const COUNTERS: TableDefinition<'static, &str, u64> = TableDefinition::new("counters");
const REVISION: &str = "revision";
const FORMAT: &str = "format";

/// What this version writes; a later one that changes it will know what it finds.
const THIS_FORMAT: u64 = 1;

#[derive(Debug)]
pub(super) struct Embedded {
    database: Arc<Database>,
    last: watch::Sender<Revision>,
}

impl Kind {
    fn records(self) -> Records {
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
    /// Opens the store in this folder, which nobody else may read, and makes what is not there.
    ///
    /// # Errors
    ///
    /// What is wrong, as the end of a sentence.
    pub(super) fn open(folder: &Path) -> Result<Self, String> {
        private::folder(folder).map_err(|error| format!("cannot be made: {error}"))?;
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
        if format != THIS_FORMAT {
            return Err(format!("is of format {format}, which this version does not read"));
        }
        Ok(Self { database: Arc::new(database), last: watch::Sender::new(revision) })
    }

    /// Runs on a thread that may wait for the disk.
    fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Database) -> Result<T, StoreError> + Send + 'static,
    ) -> Pending<T> {
        let database = self.database.clone();
        Box::pin(async move {
            let done = spawn_blocking(move || work(&database)).await;
            done.map_err(StoreError::new)?
        })
    }

    /// As [`run`](Self::run), and tells of the change.
    fn change(
        &self,
        work: impl FnOnce(&Database) -> Result<Result<Revision, Conflict>, StoreError> + Send + 'static,
    ) -> Pending<Result<Revision, Conflict>> {
        let last = self.last.clone();
        self.run(move |database| {
            let done = work(database)?;
            if let Ok(revision) = done {
                // Transactions end one after the other, but their threads may come here in another order.
                last.send_if_modified(|last| {
                    let is_later = revision > *last;
                    *last = revision.max(*last);
                    is_later
                });
            }
            Ok(done)
        })
    }
}

/// Makes all tables, so that every later transaction finds them; the last revision, and the format.
fn prepare(database: &Database) -> Result<(Revision, u64), StoreError> {
    let transaction = database.begin_write()?;
    let found = {
        for kind in [Kind::Certificate, Kind::Api, Kind::Backend, Kind::Policy, Kind::Sealing] {
            transaction.open_table(kind.records())?;
        }
        let mut counters = transaction.open_table(COUNTERS)?;
        let format = counters.get(FORMAT)?.map(|format| format.value());
        if format.is_none() {
            counters.insert(FORMAT, THIS_FORMAT)?;
        }
        let revision = counters.get(REVISION)?.map_or(0, |revision| revision.value());
        (revision, format.unwrap_or(THIS_FORMAT))
    };
    transaction.commit()?;
    Ok(found)
}

/// redb's own errors are large: only what they say is kept.
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
    fn get(&self, key: Key) -> Pending<Option<Record>> {
        self.run(move |database| {
            let table = database.begin_read()?.open_table(key.kind.records())?;
            let found = table.get(&*key.id)?;
            Ok(found.map(|found| {
                let (revision, value) = found.value();
                Record { id: key.id.clone(), revision, value: value.to_vec() }
            }))
        })
    }

    fn list(&self, kind: Kind, wanted: ListQuery) -> Pending<Listing> {
        self.run(move |database| {
            let transaction = database.begin_read()?;
            let counters = transaction.open_table(COUNTERS)?;
            let revision = counters.get(REVISION)?.map_or(0, |revision| revision.value());
            let table = transaction.open_table(kind.records())?;
            let mut listing = Listing { records: Vec::new(), count: 0, revision };
            for entry in table.iter()? {
                let (id, found) = entry?;
                let (revision, value) = found.value();
                let record = Record { id: id.value().into(), revision, value: value.to_vec() };
                if (wanted.filter)(&record) {
                    if listing.count >= wanted.skip && listing.records.len() < wanted.top {
                        listing.records.push(record);
                    }
                    listing.count += 1;
                }
            }
            Ok(listing)
        })
    }

    fn put(&self, key: Key, value: Vec<u8>, expected: Expected) -> Pending<Result<Revision, Conflict>> {
        self.change(move |database| {
            // Dropped without a commit, a transaction has changed nothing.
            let transaction = database.begin_write()?;
            let revision = {
                let mut table = transaction.open_table(key.kind.records())?;
                let present = table.get(&*key.id)?.map(|found| found.value().0);
                let Some(revision) = next(&transaction, expected, present)? else {
                    return Ok(Err(Conflict::Changed));
                };
                if present.is_none() && table.len()? >= MOST {
                    return Ok(Err(Conflict::Full));
                }
                table.insert(&*key.id, (revision, &*value))?;
                revision
            };
            transaction.commit()?;
            Ok(Ok(revision))
        })
    }

    fn delete(&self, key: Key, expected: Expected) -> Pending<Result<Revision, Conflict>> {
        self.change(move |database| {
            let transaction = database.begin_write()?;
            let revision = {
                let mut table = transaction.open_table(key.kind.records())?;
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

    fn watch(&self, seen: Revision) -> Pending<Revision> {
        let mut last = self.last.subscribe();
        Box::pin(async move {
            let last = last.wait_for(|last| *last > seen).await;
            last.map(|last| *last).map_err(StoreError::new)
        })
    }
}

/// The next revision, counted within the transaction that has it; None if something is not as expected. Such a
/// transaction ends without a commit.
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
