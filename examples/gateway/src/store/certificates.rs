//! Upload of certificates.

use tokio::task::spawn_blocking;
use tower_mtls::certificate::{Clock, SystemClock};

use super::{
    CertificateEntry, CertificateUpload, ChangeError, Id, Revision, Settings, StoreError, StoreHandle,
    UploadedCertificate, Versioned,
};

impl StoreHandle {
    /// Reads an upload: decrypts a .pfx file.
    pub(crate) async fn open_upload(
        &self,
        upload: CertificateUpload,
    ) -> Result<UploadedCertificate, ChangeError> {
        let _permit = self.upload_slots.acquire().await.map_err(StoreError::new)?;
        let opened = spawn_blocking(move || upload.open()).await;
        opened.map_err(StoreError::new)?.map_err(ChangeError::Upload)
    }

    /// Creates or replaces an entry of the settings, with its key sealed.
    pub(crate) fn put_certificate(
        &self,
        settings: &mut Settings,
        id: &Id,
        uploaded: &UploadedCertificate,
        revision: Revision,
    ) -> Result<(), ChangeError> {
        let entry = CertificateEntry::new(id, uploaded, SystemClock.now(), revision, &self.sealer);
        let mut entry = entry.map_err(StoreError::new)?;
        if let Some(current) = settings.certificates.get(id) {
            entry.created = current.value.created;
        }
        settings.certificates.insert(id.clone(), Versioned::new(revision, entry));
        Ok(())
    }
}
