//! The management REST API, compatible with Azure Resource Manager's for API Management, so that Azure's clients work
//! with it. Resources are below
//! `/subscriptions/{}/resourceGroups/{}/providers/Microsoft.ApiManagement/service/{}`; the names of subscription,
//! resource group and service are ignored.

mod apis;
mod audit;
mod backends;
mod body;
mod certificates;
mod error;
mod etag;
mod filter;
mod item_change;
mod listing;
mod policies;
mod resource_path;

use std::sync::Arc;

use arc_swap::ArcSwap;
use axum::{
    Json,
    body::Body,
    extract::Request,
    response::{IntoResponse, Response},
};
use http::{HeaderValue, Method, StatusCode, header, uri::Authority};
use serde_json::{Value, json};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

pub(super) use self::error::ApiError;
use self::{
    listing::ListQuery,
    resource_path::{Resource, ResourcePath},
};
use super::{Hosts, browser};
use crate::{
    routing::RoutingSnapshot,
    store::{Apis, Certificates, Revision},
};

/// Maximum number of concurrent changes with a body, which is kept in memory.
const MAX_CONCURRENT_CHANGES: usize = 32;

/// Handles of the store; None without a store.
pub(crate) type StoreHandles = Option<(Arc<Certificates>, Arc<Apis>)>;

/// The REST API.
#[derive(Debug, Clone)]
pub(super) struct ManagementApi {
    hosts: Hosts,
    store: StoreHandles,
    routing: Arc<ArcSwap<RoutingSnapshot>>,
    change_permits: Arc<Semaphore>,
}

impl ManagementApi {
    pub(super) fn new(hosts: Hosts, store: StoreHandles, routing: Arc<ArcSwap<RoutingSnapshot>>) -> Self {
        Self { hosts, store, routing, change_permits: Arc::new(Semaphore::new(MAX_CONCURRENT_CHANGES)) }
    }

    /// Responds to an authorized request.
    pub(super) async fn respond(self, request: Request) -> Response {
        let is_head = *request.method() == Method::HEAD;
        let mut response = self.dispatch(request).await.unwrap_or_else(IntoResponse::into_response);
        let headers = response.headers_mut();
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        if is_head {
            *response.body_mut() = Body::empty();
        }
        response
    }

    async fn dispatch(self, request: Request) -> Result<Response, ApiError> {
        let authority = browser::check(&request, &self.hosts)?;
        let path = ResourcePath::parse(request.uri().path())?;
        listing::check_api_version(request.uri().query())?;
        let (certificates, apis) = self.store.ok_or_else(|| {
            ApiError::not_found("The gateway has no store. Add [store] to its configuration and restart it.")
        })?;
        let (head, body) = request.into_parts();
        // Held until the change completes, even if the client disconnects. The semaphore is never closed.
        let has_body = matches!(head.method, Method::PUT | Method::PATCH);
        let permit = if has_body { self.change_permits.acquire_owned().await.ok() } else { None };
        let request =
            ApiRequest { certificates, apis, routing: self.routing, path, authority, _permit: permit };
        let is_read = matches!(head.method, Method::GET | Method::HEAD);
        match (request.path.resource.clone(), head.method.clone()) {
            (Resource::Certificates, _) if is_read => request.list_certificates(&head).await,
            (Resource::Certificate(id), _) if is_read => request.certificate(&id).await,
            (Resource::Certificate(id), Method::PUT) => request.put_certificate(id, &head, body).await,
            (Resource::Certificate(id), Method::DELETE) => request.delete_certificate(id, &head).await,
            // Without a Key Vault there is nothing to refresh.
            (Resource::RefreshSecret(id), Method::POST) => request.certificate(&id).await,
            (Resource::Apis, _) if is_read => request.list_apis(&head),
            (Resource::Api(id), _) if is_read => request.api(&id),
            (Resource::Api(id), Method::PUT) => request.put_api(id, &head, body).await,
            (Resource::Api(id), Method::PATCH) => request.patch_api(id, &head, body).await,
            (Resource::Api(id), Method::DELETE) => request.delete_api(id, &head).await,
            (Resource::Backends, _) if is_read => request.list_backends(&head),
            (Resource::Backend(id), _) if is_read => request.backend(&id),
            (Resource::Backend(id), Method::PUT) => request.put_backend(id, &head, body).await,
            (Resource::Backend(id), Method::PATCH) => request.patch_backend(id, &head, body).await,
            (Resource::Backend(id), Method::DELETE) => request.delete_backend(id, &head).await,
            (Resource::Policies(api_id), _) if is_read => request.list_policies(api_id.as_ref(), &head),
            (Resource::Policy(api_id), _) if is_read => request.policy(api_id.as_ref(), &head),
            (Resource::Policy(api_id), Method::PUT) => request.put_policy(api_id, &head, body).await,
            (Resource::Policy(api_id), Method::DELETE) => request.delete_policy(api_id, &head).await,
            (resource, _) => Err(method_not_allowed(&resource)),
        }
    }
}

/// Context of a request.
struct ApiRequest {
    certificates: Arc<Certificates>,
    apis: Arc<Apis>,
    routing: Arc<ArcSwap<RoutingSnapshot>>,
    path: ResourcePath,
    authority: Authority,
    _permit: Option<OwnedSemaphorePermit>,
}

impl ApiRequest {
    /// Completes a change and logs it, even if the client disconnects.
    async fn complete<F>(self, change: impl FnOnce(Self) -> F) -> Result<Response, ApiError>
    where
        F: Future<Output = Result<Response, ApiError>> + Send + 'static,
    {
        tokio::spawn(change(self)).await.unwrap_or_else(|_| {
            let message = "The change was aborted. See the gateway's log.";
            Err(ApiError::new(StatusCode::INTERNAL_SERVER_ERROR, "InternalServerError", message))
        })
    }

    /// Builds the response with a page of a list.
    fn page(&self, path: &str, query: &ListQuery, value: Vec<Value>, count: usize) -> Response {
        let mut body = json!({ "value": value, "count": count });
        if let Some(next) = query.next_link(count, &self.authority, path) {
            body["nextLink"] = next.into();
        }
        Json(body).into_response()
    }

    /// Builds a resource; `path` and `kind` are relative to those of the service.
    fn resource_json(&self, path: &str, kind: &str, name: &str, properties: Value) -> Value {
        json!({
            "id": format!("{}{path}", self.path.service_path()),
            "type": format!("Microsoft.ApiManagement/service/{kind}"),
            "name": name,
            "properties": properties,
        })
    }
}

/// Builds the response with a resource and its ETag.
fn with_etag(status: StatusCode, tag: Revision, resource: Value) -> Response {
    (status, [(header::ETAG, etag::from_revision(tag))], Json(resource)).into_response()
}

fn method_not_allowed(resource: &Resource) -> ApiError {
    let allowed = match resource {
        Resource::Certificates | Resource::Apis | Resource::Backends | Resource::Policies(_) => "GET, HEAD",
        Resource::Certificate(_) | Resource::Policy(_) => "GET, HEAD, PUT, DELETE",
        Resource::Api(_) | Resource::Backend(_) => "GET, HEAD, PUT, PATCH, DELETE",
        Resource::RefreshSecret(_) => "POST",
    };
    let message = format!("The method is not one of {allowed}.");
    ApiError::new(StatusCode::METHOD_NOT_ALLOWED, "MethodNotAllowed", message).allowing(allowed)
}
