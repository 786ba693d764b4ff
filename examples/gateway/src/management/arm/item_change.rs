//! Changes of APIs, backends and policies: precondition, edit and response.

use axum::response::{IntoResponse, Response};
use http::StatusCode;
use serde_json::Value as Json;

use super::{ApiError, ApiRequest, audit::Audit, with_etag};
use crate::store::{AppliedChange, ChangeError, Item, ItemValue, Precondition, Revision, Settings};

/// A requested change of an item.
pub(super) struct ItemChange<Tag> {
    pub(super) item: Item,
    /// Name in messages, such as `the API 'orders'`.
    pub(super) name: String,
    pub(super) audit: Audit,
    pub(super) condition: Precondition,
    /// True if the change must not create the item.
    pub(super) must_exist: bool,
    /// Returns the tag of the item; None if it does not exist.
    pub(super) tag: Tag,
}

impl<Tag: Fn(&Settings) -> Option<Revision> + Send + Sync + 'static> ItemChange<Tag> {
    /// Creates or replaces the item; responds with the new resource.
    pub(super) async fn put(
        self,
        request: ApiRequest,
        edit: impl Fn(&Settings, Revision) -> Result<ItemValue, ChangeError> + Send + Sync + 'static,
        resource: impl Fn(&ApiRequest, &Settings) -> Result<Json, ApiError> + Send + 'static,
    ) -> Result<Response, ApiError> {
        let Self { item, name, audit, condition, must_exist, tag } = self;
        let change = request.complete(move |request| async move {
            let edit = |settings: &Settings, next| {
                if must_exist && tag(settings).is_none() {
                    return Err(ChangeError::Absent);
                }
                condition.check(tag(settings))?;
                edit(settings, next).map(Some)
            };
            let changed = request.apis.change(&item, edit).await;
            let AppliedChange { before, after } = changed.map_err(|error| audit.store_error(error, &name))?;
            let (status, outcome) = match tag(&before) {
                Some(_) => (StatusCode::OK, "replaced"),
                None => (StatusCode::CREATED, "created"),
            };
            let tag = tag(&after).unwrap_or_default();
            audit.done(outcome, Some(tag), None);
            Ok(with_etag(status, tag, resource(&request, &after)?))
        });
        change.await
    }

    /// Removes the item if it exists; `edit` returns the remaining value of its record.
    pub(super) async fn remove(
        self,
        request: ApiRequest,
        edit: impl Fn(&Settings) -> Result<Option<ItemValue>, ChangeError> + Send + Sync + 'static,
        removed: StatusCode,
    ) -> Result<Response, ApiError> {
        let Self { item, name, audit, condition, tag, .. } = self;
        let change = request.complete(move |request| async move {
            let edit = |settings: &Settings, _| {
                condition.check(Some(tag(settings).ok_or(ChangeError::Absent)?))?;
                edit(settings)
            };
            match request.apis.change(&item, edit).await {
                Ok(_) => {
                    audit.done("deleted", None, None);
                    Ok(removed.into_response())
                }
                Err(ChangeError::Absent) => Ok(StatusCode::NO_CONTENT.into_response()),
                Err(error) => Err(audit.store_error(error, &name)),
            }
        });
        change.await
    }
}
