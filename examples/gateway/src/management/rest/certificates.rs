//! Certificate resources.

use axum::body::Body;
use http::StatusCode;
use serde_json::{Value, json};
use tower_mtls::certificate::{DistinguishedName, Timestamp};

use super::{
    ApiError, body,
    filter::{FilterFields, FilterValues},
    listing::ListQuery,
    path::ResourcePath,
    request::{FromPath, RequestContext},
    resource::{Collection, Resource, Storage},
};
use crate::store::{
    CertificateEntry, CertificateUpload, ChangeError, EntryPurpose, Id, Precondition, Revision, Stored,
};

/// A certificate.
pub(super) struct CertificateResource(Id);

impl FromPath for CertificateResource {
    fn from_path(path: &ResourcePath) -> Result<Self, ApiError> {
        path.id("certificate").map(Self)
    }
}

impl Resource for CertificateResource {
    const KIND: &'static str = "certificate";
    const NOUN: &'static str = "certificate";

    type Input = CertificateUpload;
    type Value = CertificateEntry;

    fn id(&self) -> &str {
        &self.0
    }

    fn title(&self) -> String {
        format!("the Certificate '{}'", self.0)
    }

    /// Rejects the name of an identity of the configuration file: policies refer to that one.
    fn check_change(&self, context: &RequestContext, is_deletion: bool) -> Result<(), ApiError> {
        let Self(id) = self;
        if is_deletion || !context.routing.load().file.identities.contains_key(&**id) {
            return Ok(());
        }
        let message =
            format!("'{id}' is the name of an identity of the configuration file. Choose another id.");
        Err(ApiError::new(StatusCode::CONFLICT, "Conflict", message))
    }

    async fn read(body: Body, _: bool) -> Result<CertificateUpload, ApiError> {
        body::upload(body).await
    }

    async fn find(&self, context: &RequestContext, _: Option<&str>) -> Result<CertificateEntry, ApiError> {
        let found = context.store.certificate(&self.0).await;
        let found = found.map_err(|error| ApiError::from_change(error, &self.title()))?;
        found.ok_or_else(|| ApiError::not_found(format!("The certificate '{}' was not found.", self.0)))
    }

    fn tag(entry: &CertificateEntry) -> Revision {
        entry.revision
    }

    fn print(&self, context: &RequestContext, entry: &CertificateEntry) -> Result<Value, ApiError> {
        Ok(resource(context, entry))
    }

    fn certificate(entry: &CertificateEntry) -> Option<&CertificateEntry> {
        Some(entry)
    }
}

impl Storage for CertificateResource {
    async fn put(
        &self,
        context: &RequestContext,
        upload: CertificateUpload,
        condition: &Precondition,
        _: bool,
    ) -> Result<Stored<(CertificateEntry, bool)>, ChangeError> {
        context.store.put_certificate(&self.0, upload, condition).await
    }

    async fn delete(
        &self,
        context: &RequestContext,
        condition: &Precondition,
    ) -> Result<Stored<Option<CertificateEntry>>, ChangeError> {
        Ok(context.store.delete_certificate(&self.0, condition).await?.map(Some))
    }
}

impl Collection for CertificateResource {
    const FIELDS: &'static FilterFields =
        &FilterFields { texts: &["name", "subject", "thumbprint"], has_expiration: true };

    async fn page(context: &RequestContext, query: &ListQuery) -> Result<(Vec<Value>, usize), ApiError> {
        let (filter, only_failed) = (query.filter.clone(), query.only_failed);
        let matches = move |entry: &CertificateEntry| {
            !only_failed && filter.as_ref().is_none_or(|filter| filter.matches(&filter_values(entry)))
        };
        let page = context.store.certificates(matches, query.skip, query.top).await;
        let page = page.map_err(|error| ApiError::from_change(error, "the certificates"))?;
        Ok((page.entries.iter().map(|entry| resource(context, entry)).collect(), page.count))
    }
}

/// Builds the resource of an entry, without its key and password.
fn resource(context: &RequestContext, entry: &CertificateEntry) -> Value {
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
        "usedBy": context.routing.load().uses.users(entry),
        "created": date(entry.created),
        "updated": date(entry.updated),
    });
    context.resource("certificates", &entry.id, properties)
}

fn filter_values(entry: &CertificateEntry) -> FilterValues {
    let certificate = &entry.certificate;
    let (subject, thumbprint) = (name(certificate.subject()), certificate.sha1_thumbprint().to_string());
    let texts = vec![entry.id.to_string(), subject, thumbprint];
    FilterValues { texts, expiration: Some(certificate.validity().not_after) }
}

/// Formats a name as .NET and Azure do.
fn name(name: &DistinguishedName) -> String {
    name.dotnet().unwrap_or_else(|| name.to_string())
}
