//! Operations on certificates.

use std::{fmt, sync::Arc};

use tokio::{sync::Semaphore, task::spawn_blocking};
use tower_mtls::certificate::{Clock, SystemClock};

use super::{
    CertificateEntry, CertificateUpload, CertificateUse, CertificateUses, ChangeError, EntryPurpose, Id,
    Precondition, RecordKind, RecordQuery, Store, StoreError,
    seal::Sealer,
    upload::UploadedCertificate,
    write_lock::{ATTEMPTS, WriteLock},
};

/// Maximum number of .pfx files decrypted at a time; each occupies one core.
const MAX_CONCURRENT_UPLOADS: usize = 2;

/// The certificates of the store.
pub(crate) struct Certificates {
    store: Arc<dyn Store>,
    sealer: Arc<Sealer>,
    write_lock: Arc<WriteLock>,
    uses: Box<dyn Fn() -> Arc<CertificateUses> + Send + Sync>,
    upload_slots: Semaphore,
}

/// A page of entries, and the number of all entries that match.
#[derive(Debug)]
pub(crate) struct Page {
    pub(crate) entries: Vec<CertificateEntry>,
    pub(crate) count: usize,
}

impl Certificates {
    pub(super) fn new(
        store: Arc<dyn Store>,
        sealer: Arc<Sealer>,
        write_lock: Arc<WriteLock>,
        uses: impl Fn() -> Arc<CertificateUses> + Send + Sync + 'static,
    ) -> Self {
        Self {
            store,
            sealer,
            write_lock,
            uses: Box::new(uses),
            upload_slots: Semaphore::new(MAX_CONCURRENT_UPLOADS),
        }
    }

    pub(crate) async fn get(&self, id: &Id) -> Result<Option<CertificateEntry>, ChangeError> {
        let record = self.store.get(CertificateEntry::key_of(id)).await?;
        Ok(record.map(|record| CertificateEntry::decode(&record).map_err(StoreError::new)).transpose()?)
    }

    /// Returns a page of the entries that match the filter, ordered by id: `top` after the first `skip`.
    pub(crate) async fn list(
        &self,
        filter: impl Fn(&CertificateEntry) -> bool + Send + 'static,
        skip: usize,
        top: usize,
    ) -> Result<Page, ChangeError> {
        let filter =
            Box::new(move |record: &_| CertificateEntry::decode(record).is_ok_and(|entry| filter(&entry)));
        let listing = self.store.list(RecordKind::Certificate, RecordQuery { filter, skip, top }).await?;
        let entries =
            listing.records.iter().filter_map(|record| CertificateEntry::decode(record).ok()).collect();
        Ok(Page { entries, count: listing.count })
    }

    /// Creates or replaces an entry; returns it, and true if it was created. Requests see it once this returns.
    pub(crate) async fn put(
        &self,
        id: &Id,
        upload: CertificateUpload,
        precondition: &Precondition,
    ) -> Result<(CertificateEntry, bool), ChangeError> {
        // Fails early, before the file is decrypted.
        precondition.check(self.get(id).await?.map(|current| current.revision))?;
        let UploadedCertificate { certificate, key } = self.open(upload).await?;
        let _guard = self.write_lock.lock().await;
        for _ in 0..ATTEMPTS {
            let store_revision = self.write_lock.applied_revision();
            let current = self.get(id).await?;
            let record = current.as_ref().map(|current| current.revision);
            precondition.check(record)?;
            let (now, key) = (SystemClock.now(), key.as_ref().map(|key| &***key));
            let sealed = CertificateEntry::new(id.clone(), certificate.clone(), key, now, &self.sealer);
            let mut entry = sealed.map_err(StoreError::new)?;
            if let Some(current) = &current {
                entry.created = current.created;
                check_replacement(&(self.uses)().broken_by(current, &entry), &entry)?;
            }
            let change = self.write_lock.change(
                CertificateEntry::key_of(id),
                Some(entry.encode()),
                record,
                store_revision,
            );
            if let Some(revision) = change.await? {
                entry.revision = revision;
                return Ok((entry, current.is_none()));
            }
        }
        Err(ChangeError::PreconditionFailed)
    }

    /// Removes an entry and returns it; None if it does not exist. Requests no longer see it once this returns.
    pub(crate) async fn delete(
        &self,
        id: &Id,
        precondition: &Precondition,
    ) -> Result<Option<CertificateEntry>, ChangeError> {
        let _guard = self.write_lock.lock().await;
        for _ in 0..ATTEMPTS {
            let store_revision = self.write_lock.applied_revision();
            let Some(current) = self.get(id).await? else { return Ok(None) };
            precondition.check(Some(current.revision))?;
            check_unused(&(self.uses)().of(&current))?;
            let record = Some(current.revision);
            let change = self.write_lock.change(CertificateEntry::key_of(id), None, record, store_revision);
            if change.await?.is_some() {
                return Ok(Some(current));
            }
        }
        Err(ChangeError::PreconditionFailed)
    }

    /// Returns the users of this entry.
    pub(crate) fn users(&self, entry: &CertificateEntry) -> Vec<String> {
        users(&(self.uses)().of(entry))
    }

    async fn open(&self, upload: CertificateUpload) -> Result<UploadedCertificate, ChangeError> {
        let _permit = self.upload_slots.acquire().await.map_err(StoreError::new)?;
        let opened = spawn_blocking(move || upload.open()).await;
        opened.map_err(StoreError::new)?.map_err(ChangeError::Upload)
    }
}

/// Rejects a replacement that breaks uses of the current entry.
fn check_replacement(
    broken_uses: &[&CertificateUse],
    replacement: &CertificateEntry,
) -> Result<(), ChangeError> {
    let reason = match replacement.purpose {
        EntryPurpose::Caller => "The new certificate has no private key.",
        EntryPurpose::Identity => "The new certificate has another thumbprint.",
    };
    match broken_uses {
        [] => Ok(()),
        uses => Err(ChangeError::BreaksUses { users: users(uses), reason }),
    }
}

/// Rejects the removal of an entry that is in use.
fn check_unused(uses: &[&CertificateUse]) -> Result<(), ChangeError> {
    match uses {
        [] => Ok(()),
        uses => Err(ChangeError::InUse(users(uses))),
    }
}

fn users(uses: &[&CertificateUse]) -> Vec<String> {
    uses.iter().map(|certificate_use| certificate_use.user.clone()).collect()
}

impl fmt::Debug for Certificates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Certificates").field("store", &self.store).finish_non_exhaustive()
    }
}
