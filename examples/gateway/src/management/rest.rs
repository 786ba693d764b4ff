//! The management REST API, compatible with Azure Resource Manager's for API Management, so that Azure's clients work
//! with it. Resources are below
//! `/subscriptions/{}/resourceGroups/{}/providers/Microsoft.ApiManagement/service/{}`; the names of subscription,
//! resource group and service are ignored.

mod api_input;
mod apis;
mod audit;
mod backends;
mod certificates;
mod error;
mod etag;
mod filter;
mod listing;
mod path;
mod policies;
mod properties;
mod request;
mod resource;

use std::{mem, sync::Arc};

use arc_swap::ArcSwap;
use axum::{
    Router,
    extract::Request,
    response::{IntoResponse, Response},
    routing::{MethodRouter, any},
};
use http::{HeaderValue, StatusCode, header};
use tokio::sync::Semaphore;
use tower::ServiceExt;

pub(super) use self::error::ApiError;
use self::{
    apis::ApiResource,
    backends::BackendResource,
    certificates::CertificateResource,
    path::ResourcePath,
    policies::PolicyResource,
    request::{ApiRequest, Target},
    resource::{Collection, Resource, delete, get, list, patch, put},
};
use super::{Effective, Hosts, browser};
use crate::{
    routing::RoutingSnapshot,
    store::{CurrentStore, StoreHandle},
};

/// Maximum number of concurrent changes with a body, which is kept in memory.
const MAX_CONCURRENT_CHANGES: usize = 32;

/// Path of the service, as [`ResourcePath`] normalizes it.
const SERVICE: &str = "/subscriptions/{subscription}/resourcegroups/{group}/providers/microsoft.apimanagement/service/{service}";

/// The store, and its revision that requests see; None without a store.
pub(crate) type StoreHandles = Option<(Arc<StoreHandle>, Effective)>;

/// The REST API.
#[derive(Debug, Clone)]
pub(super) struct ManagementApi {
    store: StoreHandles,
    published: Arc<CurrentStore>,
    routing: Arc<ArcSwap<RoutingSnapshot>>,
    change_permits: Arc<Semaphore>,
}

impl ManagementApi {
    pub(super) fn new(
        store: StoreHandles,
        published: Arc<CurrentStore>,
        routing: Arc<ArcSwap<RoutingSnapshot>>,
    ) -> Self {
        Self { store, published, routing, change_permits: Arc::new(Semaphore::new(MAX_CONCURRENT_CHANGES)) }
    }

    /// Builds the router of all resources, for authorized requests.
    pub(super) fn router(self, hosts: Hosts) -> Router {
        let routes = [
            ("/certificates", collection::<CertificateResource>()),
            ("/certificates/{id}", replaceable::<CertificateResource>()),
            // Without a Key Vault there is nothing to refresh.
            ("/certificates/{id}/refreshsecret", only("POST").post(get::<CertificateResource>)),
            ("/apis", collection::<ApiResource>()),
            ("/apis/{id}", changeable::<ApiResource>()),
            ("/apis/{id}/policies", only("GET, HEAD").get(policies::list)),
            ("/apis/{id}/policies/policy", replaceable::<PolicyResource>()),
            ("/backends", collection::<BackendResource>()),
            ("/backends/{id}", changeable::<BackendResource>()),
            ("/policies", only("GET, HEAD").get(policies::list)),
            ("/policies/policy", replaceable::<PolicyResource>()),
        ];
        let resources = routes
            .into_iter()
            .fold(Router::new(), |router, (path, methods)| router.route(&format!("{SERVICE}{path}"), methods))
            .fallback(async || path::unknown())
            .with_state(self);
        let respond = move |request| respond(request, hosts.clone(), resources.clone());
        Router::new().route("/subscriptions/{*resource}", any(respond))
    }
}

fn collection<R: Collection>() -> MethodRouter<ManagementApi> {
    only("GET, HEAD").get(list::<R>)
}

fn replaceable<R: Resource>() -> MethodRouter<ManagementApi> {
    only("GET, HEAD, PUT, DELETE").get(get::<R>).put(put::<R>).delete(delete::<R>)
}

fn changeable<R: Resource>() -> MethodRouter<ManagementApi> {
    let methods = only("GET, HEAD, PUT, PATCH, DELETE");
    methods.get(get::<R>).put(put::<R>).patch(patch::<R>).delete(delete::<R>)
}

/// Rejects methods other than these.
fn only(allowed: &'static str) -> MethodRouter<ManagementApi> {
    any(async move |_: ApiRequest| {
        let message = format!("The method is not one of {allowed}.");
        ApiError::new(StatusCode::METHOD_NOT_ALLOWED, "MethodNotAllowed", message).allowing(allowed)
    })
}

/// Routes an authorized request by its normalized path.
async fn respond(mut request: Request, hosts: Hosts, resources: Router) -> Response {
    let mut response = match normalize(&mut request, &hosts) {
        Ok(()) => resources.oneshot(request).await.into_response(),
        Err(error) => error.into_response(),
    };
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}

/// Replaces the path by its normalized form.
fn normalize(request: &mut Request, hosts: &Hosts) -> Result<(), ApiError> {
    let authority = browser::check(request, hosts)?;
    let path = ResourcePath::parse(request.uri().path())?;
    let routed = path.route.parse().map_err(|_| path::unknown())?;
    let uri = mem::replace(request.uri_mut(), routed);
    request.extensions_mut().insert(Target { path, authority, uri });
    Ok(())
}
