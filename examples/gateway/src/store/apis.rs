//! Operations on APIs, backends and policies.

use std::{fmt, sync::Arc};

use tokio::{sync::MutexGuard, task::spawn_blocking};

use super::{
    ChangeError, CurrentStore, Item, Revision, Settings, StoreError,
    settings::ItemValue,
    write_lock::{ATTEMPTS, WriteLock},
};

/// Checks that requests can be served with these settings, of which one item is changed.
type Validator = dyn Fn(&Settings, &Item) -> Result<(), ChangeError> + Send + Sync;

/// Settings before and after a change.
pub(crate) struct AppliedChange {
    pub(crate) before: Arc<Settings>,
    pub(crate) after: Arc<Settings>,
}

/// APIs, backends and policies of the store.
pub(crate) struct Apis {
    write_lock: Arc<WriteLock>,
    published: Arc<CurrentStore>,
    validate: Arc<Validator>,
}

impl Apis {
    pub(super) fn new(
        write_lock: Arc<WriteLock>,
        published: Arc<CurrentStore>,
        validate: impl Fn(&Settings, &Item) -> Result<(), ChangeError> + Send + Sync + 'static,
    ) -> Self {
        Self { write_lock, published, validate: Arc::new(validate) }
    }

    /// Blocks all changes until the guard is dropped. For use while the configuration that validates them is replaced.
    pub(crate) async fn pause(&self) -> MutexGuard<'_, ()> {
        self.write_lock.lock().await
    }

    /// Returns the settings that requests see.
    pub(crate) fn settings(&self) -> Arc<Settings> {
        self.published.settings().1
    }

    /// Changes one item, or removes it if `edit` returns None. `edit` receives the current settings and the tag of the
    /// new value; it can be called again after a conflict. Requests see the change once this returns.
    ///
    /// # Errors
    ///
    /// The error of `edit`, or the reasons why requests could not be served afterwards. Nothing is changed then.
    pub(crate) async fn change(
        &self,
        item: &Item,
        edit: impl Fn(&Settings, Revision) -> Result<Option<ItemValue>, ChangeError> + Send + Sync,
    ) -> Result<AppliedChange, ChangeError> {
        let _guard = self.write_lock.lock().await;
        for _ in 0..ATTEMPTS {
            let (revision, settings) = self.published.settings();
            let tag = revision + 1;
            let (next, encoded) = settings.with(item, edit(&settings, tag)?, tag);
            let (next, validate, changed_item) = (Arc::new(next), self.validate.clone(), item.clone());
            let proposed = next.clone();
            // Compiling documents blocks: not on a runtime thread.
            let validated = spawn_blocking(move || validate(&proposed, &changed_item)).await;
            validated.map_err(StoreError::new)??;
            let record = settings.revision_of(item);
            if self.write_lock.change(item.key(), encoded, record, revision).await?.is_some() {
                return Ok(AppliedChange { before: settings, after: next });
            }
        }
        Err(ChangeError::PreconditionFailed)
    }
}

impl fmt::Debug for Apis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Apis").field("write_lock", &self.write_lock).finish_non_exhaustive()
    }
}
