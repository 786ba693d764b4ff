//! One change after the other, each made to what requests see, and answered once they see it.

use std::{sync::Arc, time::Duration};

use tokio::{
    sync::{Mutex, MutexGuard, watch},
    time,
};

use super::{Conflict, Expected, Key, Refusal, Revision, Store, StoreError};

/// How often a change is tried again when somebody else was faster.
pub(super) const ATTEMPTS: usize = 100;

/// How long a change may take from the store to the requests.
const EFFECTIVE: Duration = Duration::from_secs(10);

/// Who may change the store next.
///
/// A change depends on more than its own record: whether a certificate may go is a matter of all that refers to it. So
/// it is written only if nothing at all was changed since it was judged. The turn keeps this process from disturbing
/// itself; another process that writes is seen by the revision.
#[derive(Debug)]
pub(super) struct WriteLock {
    store: Arc<dyn Store>,
    applied: watch::Receiver<Revision>,
    turn: Mutex<()>,
}

impl WriteLock {
    pub(super) fn new(store: Arc<dyn Store>, applied: watch::Receiver<Revision>) -> Self {
        Self { store, applied, turn: Mutex::new(()) }
    }

    /// Waits for a turn, which lasts as long as what is returned is kept.
    pub(super) async fn next(&self) -> MutexGuard<'_, ()> {
        self.turn.lock().await
    }

    /// The last change that requests see.
    pub(super) fn seen(&self) -> Revision {
        *self.applied.borrow()
    }

    /// Writes a record, or removes it, as judged by what was `seen`; None if that is not so any more.
    pub(super) async fn change(
        &self,
        key: Key,
        value: Option<Vec<u8>>,
        record: Option<Revision>,
        seen: Revision,
    ) -> Result<Option<Revision>, Refusal> {
        let expected = Expected { record, store: Some(seen) };
        let done = match value {
            Some(value) => self.store.put(key, value, expected),
            None => self.store.delete(key, expected),
        };
        match done.await? {
            Ok(revision) => {
                self.effective(revision).await?;
                Ok(Some(revision))
            }
            Err(Conflict::Full) => Err(Refusal::Full),
            Err(Conflict::Changed) => {
                self.effective(seen + 1).await?;
                Ok(None)
            }
        }
    }

    /// Waits until requests see this change.
    async fn effective(&self, revision: Revision) -> Result<(), Refusal> {
        let mut applied = self.applied.clone();
        let seen = time::timeout(EFFECTIVE, applied.wait_for(|applied| *applied >= revision)).await;
        match seen {
            Ok(Ok(_)) => Ok(()),
            _ => Err(StoreError::new("the change is stored, but not served yet").into()),
        }
    }
}
