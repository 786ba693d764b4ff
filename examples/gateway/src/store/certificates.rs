//! What administrators do with certificates, whichever way they ask.

use std::{fmt, sync::Arc};

use tokio::{sync::Semaphore, task::spawn_blocking};
use tower_mtls::{Clock, SystemClock};

use super::{
    Condition, Entry, Id, Kind, ListQuery, Purpose, Refusal, Store, StoreError, Upload, Use, Uses,
    seal::Sealer,
    upload::Material,
    write_lock::{ATTEMPTS, WriteLock},
};

/// How many .pfx files are opened at a time: each keeps a processor busy.
const OPENING: usize = 2;

/// The certificates of the store.
pub(crate) struct Certificates {
    store: Arc<dyn Store>,
    sealer: Arc<Sealer>,
    write_lock: Arc<WriteLock>,
    uses: Box<dyn Fn() -> Arc<Uses> + Send + Sync>,
    opening: Semaphore,
}

/// Some entries, and how many there are in all.
#[derive(Debug)]
pub(crate) struct Page {
    pub(crate) entries: Vec<Entry>,
    pub(crate) count: usize,
}

impl Certificates {
    pub(super) fn new(
        store: Arc<dyn Store>,
        sealer: Arc<Sealer>,
        write_lock: Arc<WriteLock>,
        uses: impl Fn() -> Arc<Uses> + Send + Sync + 'static,
    ) -> Self {
        Self { store, sealer, write_lock, uses: Box::new(uses), opening: Semaphore::new(OPENING) }
    }

    pub(crate) async fn get(&self, id: &Id) -> Result<Option<Entry>, Refusal> {
        let record = self.store.get(Entry::key_of(id)).await?;
        Ok(record.map(|record| Entry::decode(&record).map_err(StoreError::new)).transpose()?)
    }

    /// Those that the filter takes, `top` after the first `skip`, by id.
    pub(crate) async fn list(
        &self,
        filter: impl Fn(&Entry) -> bool + Send + 'static,
        skip: usize,
        top: usize,
    ) -> Result<Page, Refusal> {
        let filter = Box::new(move |record: &_| Entry::decode(record).is_ok_and(|entry| filter(&entry)));
        let found = self.store.list(Kind::Certificate, ListQuery { filter, skip, top }).await?;
        let entries = found.records.iter().filter_map(|record| Entry::decode(record).ok()).collect();
        Ok(Page { entries, count: found.count })
    }

    /// Makes or replaces an entry; whether it was made. Requests see it once this returns.
    pub(crate) async fn put(
        &self,
        id: &Id,
        upload: Upload,
        condition: &Condition,
    ) -> Result<(Entry, bool), Refusal> {
        // Nobody waits for a file to be opened that cannot be taken anyway.
        condition.check(self.get(id).await?.map(|present| present.revision))?;
        let Material { certificate, key } = self.open(upload).await?;
        let _turn = self.write_lock.next().await;
        for _ in 0..ATTEMPTS {
            let seen = self.write_lock.seen();
            let present = self.get(id).await?;
            let record = present.as_ref().map(|present| present.revision);
            condition.check(record)?;
            let (now, key) = (SystemClock.now(), key.as_ref().map(|key| &***key));
            let sealed = Entry::new(id.clone(), certificate.clone(), key, now, &self.sealer);
            let mut entry = sealed.map_err(StoreError::new)?;
            if let Some(present) = &present {
                entry.created = present.created;
                refuse_to_break(&(self.uses)().broken_by(present, &entry), &entry)?;
            }
            let written =
                self.write_lock.change(Entry::key_of(id), Some(entry.encode()), record, seen).await?;
            if let Some(revision) = written {
                entry.revision = revision;
                return Ok((entry, present.is_none()));
            }
        }
        Err(Refusal::Changed)
    }

    /// Removes an entry, if it is there; requests see it no longer once this returns.
    pub(crate) async fn delete(&self, id: &Id, condition: &Condition) -> Result<Option<Entry>, Refusal> {
        let _turn = self.write_lock.next().await;
        for _ in 0..ATTEMPTS {
            let seen = self.write_lock.seen();
            let Some(present) = self.get(id).await? else { return Ok(None) };
            condition.check(Some(present.revision))?;
            refuse_if_any(&(self.uses)().of(&present))?;
            let done = self.write_lock.change(Entry::key_of(id), None, Some(present.revision), seen).await?;
            if done.is_some() {
                return Ok(Some(present));
            }
        }
        Err(Refusal::Changed)
    }

    /// Who uses this entry.
    pub(crate) fn users(&self, entry: &Entry) -> Vec<String> {
        (self.uses)().of(entry).iter().map(|one| one.by.clone()).collect()
    }

    async fn open(&self, upload: Upload) -> Result<Material, Refusal> {
        let _turn = self.opening.acquire().await.map_err(StoreError::new)?;
        let opened = spawn_blocking(move || upload.open()).await;
        opened.map_err(StoreError::new)?.map_err(Refusal::Unusable)
    }
}

fn refuse_to_break(uses: &[&Use], next: &Entry) -> Result<(), Refusal> {
    let users: Vec<_> = uses.iter().map(|one| one.by.clone()).collect();
    let why = match next.purpose {
        Purpose::Caller => "The new certificate has no private key.",
        Purpose::Identity => "The new certificate has another thumbprint.",
    };
    if users.is_empty() { Ok(()) } else { Err(Refusal::Needed { users, why }) }
}

fn refuse_if_any(uses: &[&Use]) -> Result<(), Refusal> {
    match uses {
        [] => Ok(()),
        uses => Err(Refusal::InUse(uses.iter().map(|one| one.by.clone()).collect())),
    }
}

impl fmt::Debug for Certificates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Certificates").field("store", &self.store).finish_non_exhaustive()
    }
}
