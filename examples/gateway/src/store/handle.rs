//! Changes of an open store. A change is validated, and written only if the store is still at the revision that it was
//! validated against.

use std::{fmt, pin::Pin, sync::Arc, time::Duration};

use serde::Serialize;
use tokio::{
    sync::{Mutex, OwnedMutexGuard, Semaphore, watch},
    time,
};

use super::{
    ChangeError, Conflict, Expected, Item, Revision, Settings, Snapshot, Store, StoreError, Versioned,
    entry::Sealer,
};

/// Maximum number of attempts of a change that conflicts with another process.
const ATTEMPTS: usize = 100;

/// Maximum time until a change of another process is published.
const PUBLICATION_TIMEOUT: Duration = Duration::from_secs(10);

/// Maximum number of .pfx files decrypted at a time; each occupies one core.
const MAX_CONCURRENT_UPLOADS: usize = 2;

/// An open store.
///
/// Changes depend on other records too: a certificate can be deleted only if no record refers to it. A lock serializes
/// the changes of this process; the revision of the store detects those of other processes.
pub(crate) struct StoreHandle {
    store: Arc<dyn Store>,
    pub(super) sealer: Arc<Sealer>,
    pub(super) upload_slots: Semaphore,
    snapshots: watch::Receiver<Arc<Snapshot>>,
    validator: Box<Validator>,
    lock: Arc<Mutex<()>>,
}

/// Checks that requests can be served after this change.
pub(crate) type Validator = dyn Fn(Arc<SettingsChange>) -> Validation + Send + Sync;

type Validation = Pin<Box<dyn Future<Output = Result<(), ChangeError>> + Send>>;

/// Settings before and after a change of one item.
pub(crate) struct SettingsChange {
    pub(crate) item: Item,
    pub(crate) before: Arc<Settings>,
    pub(crate) after: Settings,
}

/// A change that was written. Other changes wait until it is dropped, which the receiver does once requests see it.
#[must_use]
pub(crate) struct StoredChange {
    pub(crate) change: Arc<SettingsChange>,
    /// Revision of the store with the change.
    pub(crate) revision: Revision,
    _lock: OwnedMutexGuard<()>,
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

    /// Changes one item. `edit` can be called again after a conflict.
    ///
    /// # Errors
    ///
    /// The error of `edit`, or the reasons why requests could not be served afterwards. Nothing is changed then.
    pub(crate) async fn change(
        &self,
        item: Item,
        edit: impl Fn(&mut Settings) -> Result<(), ChangeError> + Send + Sync,
    ) -> Result<StoredChange, ChangeError> {
        let lock = self.lock().await;
        for _ in 0..ATTEMPTS {
            let before = self.snapshots.borrow().settings.clone();
            let mut after = Settings { revision: before.revision + 1, ..Settings::clone(&before) };
            edit(&mut after)?;
            let change = Arc::new(SettingsChange { item: item.clone(), before, after });
            (self.validator)(change.clone()).await?;
            if let Some(revision) = self.write(&change).await? {
                return Ok(StoredChange { change, revision, _lock: lock });
            }
        }
        Err(ChangeError::PreconditionFailed)
    }

    /// Writes or removes the item's record. Returns None, once the later snapshot is published, if the store has changed
    /// meanwhile.
    async fn write(&self, change: &SettingsChange) -> Result<Option<Revision>, ChangeError> {
        let SettingsChange { item, before, after } = change;
        let expected = Expected { record: before.revision(item), store: Some(before.revision) };
        let result = match encode(item, after) {
            Some(value) => self.store.put(item.key(), value, expected),
            None => self.store.delete(item.key(), expected),
        };
        match result.await? {
            Ok(revision) => Ok(Some(revision)),
            Err(Conflict::Full) => Err(ChangeError::Full),
            Err(Conflict::Changed) => {
                let mut snapshots = self.snapshots.clone();
                let later = snapshots.wait_for(|snapshot| snapshot.revision() > before.revision);
                match time::timeout(PUBLICATION_TIMEOUT, later).await {
                    Ok(Ok(_)) => Ok(None),
                    _ => Err(StoreError::new("an earlier change is stored, but not published yet").into()),
                }
            }
        }
    }
}

/// Encodes an item of the settings; None if it does not exist.
fn encode(item: &Item, settings: &Settings) -> Option<Vec<u8>> {
    match item {
        Item::Certificate(id) => settings.certificates.get(id).map(|item| item.value.encode()),
        Item::Api(id) => settings.apis.get(id).map(to_json),
        Item::Backend(id) => settings.backends.get(id).map(to_json),
        Item::Policy => settings.policy.as_ref().map(to_json),
    }
}

fn to_json<T: Serialize>(item: &Versioned<T>) -> Vec<u8> {
    // Serialization of strings and numbers cannot fail.
    serde_json::to_vec(&*item.value).unwrap_or_default()
}

impl fmt::Debug for StoreHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StoreHandle").field("store", &self.store).finish_non_exhaustive()
    }
}
