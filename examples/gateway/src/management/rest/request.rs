//! Extraction of requests for a resource.

use std::sync::Arc;

use arc_swap::ArcSwap;
use axum::{
    Json,
    extract::FromRequestParts,
    response::{IntoResponse, Response},
};
use http::{Method, Uri, request::Parts, uri::Authority};
use serde_json::{Value, json};
use tokio::sync::OwnedSemaphorePermit;

use super::{
    ApiError, ManagementApi,
    listing::{self, ListQuery},
    path::{self, ResourcePath},
};
use crate::{
    management::Effective,
    routing::RoutingSnapshot,
    store::{CurrentStore, Id, Settings, StoreHandle},
};

/// The target of a request, before its path was normalized.
#[derive(Debug, Clone)]
pub(super) struct Target {
    pub(super) path: ResourcePath,
    pub(super) authority: Authority,
    pub(super) uri: Uri,
}

/// A request for a resource.
pub(super) struct ApiRequest {
    /// Id of the resource, or of the API that it belongs to; None for a collection and the global policy.
    pub(super) id: Option<Id>,
    pub(super) head: Parts,
    pub(super) store: Arc<StoreHandle>,
    pub(super) effective: Effective,
    pub(super) routing: Arc<ArcSwap<RoutingSnapshot>>,
    published: Arc<CurrentStore>,
    service_path: String,
    authority: Authority,
    /// Kept until the change completes, even if the client disconnects.
    _permit: Option<OwnedSemaphorePermit>,
}

impl FromRequestParts<ManagementApi> for ApiRequest {
    type Rejection = ApiError;

    async fn from_request_parts(head: &mut Parts, api: &ManagementApi) -> Result<Self, ApiError> {
        let mut head = head.clone();
        let Target { path, authority, uri } = head.extensions.remove().ok_or_else(path::unknown)?;
        head.uri = uri;
        let id = path.id()?;
        listing::check_api_version(head.uri.query())?;
        let (store, effective) = api.store.clone().ok_or_else(|| {
            ApiError::not_found("The gateway has no store. Add [store] to its configuration and restart it.")
        })?;
        // The semaphore is never closed.
        let permit = match head.method {
            Method::PUT | Method::PATCH | Method::DELETE => {
                api.change_permits.clone().acquire_owned().await.ok()
            }
            _ => None,
        };
        let ManagementApi { routing, published, .. } = api.clone();
        let (service_path, _permit) = (path.service_path(), permit);
        Ok(Self { id, head, store, effective, routing, published, service_path, authority, _permit })
    }
}

impl ApiRequest {
    /// Returns the settings that requests see.
    pub(super) fn settings(&self) -> Arc<Settings> {
        self.published.settings()
    }

    /// Builds the response with a page of a list.
    pub(super) fn page(&self, query: &ListQuery, value: Vec<Value>, count: usize) -> Response {
        let mut body = json!({ "value": value, "count": count });
        if let Some(next) = query.next_link(count, &self.authority, self.head.uri.path()) {
            body["nextLink"] = next.into();
        }
        Json(body).into_response()
    }

    /// Builds a resource; `path` and `kind` are relative to those of the service.
    pub(super) fn resource(&self, path: &str, kind: &str, name: &str, properties: Value) -> Value {
        json!({
            "id": format!("{}{path}", self.service_path),
            "type": format!("Microsoft.ApiManagement/service/{kind}"),
            "name": name,
            "properties": properties,
        })
    }
}
