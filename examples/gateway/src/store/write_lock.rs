//! Serialization of changes. A change is based on the state that requests see, and returns once requests see it.

use std::{sync::Arc, time::Duration};

use tokio::{
    sync::{Mutex, MutexGuard, watch},
    time,
};

use super::{ChangeError, Conflict, Expected, RecordKey, Revision, Store, StoreError};

/// Maximum number of attempts of a change that conflicts with another process.
pub(super) const ATTEMPTS: usize = 100;

/// Maximum time until requests see a change.
const APPLY_TIMEOUT: Duration = Duration::from_secs(10);

/// Lock for changes of the store.
///
/// A change depends on other records too: a certificate can be deleted only if no record refers to it. It is therefore
/// written only if the revision of the store is the one that it was validated against. The lock prevents conflicts
/// within this process; the revision detects those with other processes.
#[derive(Debug)]
pub(super) struct WriteLock {
    store: Arc<dyn Store>,
    applied: watch::Receiver<Revision>,
    mutex: Mutex<()>,
}

impl WriteLock {
    pub(super) fn new(store: Arc<dyn Store>, applied: watch::Receiver<Revision>) -> Self {
        Self { store, applied, mutex: Mutex::new(()) }
    }

    /// Acquires the lock.
    pub(super) async fn lock(&self) -> MutexGuard<'_, ()> {
        self.mutex.lock().await
    }

    /// Returns the revision that requests see.
    pub(super) fn applied_revision(&self) -> Revision {
        *self.applied.borrow()
    }

    /// Writes or removes a record if the store is still at `store_revision`, else returns None.
    pub(super) async fn change(
        &self,
        key: RecordKey,
        value: Option<Vec<u8>>,
        record: Option<Revision>,
        store_revision: Revision,
    ) -> Result<Option<Revision>, ChangeError> {
        let expected = Expected { record, store: Some(store_revision) };
        let result = match value {
            Some(value) => self.store.put(key, value, expected),
            None => self.store.delete(key, expected),
        };
        match result.await? {
            Ok(revision) => {
                self.wait_until_applied(revision).await?;
                Ok(Some(revision))
            }
            Err(Conflict::Full) => Err(ChangeError::Full),
            Err(Conflict::Changed) => {
                self.wait_until_applied(store_revision + 1).await?;
                Ok(None)
            }
        }
    }

    /// Waits until requests see this change.
    async fn wait_until_applied(&self, revision: Revision) -> Result<(), ChangeError> {
        let mut applied = self.applied.clone();
        let applied = time::timeout(APPLY_TIMEOUT, applied.wait_for(|applied| *applied >= revision)).await;
        match applied {
            Ok(Ok(_)) => Ok(()),
            _ => Err(StoreError::new("the change is stored, but not applied yet").into()),
        }
    }
}
