//! Routing snapshots: path rules, route table, and the layers of each route.

use std::{borrow::Cow, collections::BTreeMap, sync::Arc};

use arc_swap::ArcSwap;
use bytes::Bytes;
use http::{Method, Request, Response};
use http_body_util::{Either, Full};
use tower::{ServiceExt, retry::Retry};
use tower_mtls::{
    ClientIdentity, MtlsClient, Policy, RequireCertificate, UpstreamTrust,
    apim::{ApimPolicy, Document, ForwardingService},
    inbound::{ResponseBody, is_grpc},
    outbound::{IdentityService, RetryIdempotent, UpstreamBody},
    proxy::{ProxyBody, ReverseProxy},
    remote_addr,
};

use super::{
    error_response::{RoutingError, to_grpc},
    expiry::Expiry,
    head::{
        has_parameters, head_size, host, is_only_chunked, normalise, target_length, with_path,
        without_empty_segments, without_parameters,
    },
    identity_selector::{IdentitySelector, SelectorValue},
    metrics::{self, Exchange, RouteMetrics},
    routes::RouteTable,
    unverified::Unverified,
};
use crate::{
    build::{ApiContext, BuiltApis},
    edge::{Bounded, CallerBody, Download, GuardedBody, Upload},
    log,
    path::Normalised,
    store::{CertificateUse, CertificateUses, DocumentCertificates},
};

/// Maximum size of a request's head (target and fields), in bytes.
///
/// A much larger head can fail other requests too: HTTP/2 upstreams close the whole connection.
pub(crate) const MAX_HEAD: usize = 32 * 1024;

/// Maximum length of a request's path and query, in bytes.
const MAX_TARGET: usize = 16 * 1024;

/// Routes of the configuration file and of the store's APIs. Immutable; replaced as a whole.
#[derive(Debug)]
pub(crate) struct RoutingSnapshot {
    pub(crate) file: Arc<FileRoutes>,
    pub(crate) apis: BuiltApis,
    /// References to certificates of the store.
    pub(crate) uses: Arc<CertificateUses>,
    table: RouteTable,
    /// By position in the table. None: an API that cannot be served.
    routes: Vec<Option<Arc<Route>>>,
}

/// Routes of one configuration file, and the values that they are built from.
#[derive(Debug)]
pub(crate) struct FileRoutes {
    /// In the order of the file.
    pub(crate) routes: Vec<Arc<Route>>,
    pub(crate) client: Client,
    pub(crate) identities: BTreeMap<String, ClientIdentity>,
    pub(crate) trusts: Vec<UpstreamTrust>,
    pub(crate) expiries: Vec<Expiry>,
    /// References of the routes to certificates of the store.
    pub(crate) uses: Vec<CertificateUse>,
    /// Certificates of the file and of the store, for policy documents.
    pub(crate) deployed: DocumentCertificates,
    pub(crate) api_context: ApiContext,
}

#[derive(Debug)]
pub(crate) struct Route {
    pub(crate) facts: Arc<RouteFacts>,
    pub(crate) allow_empty_segments: bool,
    /// True if a request without an admitted certificate is never forwarded.
    pub(crate) is_enforced: bool,
    /// True if rejected requests are forwarded too.
    pub(crate) is_shadow: bool,
    /// The policy of `service`, for explanations.
    pub(crate) policy: RoutePolicy,
    pub(crate) service: RouteService,
}

/// Authorization of a route.
#[derive(Debug)]
pub(crate) enum RoutePolicy {
    /// No certificate is required.
    None,
    Rules(Policy),
    Document(Document),
}

impl RoutePolicy {
    /// Returns the policy document, if there is one.
    pub(crate) fn document(&self) -> Option<&Document> {
        match self {
            Self::Document(document) => Some(document),
            Self::None | Self::Rules(_) => None,
        }
    }
}

/// Description of a route for logs and metrics.
#[derive(Debug)]
pub(crate) struct RouteFacts {
    /// As configured.
    pub(crate) path: String,
    pub(crate) host: Option<String>,
    pub(crate) upstream: String,
    /// Base URL of the upstream requests.
    pub(crate) url: String,
    /// The identity, if it is the same for all requests.
    pub(crate) identity: Option<String>,
    /// The selector, if the identity is selected per request.
    pub(crate) identity_selector: Option<IdentitySelector>,
    pub(crate) metrics: RouteMetrics,
}

/// HTTP client shared by all routes.
pub(crate) type Client = MtlsClient<ProxyBody<Upload<CallerBody>>>;

type ToUpstream = Bounded<ReverseProxy<Retry<RetryIdempotent, IdentityService<Client>>>>;

/// A route with its layers.
#[derive(Debug, Clone)]
pub(crate) enum RouteService {
    /// Callers must satisfy the rules.
    Rules(RequireCertificate<Unverified<ToUpstream>>),
    /// The policy document authorizes callers.
    Document(ApimPolicy<Unverified<ForwardingService<ToUpstream>>>),
    /// All callers are authorized.
    Open(ToUpstream),
}

/// Response body of an upstream, of a rejection, or of the gateway.
pub(crate) type RouteBody =
    Either<Either<ResponseBody<Download<UpstreamBody>>, Download<UpstreamBody>>, Full<Bytes>>;

/// Responds to a request with the current snapshot.
///
/// The snapshot is not kept: a long request must not keep routes and identities of a replaced configuration.
pub(crate) async fn respond(
    current: &ArcSwap<RoutingSnapshot>,
    mut request: Request<CallerBody>,
) -> Response<GuardedBody<RouteBody, Option<Exchange>>> {
    let (is_head, is_grpc) = (request.method() == Method::HEAD, is_grpc(&request));
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    let remote = remote_addr(request.extensions()).map(tracing::field::display);
    let route = current.load().route(&mut request).map(|route| (route.facts.clone(), route.service.clone()));
    let (facts, service) = match route {
        Ok(route) => route,
        Err(error) => {
            let (method, path) = (log::cut(method.as_str()), log::cut(&path));
            tracing::debug!(%method, path = &*path, remote, ?error, "request rejected: no route");
            metrics::unrouted(error.code());
            let response = error.response();
            let response = if is_grpc { to_grpc(response.status(), error.code()) } else { response };
            return gateway_response(response, is_head).map(|body| GuardedBody::new(body, None));
        }
    };
    let selector_value = facts.identity_selector.as_ref().map(|by| by.prepare(&mut request));
    let mut exchange = Exchange::begin(facts);
    let result = match service {
        RouteService::Rules(service) => {
            let result = service.oneshot(request).await;
            result.map(|response| response.map(Either::Left).map(Either::Left))
        }
        RouteService::Document(service) => {
            let result = service.oneshot(request).await;
            result.map(|response| response.map(Either::Left).map(Either::Left))
        }
        RouteService::Open(service) => {
            let result = service.oneshot(request).await;
            result.map(|response| response.map(Either::Right).map(Either::Left))
        }
    };
    let mut error_code = None;
    let mut response = result.unwrap_or_else(|error| {
        let code = error.code();
        let RouteFacts { path: route, upstream, identity, metrics, .. } = exchange.facts();
        let identity = identity.as_deref().filter(|_| error.is_unknown_identity());
        let selector_value = selector_value.as_ref().filter(|_| error.is_unknown_identity());
        let (by, value) = (selector_value.map(SelectorValue::by), selector_value.map(SelectorValue::value));
        let (method, path) = (log::cut(method.as_str()), log::cut(&path));
        if error.is_caller_fault() {
            // At the level of rejections, whose rate limit is separate: callers cannot suppress upstream errors.
            tracing::info!(code, %method, path = &*path, route, upstream, remote, "{error}");
        } else {
            tracing::warn!(code, %method, path = &*path, route, upstream, remote, identity, by, value, "{error}");
        }
        metrics.failed(code);
        error_code = Some(code);
        gateway_response(error.response(), is_head)
    });
    exchange.set_status(response.status());
    if let Some(code) = error_code.filter(|_| is_grpc) {
        response = gateway_response(to_grpc(response.status(), code), is_head);
    }
    response.map(|body| GuardedBody::new(body, Some(exchange)))
}

impl RoutingSnapshot {
    pub(crate) fn new(file: Arc<FileRoutes>, apis: BuiltApis) -> Self {
        let file_routes = file.routes.iter().map(|route| {
            let RouteFacts { host, path, .. } = &*route.facts;
            ((host.clone(), path.clone()), Some(route.clone()))
        });
        let api_routes = apis.routes.values().map(|(path, route)| ((None, path.clone()), route.clone()));
        let (keys, routes): (Vec<_>, Vec<_>) = file_routes.chain(api_routes).unzip();
        let uses = Arc::new(CertificateUses::new(file.uses.iter().chain(&apis.uses).cloned().collect()));
        Self { table: RouteTable::new(keys), routes, uses, file, apis }
    }

    /// Returns all routes that can be served.
    pub(crate) fn routes(&self) -> impl Iterator<Item = &Route> {
        self.routes.iter().flatten().map(|route| &**route)
    }

    /// Returns the route for this host and path.
    pub(crate) fn find(&self, host: Option<&str>, path: &Normalised<'_>) -> Result<&Route, RoutingError> {
        let found = self.table.find(host, &path.path);
        let is_same = |path: &str| self.table.find(host, path) == found;
        // An upstream that ignores path parameters must see a path of the same route.
        let plain = has_parameters(&path.path).then(|| without_parameters(&path.path));
        if plain.as_ref().is_some_and(|plain| !is_same(plain)) {
            return Err(RoutingError::AmbiguousPath);
        }
        let index = found.ok_or(RoutingError::NoRoute)?;
        let route =
            self.routes.get(index).ok_or(RoutingError::NoRoute)?.as_deref().ok_or(RoutingError::BrokenApi)?;
        if path.has_empty_segments {
            // The same for an upstream that merges empty segments.
            let mut paths = [Some(path.path.as_ref()), plain.as_deref()].into_iter().flatten();
            if !route.allow_empty_segments || !paths.all(|path| is_same(&without_empty_segments(path))) {
                return Err(RoutingError::AmbiguousPath);
            }
        }
        Ok(route)
    }

    /// Returns the route that replaces a route of another snapshot for this host and path.
    pub(crate) fn successor(&self, host: Option<&str>, path: &str) -> Option<&Route> {
        self.routes.get(self.table.find(host, path)?)?.as_deref()
    }

    /// Finds the route, and normalises the request's path, so that rules, routing and upstream use the same path.
    fn route(&self, request: &mut Request<CallerBody>) -> Result<&Route, RoutingError> {
        if request.method() == Method::CONNECT {
            return Err(RoutingError::Connect);
        }
        if target_length(request) > MAX_TARGET {
            return Err(RoutingError::TargetTooLong);
        }
        if head_size(request) > MAX_HEAD {
            return Err(RoutingError::HeadTooLarge);
        }
        if !is_only_chunked(request.headers()) {
            return Err(RoutingError::TransferCoding);
        }
        let normal = normalise(request.uri().path())?;
        let route = self.find(host(request)?, &normal)?;
        if let Cow::Owned(path) = normal.path {
            *request.uri_mut() = with_path(request.uri(), path).ok_or(RoutingError::AmbiguousPath)?;
        }
        Ok(route)
    }
}

/// Converts a response of the gateway; the response to HEAD has no body.
fn gateway_response(response: Response<Full<Bytes>>, is_head: bool) -> Response<RouteBody> {
    response.map(|body| Either::Right(if is_head { Full::default() } else { body }))
}
