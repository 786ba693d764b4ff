//! Certificate resources.

use axum::{
    body::Body,
    response::{IntoResponse, Response},
};
use http::{StatusCode, request::Parts};
use serde_json::{Value, json};
use tower_mtls::{
    apim::dotnet_name,
    certificate::{DistinguishedName, Thumbprint},
};

use super::{
    ApiError, ApiRequest,
    audit::Audit,
    body, etag,
    filter::{FilterFields, FilterValues},
    listing::ListQuery,
};
use crate::store::{CertificateEntry, EntryPurpose, Id};

static FIELDS: FilterFields =
    FilterFields { texts: &["name", "subject", "thumbprint"], has_expiration: true };

impl ApiRequest {
    pub(super) async fn list_certificates(&self, head: &Parts) -> Result<Response, ApiError> {
        let query = ListQuery::parse(head.uri.query(), &FIELDS)?;
        let (filter, only_failed) = (query.filter.clone(), query.only_failed);
        let matches = move |entry: &CertificateEntry| {
            !only_failed && filter.as_ref().is_none_or(|filter| filter.matches(&filter_values(entry)))
        };
        let page = self.certificates.list(matches, query.skip, query.top).await;
        let page = page.map_err(|error| ApiError::from_change(error, "the certificates"))?;
        let value = page.entries.iter().map(|entry| self.certificate_resource(entry)).collect();
        Ok(self.page(head.uri.path(), &query, value, page.count))
    }

    pub(super) async fn certificate(&self, id: &Id) -> Result<Response, ApiError> {
        let found = self
            .certificates
            .get(id)
            .await
            .map_err(|error| ApiError::from_change(error, &display_name(id)))?;
        let found =
            found.ok_or_else(|| ApiError::not_found(format!("The certificate '{id}' was not found.")))?;
        Ok(self.with_etag(StatusCode::OK, &found))
    }

    pub(super) async fn put_certificate(
        self,
        id: Id,
        head: &Parts,
        body: Body,
    ) -> Result<Response, ApiError> {
        let condition = etag::precondition_of_put(&head.headers)?;
        let audit = Audit::new("put", "certificate", head, &id);
        self.check_name_is_free(&id).inspect_err(|error| audit.rejected(error))?;
        let upload = body::upload(body).await.inspect_err(|error| audit.rejected(error))?;
        let done = self.complete(move |request| async move {
            // Checked again: the configuration can change while the body is received.
            request.check_name_is_free(&id).inspect_err(|error| audit.rejected(error))?;
            match request.certificates.put(&id, upload, &condition).await {
                Ok((entry, is_new)) => {
                    let outcome = if is_new { "created" } else { "replaced" };
                    audit.done(outcome, Some(entry.revision), Some(&entry));
                    let status = if is_new { StatusCode::CREATED } else { StatusCode::OK };
                    Ok(request.with_etag(status, &entry))
                }
                Err(error) => Err(audit.store_error(error, &display_name(&id))),
            }
        });
        done.await
    }

    pub(super) async fn delete_certificate(self, id: Id, head: &Parts) -> Result<Response, ApiError> {
        let condition = etag::required_if_match(&head.headers, "certificate")?;
        let audit = Audit::new("delete", "certificate", head, &id);
        let done = self.complete(move |request| async move {
            match request.certificates.delete(&id, &condition).await {
                Ok(None) => Ok(StatusCode::NO_CONTENT.into_response()),
                Ok(Some(entry)) => {
                    audit.done("deleted", None, Some(&entry));
                    Ok(StatusCode::OK.into_response())
                }
                Err(error) => Err(audit.store_error(error, &display_name(&id))),
            }
        });
        done.await
    }

    /// Rejects the name of an identity of the configuration file: policies refer to that one.
    fn check_name_is_free(&self, id: &Id) -> Result<(), ApiError> {
        if !self.routing.load().file.identities.contains_key(&**id) {
            return Ok(());
        }
        let message =
            format!("'{id}' is the name of an identity of the configuration file. Choose another id.");
        Err(ApiError::new(StatusCode::CONFLICT, "Conflict", message))
    }

    fn with_etag(&self, status: StatusCode, entry: &CertificateEntry) -> Response {
        super::with_etag(status, entry.revision, self.certificate_resource(entry))
    }

    /// Builds the resource of an entry, without its key and password.
    fn certificate_resource(&self, entry: &CertificateEntry) -> Value {
        let certificate = &entry.certificate;
        let validity = certificate.validity();
        // Azure's format.
        let date = |moment: tower_mtls::certificate::Timestamp| moment.to_string().replace('Z', "+00:00");
        let properties = json!({
            "subject": name(certificate.subject()),
                "thumbprint": hex(certificate.sha1_thumbprint()),
                "expirationDate": date(validity.not_after),
                // Not in Azure's API.
                "sha256Thumbprint": hex(certificate.sha256_thumbprint()),
                "issuer": name(certificate.issuer()),
                "notBefore": date(validity.not_before),
                "hasPrivateKey": entry.purpose == EntryPurpose::Identity,
                "usedBy": self.certificates.users(entry),
                "created": date(entry.created),
                "updated": date(entry.updated),
        });
        self.resource_json(&format!("/certificates/{}", entry.id), "certificates", &entry.id, properties)
    }
}

fn filter_values(entry: &CertificateEntry) -> FilterValues {
    let certificate = &entry.certificate;
    let texts = vec![entry.id.to_string(), name(certificate.subject()), hex(certificate.sha1_thumbprint())];
    FilterValues { texts, expiration: Some(certificate.validity().not_after) }
}

fn display_name(id: &Id) -> String {
    format!("the Certificate '{id}'")
}

/// Formats a name as .NET and Azure do.
fn name(name: &DistinguishedName) -> String {
    dotnet_name(name).unwrap_or_else(|| name.to_string())
}

/// Formats a thumbprint as Azure does: upper-case hex digits.
fn hex(thumbprint: Thumbprint) -> String {
    thumbprint.as_bytes().iter().map(|byte| format!("{byte:02X}")).collect()
}
