//! Certificate resources.

use std::sync::Arc;

use http::StatusCode;
use serde_json::{Value, json};
use tower_mtls::certificate::{DistinguishedName, Timestamp};

use super::{
    ApiError, body,
    filter::{FilterFields, FilterValues},
    listing::ListQuery,
    request::ApiRequest,
    resource::{Change, Collection, Edited, Resource},
};
use crate::store::{CertificateEntry, EntryPurpose, Id, Item, Revision, Settings, UploadedCertificate};

/// A certificate.
pub(super) struct CertificateResource(Id);

impl Resource for CertificateResource {
    const NOUN: &'static str = "certificate";

    type Input = UploadedCertificate;
    type Value = Arc<CertificateEntry>;

    fn new(id: Option<Id>) -> Option<Self> {
        id.map(Self)
    }

    fn item(&self) -> Item {
        Item::Certificate(self.0.clone())
    }

    fn value(&self, settings: &Settings) -> Option<Arc<CertificateEntry>> {
        settings.certificates.get(&self.0).map(|stored| stored.value.clone())
    }

    fn tag(entry: &Arc<CertificateEntry>) -> Revision {
        entry.revision
    }

    /// Builds the resource of an entry, without its key and password.
    fn print(request: &ApiRequest, id: &str, entry: &Arc<CertificateEntry>) -> Result<Value, ApiError> {
        let certificate = &entry.certificate;
        let validity = certificate.validity();
        // Azure's format.
        let date = |moment: Timestamp| moment.to_string().replace('Z', "+00:00");
        let properties = json!({
            "subject": name(certificate.subject()),
            "thumbprint": certificate.sha1_thumbprint().to_string(),
            "expirationDate": date(validity.not_after),
            // Not in Azure's API.
            "sha256Thumbprint": certificate.sha256_thumbprint().to_string(),
            "issuer": name(certificate.issuer()),
            "notBefore": date(validity.not_before),
            "hasPrivateKey": entry.purpose == EntryPurpose::Identity,
            "usedBy": request.routing.load().uses.users(entry),
            "created": date(entry.created),
            "updated": date(entry.updated),
        });
        Ok(request.resource(&format!("/certificates/{id}"), "certificates", id, properties))
    }

    async fn read(&self, change: &Change, body: &[u8]) -> Result<UploadedCertificate, ApiError> {
        let upload = body::upload(body)?;
        let rejected = |error| ApiError::from_change(error, &Self::title(&self.0));
        // Fails early, before the file is decrypted.
        let current = self.value(&change.request.settings());
        change.condition.check(current.map(|current| current.revision)).map_err(rejected)?;
        change.request.store.open_upload(upload).await.map_err(rejected)
    }

    fn put(
        &self,
        change: &Change,
        input: &UploadedCertificate,
        settings: &mut Settings,
        tag: Revision,
    ) -> Edited {
        change.request.store.put_certificate(settings, &self.0, input, tag)
    }

    fn remove(&self, settings: &mut Settings, _: Revision) -> Edited {
        settings.certificates.remove(&self.0);
        Ok(())
    }

    /// Rejects the name of an identity of the configuration file: policies refer to that one.
    fn check_change(&self, request: &ApiRequest, is_deletion: bool) -> Result<(), ApiError> {
        let Self(id) = self;
        if is_deletion || !request.routing.load().file.identities.contains_key(&**id) {
            return Ok(());
        }
        let message =
            format!("'{id}' is the name of an identity of the configuration file. Choose another id.");
        Err(ApiError::new(StatusCode::CONFLICT, "Conflict", message))
    }

    fn certificate(entry: &Arc<CertificateEntry>) -> Option<&CertificateEntry> {
        Some(entry)
    }
}

impl Collection for CertificateResource {
    const FIELDS: &'static FilterFields =
        &FilterFields { texts: &["name", "subject", "thumbprint"], has_expiration: true };

    fn all(request: &ApiRequest, query: &ListQuery) -> Vec<(String, Arc<CertificateEntry>)> {
        let settings = request.settings();
        let all = settings.certificates.iter().filter(|_| !query.only_failed);
        all.map(|(id, stored)| (id.to_string(), stored.value.clone())).collect()
    }

    fn filter_values(id: &str, entry: &Arc<CertificateEntry>) -> FilterValues {
        let certificate = &entry.certificate;
        let (subject, thumbprint) = (name(certificate.subject()), certificate.sha1_thumbprint().to_string());
        let expiration = Some(certificate.validity().not_after);
        FilterValues { texts: vec![id.to_owned(), subject, thumbprint], expiration }
    }
}

/// Formats a name as .NET and Azure do.
fn name(name: &DistinguishedName) -> String {
    name.dotnet().unwrap_or_else(|| name.to_string())
}
