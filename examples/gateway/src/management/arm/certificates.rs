//! Certificates as resources.

use axum::{
    body::Body,
    response::{IntoResponse, Response},
};
use http::{StatusCode, request::Parts};
use serde_json::{Value, json};
use tower_mtls::{DistinguishedName, Thumbprint};

use super::{
    ApiRequest, Problem,
    audit::Audit,
    body, etag,
    filter::{Facts, Fields},
    listing::ListQuery,
};
use crate::store::{Entry, EntryPurpose, Id};

static FIELDS: Fields = Fields { texts: &["name", "subject", "thumbprint"], expire: true };

impl ApiRequest {
    pub(super) async fn list_certificates(&self, head: &Parts) -> Result<Response, Problem> {
        let wanted = ListQuery::parse(head.uri.query(), &FIELDS)?;
        let (filter, only_failed) = (wanted.filter.clone(), wanted.only_failed);
        let takes = move |entry: &Entry| {
            !only_failed && filter.as_ref().is_none_or(|filter| filter.takes(&facts(entry)))
        };
        let page = self.certificates.list(takes, wanted.skip, wanted.top).await;
        let page = page.map_err(|refusal| Problem::of(refusal, "the certificates"))?;
        let value = page.entries.iter().map(|entry| self.certificate_resource(entry)).collect();
        Ok(self.page(head.uri.path(), &wanted, value, page.count))
    }

    pub(super) async fn certificate(&self, id: &Id) -> Result<Response, Problem> {
        let found = self.certificates.get(id).await.map_err(|refusal| Problem::of(refusal, &named(id)))?;
        let found = found.ok_or_else(|| Problem::not_found(format!("There is no certificate '{id}'.")))?;
        Ok(self.tagged(StatusCode::OK, &found))
    }

    pub(super) async fn put_certificate(self, id: Id, head: &Parts, body: Body) -> Result<Response, Problem> {
        let condition = etag::condition_to_put(&head.headers)?;
        let audit = Audit::new("put", "certificate", head, &id);
        self.refuse_name_of_file(&id).inspect_err(|problem| audit.refused(problem))?;
        let upload = body::upload(body).await.inspect_err(|problem| audit.refused(problem))?;
        let done = self.complete(move |asked| async move {
            // It may have come into the file while the body was on its way.
            asked.refuse_name_of_file(&id).inspect_err(|problem| audit.refused(problem))?;
            match asked.certificates.put(&id, upload, &condition).await {
                Ok((entry, is_new)) => {
                    let outcome = if is_new { "created" } else { "replaced" };
                    audit.done(outcome, Some(entry.revision), Some(&entry));
                    let status = if is_new { StatusCode::CREATED } else { StatusCode::OK };
                    Ok(asked.tagged(status, &entry))
                }
                Err(refusal) => Err(audit.refusal(refusal, &named(&id))),
            }
        });
        done.await
    }

    pub(super) async fn delete_certificate(self, id: Id, head: &Parts) -> Result<Response, Problem> {
        let condition = etag::condition_to_delete(&head.headers, "certificate")?;
        let audit = Audit::new("delete", "certificate", head, &id);
        let done = self.complete(move |asked| async move {
            match asked.certificates.delete(&id, &condition).await {
                Ok(None) => Ok(StatusCode::NO_CONTENT.into_response()),
                Ok(Some(entry)) => {
                    audit.done("deleted", None, Some(&entry));
                    Ok(StatusCode::OK.into_response())
                }
                Err(refusal) => Err(audit.refusal(refusal, &named(&id))),
            }
        });
        done.await
    }

    /// What the file's own identities are called by means them, and is not taken from them by an upload.
    fn refuse_name_of_file(&self, id: &Id) -> Result<(), Problem> {
        if !self.site.load().file.identities.contains_key(&**id) {
            return Ok(());
        }
        let message = format!(
            "'{id}' is the name of an identity of the configuration file, by which policies may mean it: choose another id."
        );
        Err(Problem::new(StatusCode::CONFLICT, "Conflict", message))
    }

    fn tagged(&self, status: StatusCode, entry: &Entry) -> Response {
        super::tagged(status, entry.revision, self.certificate_resource(entry))
    }

    /// What is told of an entry: neither its key nor the password that it came with.
    fn certificate_resource(&self, entry: &Entry) -> Value {
        let certificate = &entry.certificate;
        let validity = certificate.validity();
        // As Azure writes it.
        let date = |moment: tower_mtls::Timestamp| moment.to_string().replace('Z', "+00:00");
        let properties = json!({
            "subject": name(certificate.subject()),
                "thumbprint": hex(certificate.sha1_thumbprint()),
                "expirationDate": date(validity.not_after),
                // More than Azure tells.
                "sha256Thumbprint": hex(certificate.sha256_thumbprint()),
                "issuer": name(certificate.issuer()),
                "notBefore": date(validity.not_before),
                "hasPrivateKey": entry.purpose == EntryPurpose::Identity,
                "usedBy": self.certificates.users(entry),
                "created": date(entry.created),
                "updated": date(entry.updated),
        });
        self.named(&format!("/certificates/{}", entry.id), "certificates", &entry.id, properties)
    }
}

fn facts(entry: &Entry) -> Facts {
    let certificate = &entry.certificate;
    let texts = vec![entry.id.to_string(), name(certificate.subject()), hex(certificate.sha1_thumbprint())];
    Facts { texts, expiration: Some(certificate.validity().not_after) }
}

fn named(id: &Id) -> String {
    format!("the Certificate '{id}'")
}

/// As .NET prints it, and so Azure.
fn name(name: &DistinguishedName) -> String {
    name.dotnet().unwrap_or_else(|| name.to_string())
}

/// Digits alone, in capitals, as Azure writes a thumbprint.
fn hex(thumbprint: Thumbprint) -> String {
    thumbprint.as_bytes().iter().map(|octet| format!("{octet:02X}")).collect()
}
