//! Reads and changes of an open store. A change is validated, and written only if the store is still at the revision
//! that it was validated against.

use std::{fmt, pin::Pin, sync::Arc, time::Duration};

use tokio::{
    sync::{Mutex, OwnedMutexGuard, Semaphore, watch},
    time,
};

use super::{
    CertificateEntry, ChangeError, Conflict, Expected, Item, ItemValue, RecordKey, Revision, Settings,
    Snapshot, Store, StoreError, seal::Sealer,
};

/// Maximum number of attempts of a change that conflicts with another process.
pub(super) const ATTEMPTS: usize = 100;

/// Maximum time until a change of another process is published.
const PUBLICATION_TIMEOUT: Duration = Duration::from_secs(10);

/// Maximum number of .pfx files decrypted at a time; each occupies one core.
const MAX_CONCURRENT_UPLOADS: usize = 2;

/// An open store.
///
/// Changes depend on other records too: a certificate can be deleted only if no record refers to it. A lock serializes
/// the changes of this process; the revision of the store detects those of other processes.
pub(crate) struct StoreHandle {
    pub(super) store: Arc<dyn Store>,
    pub(super) sealer: Arc<Sealer>,
    pub(super) upload_slots: Semaphore,
    snapshots: watch::Receiver<Arc<Snapshot>>,
    validator: Box<Validator>,
    lock: Arc<Mutex<()>>,
}

/// Checks that requests can be served after a change of the store at this revision.
pub(crate) type Validator = dyn Fn(ProposedChange, Revision) -> Validation + Send + Sync;

type Validation = Pin<Box<dyn Future<Output = Result<(), ChangeError>> + Send>>;

/// A change to validate.
pub(crate) enum ProposedChange {
    /// A certificate is replaced, or removed if there is no replacement.
    Certificate { current: CertificateEntry, replacement: Option<CertificateEntry> },
    /// One item of the settings is created, changed or removed.
    Settings { settings: Arc<Settings>, item: Item },
}

/// Settings before and after a change.
pub(crate) struct SettingsChange {
    pub(crate) before: Arc<Settings>,
    pub(crate) after: Arc<Settings>,
}

/// A change that was written. It blocks other changes until it is dropped, once requests see it.
#[must_use]
pub(crate) struct Stored<T> {
    pub(crate) value: T,
    /// Revision of the store with the change.
    pub(crate) revision: Revision,
    _lock: OwnedMutexGuard<()>,
}

impl<T> Stored<T> {
    pub(super) fn new(value: T, revision: Revision, lock: OwnedMutexGuard<()>) -> Self {
        Self { value, revision, _lock: lock }
    }

    pub(crate) fn map<U>(self, convert: impl FnOnce(T) -> U) -> Stored<U> {
        Stored::new(convert(self.value), self.revision, self._lock)
    }
}

impl StoreHandle {
    pub(super) fn new(
        store: Arc<dyn Store>,
        sealer: Arc<Sealer>,
        snapshots: watch::Receiver<Arc<Snapshot>>,
        validator: Box<Validator>,
    ) -> Self {
        let upload_slots = Semaphore::new(MAX_CONCURRENT_UPLOADS);
        Self { store, sealer, upload_slots, snapshots, validator, lock: Arc::default() }
    }

    /// Blocks all changes until the guard is dropped. For use while the configuration that validates them is replaced.
    pub(crate) async fn lock(&self) -> OwnedMutexGuard<()> {
        self.lock.clone().lock_owned().await
    }

    /// Changes one item of the settings, or removes it if `edit` returns None. `edit` receives the current settings and
    /// the tag of the new value; it can be called again after a conflict.
    ///
    /// # Errors
    ///
    /// The error of `edit`, or the reasons why requests could not be served afterwards. Nothing is changed then.
    pub(crate) async fn change(
        &self,
        item: &Item,
        edit: impl Fn(&Settings, Revision) -> Result<Option<ItemValue>, ChangeError> + Send + Sync,
    ) -> Result<Stored<SettingsChange>, ChangeError> {
        let lock = self.lock().await;
        for _ in 0..ATTEMPTS {
            let base = self.snapshot();
            let (before, tag) = (base.settings.clone(), base.revision + 1);
            let (after, encoded) = before.with(item, edit(&before, tag)?, tag);
            let after = Arc::new(after);
            let change = ProposedChange::Settings { settings: after.clone(), item: item.clone() };
            self.validate(change, base.revision).await?;
            let record = before.revision_of(item);
            if let Some(revision) = self.write(item.key(), encoded, record, base.revision).await? {
                return Ok(Stored::new(SettingsChange { before, after }, revision, lock));
            }
        }
        Err(ChangeError::PreconditionFailed)
    }

    /// Returns the latest snapshot.
    pub(super) fn snapshot(&self) -> Arc<Snapshot> {
        self.snapshots.borrow().clone()
    }

    pub(super) async fn validate(&self, change: ProposedChange, base: Revision) -> Result<(), ChangeError> {
        (self.validator)(change, base).await
    }

    /// Writes or removes a record. Returns None, once the later snapshot is published, if the store has changed since
    /// `base`.
    pub(super) async fn write(
        &self,
        key: RecordKey,
        value: Option<Vec<u8>>,
        record: Option<Revision>,
        base: Revision,
    ) -> Result<Option<Revision>, ChangeError> {
        let expected = Expected { record, store: Some(base) };
        let result = match value {
            Some(value) => self.store.put(key, value, expected),
            None => self.store.delete(key, expected),
        };
        match result.await? {
            Ok(revision) => Ok(Some(revision)),
            Err(Conflict::Full) => Err(ChangeError::Full),
            Err(Conflict::Changed) => {
                let mut snapshots = self.snapshots.clone();
                let later = snapshots.wait_for(|snapshot| snapshot.revision > base);
                match time::timeout(PUBLICATION_TIMEOUT, later).await {
                    Ok(Ok(_)) => Ok(None),
                    _ => Err(StoreError::new("an earlier change is stored, but not published yet").into()),
                }
            }
        }
    }
}

impl fmt::Debug for StoreHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StoreHandle").field("store", &self.store).finish_non_exhaustive()
    }
}
