//! What a request meets: path rules, the route table, the route's layers.

use std::{borrow::Cow, collections::BTreeMap, sync::Arc};

use arc_swap::ArcSwap;
use bytes::Bytes;
use http::{Method, Request, Response};
use http_body_util::{Either, Full};
use tower::{ServiceExt, retry::Retry};
use tower_mtls::{
    ClientIdentity, MtlsClient, Policy, RequireCertificate, ReverseProxy, UpstreamTrust,
    apim::{ApimPolicy, Document, ForwardingService},
    inbound::{ResponseBody, is_grpc},
    outbound::{IdentityService, RetryIdempotent, UpstreamBody},
    proxy::ProxyBody,
    remote_addr,
};

use super::{
    answer::{Refused, as_grpc},
    body::{CallerBody, GuardedBody},
    bounds::{Bounded, Download, Upload},
    expiry::Expiry,
    head::{
        has_parameters, head_size, host, is_plainly_coded, normalise, target_length, with_path,
        without_empty_segments, without_parameters,
    },
    identity_selector::{IdentitySelector, SelectorValue},
    measure::{self, Exchange, RouteMeasures},
    unverified::Unverified,
};
use crate::{
    load::{ApiParts, Built},
    log,
    path::Normalised,
    routes::RouteTable,
    store::{CertificateUse, CertificateUses, DocumentCertificates},
};

/// The most octets of a request's head, target and fields together.
///
/// A head that an upstream finds far too large costs more than its own request: HTTP/2 servers end the whole
/// connection, and with it everybody else's requests.
pub(super) const LARGEST_HEAD: usize = 32 * 1024;

/// The most octets of a request's path and query.
const LONGEST_TARGET: usize = 16 * 1024;

/// What requests are served by: the routes of a configuration file, and those of the store's APIs.
#[derive(Debug)]
pub(crate) struct RoutingSnapshot {
    pub(crate) file: Arc<FileRoutes>,
    pub(crate) apis: Built,
    /// Everything that refers to certificates of the store.
    pub(crate) uses: Arc<CertificateUses>,
    table: RouteTable,
    /// By position in the table; None: an API that cannot be served.
    routes: Vec<Option<Arc<Route>>>,
}

/// What comes out of one configuration file, and can be replaced while serving.
#[derive(Debug)]
pub(crate) struct FileRoutes {
    /// In the order of the file.
    pub(crate) routes: Vec<Arc<Route>>,
    /// What the routes are made of, so that it can be told what a later configuration no longer has.
    pub(crate) client: Client,
    pub(crate) identities: BTreeMap<String, ClientIdentity>,
    pub(crate) trusts: Vec<UpstreamTrust>,
    pub(crate) expiries: Vec<Expiry>,
    /// Which of its routes refer to certificates of the store.
    pub(crate) uses: Vec<CertificateUse>,
    /// What policy documents see of its identities and of the store.
    pub(crate) deployed: DocumentCertificates,
    pub(crate) api_parts: ApiParts,
}

#[derive(Debug)]
pub(crate) struct Route {
    pub(crate) facts: Arc<RouteFacts>,
    pub(crate) allow_empty_segments: bool,
    /// Whether nobody passes without a certificate that is admitted.
    pub(crate) is_enforced: bool,
    /// Whether refused callers pass all the same.
    pub(crate) is_shadow: bool,
    /// What the service enforces or watches, for explanations.
    pub(crate) guard: Guard,
    pub(crate) service: RouteService,
}

/// What stands between callers and a route.
#[derive(Debug)]
pub(crate) enum Guard {
    Nothing,
    Rules(Policy),
    Document(Document),
}

impl Guard {
    /// The policy document, if it is one.
    pub(crate) fn document(&self) -> Option<&Document> {
        match self {
            Self::Document(document) => Some(document),
            Self::Nothing | Self::Rules(_) => None,
        }
    }
}

/// What is said of a route in the log and in the metrics.
#[derive(Debug)]
pub(crate) struct RouteFacts {
    /// As configured.
    pub(crate) path: String,
    pub(crate) host: Option<String>,
    pub(crate) upstream: String,
    /// The URL that its requests are sent below.
    pub(crate) url: String,
    /// The identity, if it is the same for each request.
    pub(crate) identity: Option<String>,
    /// If the identity is another one for each request.
    pub(crate) identity_selector: Option<IdentitySelector>,
    pub(crate) measures: RouteMeasures,
}

/// The client that all routes share, with its connections.
pub(crate) type Client = MtlsClient<ProxyBody<Upload<CallerBody>>>;

type ToUpstream = Bounded<ReverseProxy<Retry<RetryIdempotent, IdentityService<Client>>>>;

/// A route with its layers.
#[derive(Debug, Clone)]
pub(crate) enum RouteService {
    /// Only for callers whom the policy admits.
    Guarded(RequireCertificate<Unverified<ToUpstream>>),
    /// Only for callers whom the policy document lets pass, as it says.
    Policy(ApimPolicy<Unverified<ForwardingService<ToUpstream>>>),
    /// For everyone.
    Open(ToUpstream),
}

/// An answer's body: an upstream's, a refusal's, or the gateway's own.
pub(super) type AnswerBody =
    Either<Either<ResponseBody<Download<UpstreamBody>>, Download<UpstreamBody>>, Full<Bytes>>;

/// Answers a request by the configuration that is published when it comes. What it needs of that is cloned: a
/// request that takes long holds neither the routes nor the identities of its time.
pub(super) async fn answer(
    published: &ArcSwap<RoutingSnapshot>,
    mut request: Request<CallerBody>,
) -> Response<GuardedBody<AnswerBody, Option<Exchange>>> {
    let (is_head, is_grpc) = (request.method() == Method::HEAD, is_grpc(&request));
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    let remote = remote_addr(request.extensions()).map(tracing::field::display);
    let found =
        published.load().route(&mut request).map(|route| (route.facts.clone(), route.service.clone()));
    let (facts, service) = match found {
        Ok(found) => found,
        Err(refused) => {
            let (method, path) = (log::cut(method.as_str()), log::cut(&path));
            tracing::debug!(%method, path = &*path, remote, ?refused, "request refused before any route");
            measure::unrouted(refused.code());
            let response = refused.response();
            let response = if is_grpc { as_grpc(response.status(), refused.code()) } else { response };
            return own(response, is_head).map(|body| GuardedBody::new(body, None));
        }
    };
    let looked = facts.identity_selector.as_ref().map(|by| by.prepare(&mut request));
    let mut exchange = Exchange::begin(facts);
    let answered = match service {
        RouteService::Guarded(service) => {
            let answered = service.oneshot(request).await;
            answered.map(|response| response.map(Either::Left).map(Either::Left))
        }
        RouteService::Policy(service) => {
            let answered = service.oneshot(request).await;
            answered.map(|response| response.map(Either::Left).map(Either::Left))
        }
        RouteService::Open(service) => {
            let answered = service.oneshot(request).await;
            answered.map(|response| response.map(Either::Right).map(Either::Left))
        }
    };
    let mut failed = None;
    let mut response = answered.unwrap_or_else(|failure| {
        let code = failure.code();
        let RouteFacts { path: route, upstream, identity, measures, .. } = exchange.facts();
        let identity = identity.as_deref().filter(|_| failure.is_unknown_identity());
        let looked = looked.filter(|_| failure.is_unknown_identity());
        let (by, value) = (looked.as_ref().map(SelectorValue::by), looked.as_ref().map(SelectorValue::value));
        let (method, path) = (log::cut(method.as_str()), log::cut(&path));
        if failure.is_of_caller() {
            // With refusals, so that callers cannot keep failures of upstreams out of the log.
            tracing::info!(code, %method, path = &*path, route, upstream, remote, "{failure}");
        } else {
            tracing::warn!(code, %method, path = &*path, route, upstream, remote, identity, by, value, "{failure}");
        }
        measures.failed(code);
        failed = Some(code);
        own(failure.response(), is_head)
    });
    exchange.answered(response.status());
    if let Some(code) = failed.filter(|_| is_grpc) {
        response = own(as_grpc(response.status(), code), is_head);
    }
    response.map(|body| GuardedBody::new(body, Some(exchange)))
}

impl RoutingSnapshot {
    pub(crate) fn new(file: Arc<FileRoutes>, apis: Built) -> Self {
        let of_file = file.routes.iter().map(|route| {
            let RouteFacts { host, path, .. } = &*route.facts;
            ((host.clone(), path.clone()), Some(route.clone()))
        });
        let of_apis = apis.routes.values().map(|(path, route)| ((None, path.clone()), route.clone()));
        let (places, routes): (Vec<_>, Vec<_>) = of_file.chain(of_apis).unzip();
        let uses = Arc::new(CertificateUses::new(file.uses.iter().chain(&apis.uses).cloned().collect()));
        Self { table: RouteTable::new(places), routes, uses, file, apis }
    }

    /// All routes that serve.
    pub(crate) fn routes(&self) -> impl Iterator<Item = &Route> {
        self.routes.iter().flatten().map(|route| &**route)
    }

    /// The route of a request for this host and path.
    pub(crate) fn find(&self, host: Option<&str>, path: &Normalised<'_>) -> Result<&Route, Refused> {
        let found = self.table.find(host, &path.path);
        let is_same = |reading: &str| self.table.find(host, reading) == found;
        // Upstreams that drop path parameters would see another path than the one that chose the route.
        let plain = has_parameters(&path.path).then(|| without_parameters(&path.path));
        if plain.as_ref().is_some_and(|plain| !is_same(plain)) {
            return Err(Refused::AmbiguousPath);
        }
        let index = found.ok_or(Refused::NoRoute)?;
        let route = self.routes.get(index).ok_or(Refused::NoRoute)?.as_deref().ok_or(Refused::Broken)?;
        if path.has_empty_segments {
            // So would those that merge empty segments.
            let mut readings = [Some(path.path.as_ref()), plain.as_deref()].into_iter().flatten();
            if !route.allow_empty_segments || !readings.all(|path| is_same(&without_empty_segments(path))) {
                return Err(Refused::AmbiguousPath);
            }
        }
        Ok(route)
    }

    /// The route that takes the place of one for this host and path.
    pub(crate) fn successor(&self, host: Option<&str>, path: &str) -> Option<&Route> {
        self.routes.get(self.table.find(host, path)?)?.as_deref()
    }

    /// Finds the route; the request's path is the one string that rules, routing and upstream all see.
    fn route(&self, request: &mut Request<CallerBody>) -> Result<&Route, Refused> {
        if request.method() == Method::CONNECT {
            return Err(Refused::Connect);
        }
        if target_length(request) > LONGEST_TARGET {
            return Err(Refused::TargetTooLong);
        }
        if head_size(request) > LARGEST_HEAD {
            return Err(Refused::HeadTooLarge);
        }
        if !is_plainly_coded(request.headers()) {
            return Err(Refused::TransferCoding);
        }
        let normal = normalise(request.uri().path())?;
        let route = self.find(host(request)?, &normal)?;
        if let Cow::Owned(path) = normal.path {
            *request.uri_mut() = with_path(request.uri(), path).ok_or(Refused::AmbiguousPath)?;
        }
        Ok(route)
    }
}

/// An answer of the gateway's own; one to HEAD has no body.
fn own(response: Response<Full<Bytes>>, is_head: bool) -> Response<AnswerBody> {
    response.map(|body| Either::Right(if is_head { Full::default() } else { body }))
}
