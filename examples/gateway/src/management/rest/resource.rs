//! The operations that all resources share: list, get, put, patch and delete, with bounded bodies, ETags and the audit
//! log.

use std::time::Duration;

use axum::{
    Json,
    body::Body,
    response::{IntoResponse, Response},
};
use http::{StatusCode, header};
use http_body_util::BodyExt;
use serde_json::Value;
use tokio::time;
use zeroize::Zeroizing;

use super::{
    ApiError,
    audit::Audit,
    error::capitalize,
    etag,
    filter::{FilterFields, FilterValues},
    listing::ListQuery,
    path,
    request::ApiRequest,
};
use crate::{
    file,
    store::{CertificateEntry, ChangeError, Id, Item, Precondition, Revision, Settings},
};

/// Maximum size of a body in bytes: a .pfx file of 1 MiB, the maximum, in base64 and JSON.
pub(super) const MAX_SIZE: usize = 1536 * 1024;

/// Maximum number of bytes that are read and discarded of a larger body: many clients send it completely before they
/// read the response.
const MAX_DISCARDED: usize = 8 * MAX_SIZE;

/// Maximum time for receiving a body.
const READ_TIMEOUT: Duration = Duration::from_secs(30);

/// A kind of resource. A value identifies one resource.
pub(super) trait Resource: Sized + Send + Sync + 'static {
    /// Name in messages and, in lower case, in the audit log.
    const NOUN: &'static str;
    /// Status of a completed deletion.
    const DELETED: StatusCode = StatusCode::OK;

    /// Validated properties of a request.
    type Input: Send + Sync;
    /// A stored value.
    type Value: Send + Sync;

    /// Identifies the resource by the id in its path.
    fn new(id: Option<Id>) -> Option<Self>;

    /// Returns the item of the store that contains the value.
    fn item(&self) -> Item;

    /// Returns the value in these settings.
    fn value(&self, settings: &Settings) -> Option<Self::Value>;

    /// Returns the revision that the ETag contains.
    fn tag(value: &Self::Value) -> Revision;

    /// Builds the resource.
    fn print(request: &ApiRequest, id: &str, value: &Self::Value) -> Result<Value, ApiError>;

    /// Reads and validates the properties in a body.
    fn read(
        &self,
        change: &ChangeRequest,
        body: &[u8],
    ) -> impl Future<Output = Result<Self::Input, ApiError>> + Send;

    /// Sets the value. A partial update is based on the current value.
    fn put(&self, change: &ChangeRequest, input: &Self::Input, settings: &mut Settings) -> EditResult;

    /// Removes the value.
    fn remove(&self, settings: &mut Settings) -> EditResult;

    /// Returns the name in messages about rejected changes.
    fn title(id: &str) -> String {
        format!("the {} '{id}'", capitalize(Self::NOUN))
    }

    /// Returns the current value for a read.
    fn find(&self, request: &ApiRequest) -> Result<Self::Value, ApiError> {
        let missing = || format!("The {} '{}' was not found.", Self::NOUN, id(request));
        self.value(&request.settings()).ok_or_else(|| ApiError::not_found(missing()))
    }

    /// Checks that the resource can be changed through this API.
    fn check_change(&self, _: &ApiRequest, _is_deletion: bool) -> Result<(), ApiError> {
        Ok(())
    }

    /// Returns the certificate in the audit log.
    fn certificate(_: &Self::Value) -> Option<&CertificateEntry> {
        None
    }

    /// Logs a warning about a changed value, if necessary.
    fn warn(&self, _: &Self::Value) {}
}

/// A request to create, replace or update a resource.
pub(super) struct ChangeRequest {
    pub(super) request: ApiRequest,
    pub(super) condition: Precondition,
    /// True for a complete resource, false for a partial update.
    pub(super) is_whole: bool,
}

/// Result of an edit of the settings.
pub(super) type EditResult = Result<(), ChangeError>;

/// A kind of resource that is listed with filters and pages.
pub(super) trait Collection: Resource {
    const FIELDS: &'static FilterFields;

    /// Returns all values with their ids.
    fn all(request: &ApiRequest, query: &ListQuery) -> Vec<(String, Self::Value)>;

    /// Returns the values of the fields.
    fn filter_values(id: &str, value: &Self::Value) -> FilterValues;
}

pub(super) async fn list<R: Collection>(request: ApiRequest) -> Result<Response, ApiError> {
    let query = ListQuery::parse(request.head.uri.query(), R::FIELDS)?;
    let mut found = R::all(&request, &query);
    if let Some(filter) = &query.filter {
        found.retain(|(id, value)| filter.matches(&R::filter_values(id, value)));
    }
    let page = found.iter().skip(query.skip).take(query.top);
    let page = page.map(|(id, value)| R::print(&request, id, value)).collect::<Result<_, _>>()?;
    Ok(request.page(&query, page, found.len()))
}

pub(super) async fn get<R: Resource>(request: ApiRequest) -> Result<Response, ApiError> {
    let value = resource::<R>(&request)?.find(&request)?;
    respond::<R>(StatusCode::OK, &request, &value)
}

pub(super) async fn put<R: Resource>(request: ApiRequest, body: Body) -> Result<Response, ApiError> {
    let condition = etag::precondition_of_put(&request.head.headers)?;
    change::<R>(ChangeRequest { request, condition, is_whole: true }, body, "put").await
}

pub(super) async fn patch<R: Resource>(request: ApiRequest, body: Body) -> Result<Response, ApiError> {
    let condition = etag::required_if_match(&request.head.headers, R::NOUN)?;
    change::<R>(ChangeRequest { request, condition, is_whole: false }, body, "patch").await
}

async fn change<R: Resource>(
    change: ChangeRequest,
    body: Body,
    action: &'static str,
) -> Result<Response, ApiError> {
    let resource: R = resource(&change.request)?;
    let audit = Audit::new(action, R::NOUN, &change.request.head, id(&change.request));
    let body = match resource.check_change(&change.request, false) {
        Ok(()) => receive(body).await,
        Err(error) => Err(error),
    };
    let body = body.inspect_err(|error| audit.rejected(error))?;
    complete(async move {
        let ChangeRequest { request, condition, is_whole } = &change;
        let input = resource.read(&change, &body).await;
        let input = input.inspect_err(|error| audit.rejected(error))?;
        let edit = |settings: &mut Settings| {
            let current = resource.value(settings).as_ref().map(R::tag);
            if !is_whole && current.is_none() {
                return Err(ChangeError::Absent);
            }
            condition.check(current)?;
            resource.put(&change, &input, settings)
        };
        let stored = request.store.change(resource.item(), edit);
        let changed = request.effective.complete(stored).await;
        let changed = changed.map_err(|error| audit.store_error(error, &R::title(id(request))))?;
        let value = resource.value(&changed.after).ok_or_else(path::unknown)?;
        let (status, outcome) = match resource.value(&changed.before) {
            Some(_) => (StatusCode::OK, "replaced"),
            None => (StatusCode::CREATED, "created"),
        };
        audit.done(outcome, Some(R::tag(&value)), R::certificate(&value));
        resource.warn(&value);
        respond::<R>(status, request, &value)
    })
    .await
}

pub(super) async fn delete<R: Resource>(request: ApiRequest) -> Result<Response, ApiError> {
    let resource: R = resource(&request)?;
    let condition = etag::required_if_match(&request.head.headers, R::NOUN)?;
    let audit = Audit::new("delete", R::NOUN, &request.head, id(&request));
    resource.check_change(&request, true).inspect_err(|error| audit.rejected(error))?;
    complete(async move {
        let edit = |settings: &mut Settings| {
            let current = resource.value(settings).ok_or(ChangeError::Absent)?;
            condition.check(Some(R::tag(&current)))?;
            resource.remove(settings)
        };
        let stored = request.store.change(resource.item(), edit);
        match request.effective.complete(stored).await {
            Ok(changed) => {
                let removed = resource.value(&changed.before);
                audit.done("deleted", None, removed.as_ref().and_then(R::certificate));
                Ok(R::DELETED.into_response())
            }
            Err(ChangeError::Absent) => Ok(StatusCode::NO_CONTENT.into_response()),
            Err(error) => Err(audit.store_error(error, &R::title(id(&request)))),
        }
    })
    .await
}

fn resource<R: Resource>(request: &ApiRequest) -> Result<R, ApiError> {
    R::new(request.id.clone()).ok_or_else(path::unknown)
}

/// Returns the id of the addressed resource; empty for the global policy.
pub(super) fn id(request: &ApiRequest) -> &str {
    request.id.as_deref().unwrap_or_default()
}

/// Completes a change and logs it, even if the client disconnects.
async fn complete(
    change: impl Future<Output = Result<Response, ApiError>> + Send + 'static,
) -> Result<Response, ApiError> {
    tokio::spawn(change).await.unwrap_or_else(|_| {
        let message = "The change was aborted. See the gateway's log.";
        Err(ApiError::new(StatusCode::INTERNAL_SERVER_ERROR, "InternalServerError", message))
    })
}

/// Builds the response with a resource and its ETag.
fn respond<R: Resource>(
    status: StatusCode,
    request: &ApiRequest,
    value: &R::Value,
) -> Result<Response, ApiError> {
    let tag = [(header::ETAG, etag::from_revision(R::tag(value)))];
    Ok((status, tag, Json(R::print(request, id(request), value)?)).into_response())
}

/// Receives a body within [`READ_TIMEOUT`]. It is erased from memory on drop, except for the buffer in which JSON
/// escapes are decoded.
pub(super) async fn receive(body: Body) -> Result<Zeroizing<Vec<u8>>, ApiError> {
    let read = time::timeout(READ_TIMEOUT, collect(body)).await.unwrap_or_else(|_| {
        Err(ApiError::new(
            StatusCode::REQUEST_TIMEOUT,
            "RequestTimeout",
            "The body was not received in time.",
        ))
    });
    read.map(file::decode)
}

/// Reads the body into one buffer that is erased on drop; a growing buffer would leave copies behind.
async fn collect(mut body: Body) -> Result<Zeroizing<Vec<u8>>, ApiError> {
    let too_large = || {
        let message = format!("The body is larger than {MAX_SIZE} bytes.");
        ApiError::new(StatusCode::PAYLOAD_TOO_LARGE, "RequestEntityTooLarge", message)
    };
    let announced = http_body::Body::size_hint(&body).upper();
    let capacity =
        announced.map_or(MAX_SIZE, |size| usize::try_from(size).unwrap_or(usize::MAX).min(MAX_SIZE));
    let mut whole = Zeroizing::new(Vec::with_capacity(capacity));
    let mut received = 0_usize;
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|_| ApiError::validation("body", "The body is incomplete."))?;
        let Some(data) = frame.data_ref() else { continue };
        received = received.saturating_add(data.len());
        if received <= MAX_SIZE {
            whole.extend_from_slice(data);
        } else if received > MAX_DISCARDED {
            return Err(too_large());
        }
    }
    if received > MAX_SIZE { Err(too_large()) } else { Ok(whole) }
}
