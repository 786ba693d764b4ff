//! The management API, in the shape of Azure Resource Manager's for API Management, so that Azure's own clients drive
//! it: resources below `/subscriptions/{}/resourceGroups/{}/providers/Microsoft.ApiManagement/service/{}`. Which
//! subscription, group and service are named makes no difference: there is one gateway.

mod address;
mod apis;
mod audit;
mod backends;
mod body;
mod certificates;
mod change;
mod etag;
mod filter;
mod listing;
mod policies;
mod problem;

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

pub(super) use self::problem::Problem;
use self::{
    address::{Address, Target},
    listing::ListQuery,
};
use super::{Hosts, browser};
use crate::{
    serve::RoutingSnapshot,
    store::{Apis, Certificates, Revision},
};

/// How many changes with a body are under way at a time: each holds it in memory.
const CHANGES: usize = 32;

/// What the store keeps, if there is one.
pub(crate) type Stored = Option<(Arc<Certificates>, Arc<Apis>)>;

/// Answers for the resources.
#[derive(Debug, Clone)]
pub(super) struct Resources {
    hosts: Hosts,
    /// None: the configuration has no store.
    stored: Stored,
    site: Arc<ArcSwap<RoutingSnapshot>>,
    changing: Arc<Semaphore>,
}

impl Resources {
    pub(super) fn new(hosts: Hosts, stored: Stored, site: Arc<ArcSwap<RoutingSnapshot>>) -> Self {
        Self { hosts, stored, site, changing: Arc::new(Semaphore::new(CHANGES)) }
    }

    /// Answers a request of somebody who may ask.
    pub(super) async fn answer(self, request: Request) -> Response {
        let is_head = *request.method() == Method::HEAD;
        let mut response = self.resource(request).await.unwrap_or_else(IntoResponse::into_response);
        let headers = response.headers_mut();
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        if is_head {
            *response.body_mut() = Body::empty();
        }
        response
    }

    async fn resource(self, request: Request) -> Result<Response, Problem> {
        let authority = browser::check(&request, &self.hosts)?;
        let address = Address::parse(request.uri().path())?;
        listing::check_api_version(request.uri().query())?;
        let (certificates, apis) = self.stored.ok_or_else(|| {
            Problem::not_found(
                "The gateway has no store. Add [store] to its configuration and start it again.",
            )
        })?;
        let (head, body) = request.into_parts();
        // Kept until the change is made, whoever waits for it. Never closed.
        let has_body = matches!(head.method, Method::PUT | Method::PATCH);
        let place = if has_body { self.changing.acquire_owned().await.ok() } else { None };
        let asked = ApiRequest { certificates, apis, site: self.site, address, authority, _place: place };
        let is_read = matches!(head.method, Method::GET | Method::HEAD);
        match (asked.address.target.clone(), head.method.clone()) {
            (Target::Certificates, _) if is_read => asked.list_certificates(&head).await,
            (Target::Certificate(id), _) if is_read => asked.certificate(&id).await,
            (Target::Certificate(id), Method::PUT) => asked.put_certificate(id, &head, body).await,
            (Target::Certificate(id), Method::DELETE) => asked.delete_certificate(id, &head).await,
            // There is no Key Vault from which it would have to be read again.
            (Target::RefreshSecret(id), Method::POST) => asked.certificate(&id).await,
            (Target::Apis, _) if is_read => asked.list_apis(&head),
            (Target::Api(id), _) if is_read => asked.api(&id),
            (Target::Api(id), Method::PUT) => asked.put_api(id, &head, body).await,
            (Target::Api(id), Method::PATCH) => asked.patch_api(id, &head, body).await,
            (Target::Api(id), Method::DELETE) => asked.delete_api(id, &head).await,
            (Target::Backends, _) if is_read => asked.list_backends(&head),
            (Target::Backend(id), _) if is_read => asked.backend(&id),
            (Target::Backend(id), Method::PUT) => asked.put_backend(id, &head, body).await,
            (Target::Backend(id), Method::PATCH) => asked.patch_backend(id, &head, body).await,
            (Target::Backend(id), Method::DELETE) => asked.delete_backend(id, &head).await,
            (Target::Policies(of), _) if is_read => asked.list_policies(of.as_ref(), &head),
            (Target::Policy(of), _) if is_read => asked.policy(of.as_ref(), &head),
            (Target::Policy(of), Method::PUT) => asked.put_policy(of, &head, body).await,
            (Target::Policy(of), Method::DELETE) => asked.delete_policy(of, &head).await,
            (target, _) => Err(not_allowed(&target)),
        }
    }
}

/// What a request is about.
struct ApiRequest {
    certificates: Arc<Certificates>,
    apis: Arc<Apis>,
    site: Arc<ArcSwap<RoutingSnapshot>>,
    address: Address,
    authority: Authority,
    _place: Option<OwnedSemaphorePermit>,
}

impl ApiRequest {
    /// Carries a change out to its end, and to its line in the log, even if nobody waits for the answer any more.
    async fn complete<F>(self, change: impl FnOnce(Self) -> F) -> Result<Response, Problem>
    where
        F: Future<Output = Result<Response, Problem>> + Send + 'static,
    {
        tokio::spawn(change(self)).await.unwrap_or_else(|_| {
            let message = "The change ended early; the gateway's log says why.";
            Err(Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "InternalServerError", message))
        })
    }

    /// A page of a list.
    fn page(&self, path: &str, wanted: &ListQuery, value: Vec<Value>, count: usize) -> Response {
        let mut body = json!({ "value": value, "count": count });
        if let Some(next) = wanted.next(count, &self.authority, path) {
            body["nextLink"] = next.into();
        }
        Json(body).into_response()
    }

    /// A resource; `path` goes on after the service's, `kind` after that of all.
    fn named(&self, path: &str, kind: &str, name: &str, properties: Value) -> Value {
        json!({
            "id": format!("{}{path}", self.address.service_path()),
            "type": format!("Microsoft.ApiManagement/service/{kind}"),
            "name": name,
            "properties": properties,
        })
    }
}

/// A resource with its tag.
fn tagged(status: StatusCode, tag: Revision, resource: Value) -> Response {
    (status, [(header::ETAG, etag::of(tag))], Json(resource)).into_response()
}

fn not_allowed(target: &Target) -> Problem {
    let allowed = match target {
        Target::Certificates | Target::Apis | Target::Backends | Target::Policies(_) => "GET, HEAD",
        Target::Certificate(_) | Target::Policy(_) => "GET, HEAD, PUT, DELETE",
        Target::Api(_) | Target::Backend(_) => "GET, HEAD, PUT, PATCH, DELETE",
        Target::RefreshSecret(_) => "POST",
    };
    let message = format!("The method is not one of {allowed}.");
    Problem::new(StatusCode::METHOD_NOT_ALLOWED, "MethodNotAllowed", message).allowing(allowed)
}
