//! What administrators do with APIs, backends and policies.

use std::{fmt, sync::Arc};

use tokio::{sync::MutexGuard, task::spawn_blocking};

use super::{
    Item, Published, Refusal, Revision, Settings, StoreError,
    settings::Value,
    write_lock::{ATTEMPTS, WriteLock},
};

/// Whether requests can be served by these settings, of which one item is changed.
type Judge = dyn Fn(&Settings, &Item) -> Result<(), Refusal> + Send + Sync;

/// What a change was made to, and what it made.
pub(crate) struct Changed {
    pub(crate) before: Arc<Settings>,
    pub(crate) after: Arc<Settings>,
}

/// APIs, backends and policies of the store.
pub(crate) struct Apis {
    write_lock: Arc<WriteLock>,
    published: Arc<Published>,
    judge: Arc<Judge>,
}

impl Apis {
    pub(super) fn new(
        write_lock: Arc<WriteLock>,
        published: Arc<Published>,
        judge: impl Fn(&Settings, &Item) -> Result<(), Refusal> + Send + Sync + 'static,
    ) -> Self {
        Self { write_lock, published, judge: Arc::new(judge) }
    }

    /// Keeps all changes waiting for as long as what is returned is kept: for whoever replaces what they are judged by.
    pub(crate) async fn pause(&self) -> MutexGuard<'_, ()> {
        self.write_lock.next().await
    }

    /// As requests see them.
    pub(crate) fn settings(&self) -> Arc<Settings> {
        self.published.settings().1
    }

    /// Changes one item, or removes it if `edit` returns none. `edit` is told what is there, and the tag of what it
    /// makes; it may be asked again. Requests see the change once this returns.
    ///
    /// # Errors
    ///
    /// Those of `edit`, and all that would break; nothing is changed then.
    pub(crate) async fn change(
        &self,
        item: &Item,
        edit: impl Fn(&Settings, Revision) -> Result<Option<Value>, Refusal> + Send + Sync,
    ) -> Result<Changed, Refusal> {
        let _turn = self.write_lock.next().await;
        for _ in 0..ATTEMPTS {
            let (seen, settings) = self.published.settings();
            let tag = seen + 1;
            let (next, written) = settings.with(item, edit(&settings, tag)?, tag);
            let (next, judge, judged) = (Arc::new(next), self.judge.clone(), item.clone());
            let proposed = next.clone();
            // Documents are compiled off the threads that serve.
            let verdict = spawn_blocking(move || judge(&proposed, &judged)).await;
            verdict.map_err(StoreError::new)??;
            let record = settings.revision_of(item);
            if self.write_lock.change(item.key(), written, record, seen).await?.is_some() {
                return Ok(Changed { before: settings, after: next });
            }
        }
        Err(Refusal::Changed)
    }
}

impl fmt::Debug for Apis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Apis").field("write_lock", &self.write_lock).finish_non_exhaustive()
    }
}
