//! Operations on certificates.

use tokio::task::spawn_blocking;
use tower_mtls::certificate::{Clock, SystemClock};

use super::{
    CertificateEntry, CertificateUpload, ChangeError, Id, Precondition, ProposedChange, RecordKind,
    RecordQuery, StoreError, StoreHandle, Stored, handle::ATTEMPTS, upload::UploadedCertificate,
};

/// A page of entries, and the number of all entries that match.
#[derive(Debug)]
pub(crate) struct Page {
    pub(crate) entries: Vec<CertificateEntry>,
    pub(crate) count: usize,
}

impl StoreHandle {
    pub(crate) async fn certificate(&self, id: &Id) -> Result<Option<CertificateEntry>, ChangeError> {
        let record = self.store.get(CertificateEntry::key_of(id)).await?;
        Ok(record.map(|record| CertificateEntry::decode(&record).map_err(StoreError::new)).transpose()?)
    }

    /// Returns a page of the entries that match the filter, ordered by id: `top` after the first `skip`.
    pub(crate) async fn certificates(
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

    /// Creates or replaces an entry; returns it, and true if it was created.
    pub(crate) async fn put_certificate(
        &self,
        id: &Id,
        upload: CertificateUpload,
        precondition: &Precondition,
    ) -> Result<Stored<(CertificateEntry, bool)>, ChangeError> {
        // Fails early, before the file is decrypted.
        precondition.check(self.certificate(id).await?.map(|current| current.revision))?;
        let UploadedCertificate { certificate, key } = self.open(upload).await?;
        let lock = self.lock().await;
        for _ in 0..ATTEMPTS {
            let base = self.snapshot().revision;
            let current = self.certificate(id).await?;
            let (record, is_new) = (current.as_ref().map(|current| current.revision), current.is_none());
            precondition.check(record)?;
            let (now, key) = (SystemClock.now(), key.as_ref().map(|key| &***key));
            let sealed = CertificateEntry::new(id.clone(), certificate.clone(), key, now, &self.sealer);
            let mut entry = sealed.map_err(StoreError::new)?;
            if let Some(current) = current {
                entry.created = current.created;
                let change = ProposedChange::Certificate { current, replacement: Some(entry.clone()) };
                self.validate(change, base).await?;
            }
            let key = CertificateEntry::key_of(id);
            if let Some(revision) = self.write(key, Some(entry.encode()), record, base).await? {
                entry.revision = revision;
                return Ok(Stored::new((entry, is_new), revision, lock));
            }
        }
        Err(ChangeError::PreconditionFailed)
    }

    /// Removes an entry and returns it.
    pub(crate) async fn delete_certificate(
        &self,
        id: &Id,
        precondition: &Precondition,
    ) -> Result<Stored<CertificateEntry>, ChangeError> {
        let lock = self.lock().await;
        for _ in 0..ATTEMPTS {
            let base = self.snapshot().revision;
            let current = self.certificate(id).await?.ok_or(ChangeError::Absent)?;
            let record = Some(current.revision);
            precondition.check(record)?;
            let change = ProposedChange::Certificate { current: current.clone(), replacement: None };
            self.validate(change, base).await?;
            if let Some(revision) = self.write(CertificateEntry::key_of(id), None, record, base).await? {
                return Ok(Stored::new(current, revision, lock));
            }
        }
        Err(ChangeError::PreconditionFailed)
    }

    async fn open(&self, upload: CertificateUpload) -> Result<UploadedCertificate, ChangeError> {
        let _permit = self.upload_slots.acquire().await.map_err(StoreError::new)?;
        let opened = spawn_blocking(move || upload.open()).await;
        opened.map_err(StoreError::new)?.map_err(ChangeError::Upload)
    }
}
