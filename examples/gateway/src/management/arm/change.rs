//! A change of APIs, backends and policies: from a condition and an edit to an answer.

use axum::response::{IntoResponse, Response};
use http::StatusCode;
use serde_json::Value as Json;

use super::{ApiRequest, Problem, audit::Audit, tagged};
use crate::store::{AppliedChange, ChangeError, Item, ItemValue, Precondition, Revision, Settings};

/// A change that somebody asks for.
pub(super) struct Change<Tag> {
    pub(super) item: Item,
    /// As messages call it: `the API 'orders'`.
    pub(super) what: String,
    pub(super) audit: Audit,
    pub(super) condition: Precondition,
    /// Whether there has to be one already.
    pub(super) must_exist: bool,
    /// The tag of what is changed; None: it is not there.
    pub(super) tag: Tag,
}

impl<Tag: Fn(&Settings) -> Option<Revision> + Send + Sync + 'static> Change<Tag> {
    /// Makes or replaces it; answers with the resource that it is then.
    pub(super) async fn make(
        self,
        asked: ApiRequest,
        edit: impl Fn(&Settings, Revision) -> Result<ItemValue, ChangeError> + Send + Sync + 'static,
        resource: impl Fn(&ApiRequest, &Settings) -> Result<Json, Problem> + Send + 'static,
    ) -> Result<Response, Problem> {
        let Self { item, what, audit, condition, must_exist, tag } = self;
        let change = asked.complete(move |asked| async move {
            let edit = |settings: &Settings, next| {
                if must_exist && tag(settings).is_none() {
                    return Err(ChangeError::Absent);
                }
                condition.check(tag(settings))?;
                edit(settings, next).map(Some)
            };
            let changed = asked.apis.change(&item, edit).await;
            let AppliedChange { before, after } = changed.map_err(|refusal| audit.refusal(refusal, &what))?;
            let (status, outcome) = match tag(&before) {
                Some(_) => (StatusCode::OK, "replaced"),
                None => (StatusCode::CREATED, "created"),
            };
            let tag = tag(&after).unwrap_or_default();
            audit.done(outcome, Some(tag), None);
            Ok(tagged(status, tag, resource(&asked, &after)?))
        });
        change.await
    }

    /// Removes it, if it is there; `edit` tells what is left of its record.
    pub(super) async fn remove(
        self,
        asked: ApiRequest,
        edit: impl Fn(&Settings) -> Result<Option<ItemValue>, ChangeError> + Send + Sync + 'static,
        removed: StatusCode,
    ) -> Result<Response, Problem> {
        let Self { item, what, audit, condition, tag, .. } = self;
        let change = asked.complete(move |asked| async move {
            let edit = |settings: &Settings, _| {
                condition.check(Some(tag(settings).ok_or(ChangeError::Absent)?))?;
                edit(settings)
            };
            match asked.apis.change(&item, edit).await {
                Ok(_) => {
                    audit.done("deleted", None, None);
                    Ok(removed.into_response())
                }
                Err(ChangeError::Absent) => Ok(StatusCode::NO_CONTENT.into_response()),
                Err(refusal) => Err(audit.refusal(refusal, &what)),
            }
        });
        change.await
    }
}
