//! The operations that all resources share: list, get, put, patch and delete, with ETags and the audit log.

use axum::{
    Json,
    body::Body,
    response::{IntoResponse, Response},
};
use http::{StatusCode, header};
use serde_json::Value;

use super::{
    ApiError,
    audit::Audit,
    etag,
    filter::FilterFields,
    listing::ListQuery,
    request::{ApiRequest, FromPath, RequestContext},
};
use crate::store::{CertificateEntry, ChangeError, Precondition, Revision, Stored};

/// A kind of resource. A value identifies one resource.
pub(super) trait Resource: FromPath + Sync + 'static {
    /// Kind in the audit log.
    const KIND: &'static str;
    /// Name in the message about a missing If-Match.
    const NOUN: &'static str;
    /// Status of a completed deletion.
    const DELETED: StatusCode = StatusCode::OK;

    /// Validated properties of a request.
    type Input: Send + Sync + 'static;
    /// A stored value.
    type Value: Send + 'static;

    /// Returns the id in the audit log.
    fn id(&self) -> &str;

    /// Returns the name in messages, such as `the API 'orders'`.
    fn title(&self) -> String;

    /// Checks that the resource can be changed through this API.
    fn check_change(&self, context: &RequestContext, is_deletion: bool) -> Result<(), ApiError>;

    /// Reads the properties of a complete resource, or, if not `is_whole`, those to update.
    fn read(body: Body, is_whole: bool) -> impl Future<Output = Result<Self::Input, ApiError>> + Send;

    /// Returns the current value; `query` is that of the request.
    fn find(
        &self,
        context: &RequestContext,
        query: Option<&str>,
    ) -> impl Future<Output = Result<Self::Value, ApiError>> + Send;

    /// Returns the revision that the ETag contains.
    fn tag(value: &Self::Value) -> Revision;

    /// Builds the resource.
    fn print(&self, context: &RequestContext, value: &Self::Value) -> Result<Value, ApiError>;

    /// Returns the certificate in the audit log.
    fn certificate(_: &Self::Value) -> Option<&CertificateEntry> {
        None
    }

    /// Logs a warning about a changed value, if necessary.
    fn warn(&self, _: &Self::Value) {}
}

/// A resource in the store.
pub(super) trait Storage: Resource {
    /// Creates or replaces the value, or, if not `is_whole`, updates it. Returns it, and true if it was created.
    fn put(
        &self,
        context: &RequestContext,
        input: Self::Input,
        condition: &Precondition,
        is_whole: bool,
    ) -> impl Future<Output = Result<Stored<(Self::Value, bool)>, ChangeError>> + Send;

    /// Removes the value and returns it.
    fn delete(
        &self,
        context: &RequestContext,
        condition: &Precondition,
    ) -> impl Future<Output = Result<Stored<Option<Self::Value>>, ChangeError>> + Send;
}

/// A resource of a collection with filters and pages.
pub(super) trait Collection: Resource {
    const FIELDS: &'static FilterFields;

    /// Returns the resources of a page, and the number of those on all pages.
    fn page(
        context: &RequestContext,
        query: &ListQuery,
    ) -> impl Future<Output = Result<(Vec<Value>, usize), ApiError>> + Send;
}

pub(super) async fn list<R: Collection>(request: ApiRequest<()>) -> Result<Response, ApiError> {
    let ApiRequest { context, head, .. } = request;
    let query = ListQuery::parse(head.uri.query(), R::FIELDS)?;
    let (value, count) = R::page(&context, &query).await?;
    Ok(context.page(head.uri.path(), &query, value, count))
}

pub(super) async fn get<R: Resource>(request: ApiRequest<R>) -> Result<Response, ApiError> {
    let ApiRequest { resource, context, head, .. } = request;
    let value = resource.find(&context, head.uri.query()).await?;
    respond(StatusCode::OK, &resource, &context, &value)
}

pub(super) async fn put<R: Storage>(request: ApiRequest<R>) -> Result<Response, ApiError> {
    let condition = etag::precondition_of_put(&request.head.headers)?;
    change(request, "put", condition, true).await
}

pub(super) async fn patch<R: Storage>(request: ApiRequest<R>) -> Result<Response, ApiError> {
    let condition = etag::required_if_match(&request.head.headers, R::NOUN)?;
    change(request, "patch", condition, false).await
}

async fn change<R: Storage>(
    request: ApiRequest<R>,
    action: &'static str,
    condition: Precondition,
    is_whole: bool,
) -> Result<Response, ApiError> {
    let ApiRequest { resource, context, head, body } = request;
    let audit = Audit::new(action, R::KIND, &head, resource.id());
    let input = match resource.check_change(&context, false) {
        Ok(()) => R::read(body, is_whole).await,
        Err(error) => Err(error),
    };
    let input = input.inspect_err(|error| audit.rejected(error))?;
    complete(async move {
        // Checked again: the configuration can change while the body is received.
        resource.check_change(&context, false).inspect_err(|error| audit.rejected(error))?;
        let put = resource.put(&context, input, &condition, is_whole);
        let changed = context.effective.complete(put).await;
        let (value, is_new) = changed.map_err(|error| audit.store_error(error, &resource.title()))?;
        let (status, outcome) =
            if is_new { (StatusCode::CREATED, "created") } else { (StatusCode::OK, "replaced") };
        audit.done(outcome, Some(R::tag(&value)), R::certificate(&value));
        resource.warn(&value);
        respond(status, &resource, &context, &value)
    })
    .await
}

pub(super) async fn delete<R: Storage>(request: ApiRequest<R>) -> Result<Response, ApiError> {
    let ApiRequest { resource, context, head, .. } = request;
    let condition = etag::required_if_match(&head.headers, R::NOUN)?;
    let audit = Audit::new("delete", R::KIND, &head, resource.id());
    resource.check_change(&context, true).inspect_err(|error| audit.rejected(error))?;
    complete(async move {
        match context.effective.complete(resource.delete(&context, &condition)).await {
            Ok(value) => {
                audit.done("deleted", None, value.as_ref().and_then(R::certificate));
                Ok(R::DELETED.into_response())
            }
            Err(ChangeError::Absent) => Ok(StatusCode::NO_CONTENT.into_response()),
            Err(error) => Err(audit.store_error(error, &resource.title())),
        }
    })
    .await
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
    resource: &R,
    context: &RequestContext,
    value: &R::Value,
) -> Result<Response, ApiError> {
    let tag = [(header::ETAG, etag::from_revision(R::tag(value)))];
    Ok((status, tag, Json(resource.print(context, value)?)).into_response())
}
