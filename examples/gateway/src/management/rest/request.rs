//! Extraction of requests for a resource.

use std::sync::Arc;

use arc_swap::ArcSwap;
use axum::{
    Json,
    body::Body,
    extract::{FromRequest, Request},
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
    serve::RoutingSnapshot,
    store::{CurrentStore, Settings, StoreHandle},
};

/// The target of a request, before its path was normalized.
#[derive(Debug, Clone)]
pub(super) struct Target {
    pub(super) path: ResourcePath,
    pub(super) authority: Authority,
    pub(super) uri: Uri,
}

/// A request for a resource.
pub(super) struct ApiRequest<P> {
    pub(super) resource: P,
    pub(super) context: RequestContext,
    pub(super) head: Parts,
    pub(super) body: Body,
}

/// Context of a request.
pub(super) struct RequestContext {
    pub(super) store: Arc<StoreHandle>,
    pub(super) effective: Effective,
    pub(super) routing: Arc<ArcSwap<RoutingSnapshot>>,
    published: Arc<CurrentStore>,
    service_path: String,
    authority: Authority,
    _permit: Option<OwnedSemaphorePermit>,
}

/// Identification of a resource by its path.
pub(super) trait FromPath: Sized + Send {
    fn from_path(path: &ResourcePath) -> Result<Self, ApiError>;
}

/// A collection.
impl FromPath for () {
    fn from_path(_: &ResourcePath) -> Result<Self, ApiError> {
        Ok(())
    }
}

impl<P: FromPath> FromRequest<ManagementApi> for ApiRequest<P> {
    type Rejection = ApiError;

    async fn from_request(request: Request, api: &ManagementApi) -> Result<Self, ApiError> {
        let (mut head, body) = request.into_parts();
        let Target { path, authority, uri } = head.extensions.remove().ok_or_else(path::unknown)?;
        head.uri = uri;
        let resource = P::from_path(&path)?;
        listing::check_api_version(head.uri.query())?;
        let (store, effective) = api.store.clone().ok_or_else(|| {
            ApiError::not_found("The gateway has no store. Add [store] to its configuration and restart it.")
        })?;
        // Kept until the change completes, even if the client disconnects. The semaphore is never closed.
        let permit = match head.method {
            Method::PUT | Method::PATCH => api.change_permits.clone().acquire_owned().await.ok(),
            _ => None,
        };
        let context = RequestContext {
            store,
            effective,
            routing: api.routing.clone(),
            published: api.published.clone(),
            service_path: path.service_path(),
            authority,
            _permit: permit,
        };
        Ok(Self { resource, context, head, body })
    }
}

impl RequestContext {
    /// Returns the settings that requests see.
    pub(super) fn settings(&self) -> Arc<Settings> {
        self.published.settings()
    }

    /// Builds the response with a page of a list.
    pub(super) fn page(&self, path: &str, query: &ListQuery, value: Vec<Value>, count: usize) -> Response {
        let mut body = json!({ "value": value, "count": count });
        if let Some(next) = query.next_link(count, &self.authority, path) {
            body["nextLink"] = next.into();
        }
        Json(body).into_response()
    }

    /// Builds a resource of a collection of the service.
    pub(super) fn resource(&self, collection: &str, id: &str, properties: Value) -> Value {
        self.resource_at(&format!("/{collection}/{id}"), collection, id, properties)
    }

    /// Builds a resource; `path` and `kind` are relative to those of the service.
    pub(super) fn resource_at(&self, path: &str, kind: &str, name: &str, properties: Value) -> Value {
        json!({
            "id": format!("{}{path}", self.service_path),
            "type": format!("Microsoft.ApiManagement/service/{kind}"),
            "name": name,
            "properties": properties,
        })
    }
}
