//! The layers of a route.

use tower::{Layer, ServiceBuilder, retry::Retry};
use tower_mtls::{
    IdentityLayer, MtlsClient, RequireCertificate, RequireCertificateLayer, ReverseProxyLayer,
    apim::{ApimPolicy, ApimPolicyLayer, ForwardingLayer, ForwardingService},
    outbound::{IdentityService, RetryIdempotent},
    proxy::{ProxyBody, ReverseProxy},
    serve::CallerBody,
};

use super::{
    policy::RoutePolicy,
    unverified::{Unverified, UnverifiedLayer},
};
use crate::edge::{Bounded, Bounds, Upload};

/// HTTP client shared by all routes.
pub(crate) type Client = MtlsClient<ProxyBody<Upload<CallerBody>>>;

type ToUpstream = Bounded<ReverseProxy<Retry<RetryIdempotent, IdentityService<Client>>>>;

/// The layers of a route, by the kind of its policy.
#[derive(Debug, Clone)]
pub(crate) enum RouteService {
    /// Callers must satisfy the rules.
    Rules(RequireCertificate<Unverified<ToUpstream>>),
    /// The policy document authorizes callers.
    Document(ApimPolicy<Unverified<ForwardingService<ToUpstream>>>),
    /// All callers are authorized.
    Open(ToUpstream),
}

/// Parts of the layers of a route.
pub(crate) struct RouteLayers {
    /// True if rejected requests are forwarded too.
    pub(crate) is_shadow: bool,
    /// Identities and upstreams that a policy document can choose.
    pub(crate) forwarding: ForwardingLayer,
    pub(crate) bounds: Bounds,
    pub(crate) proxy: ReverseProxyLayer,
    pub(crate) identity: IdentityLayer,
    pub(crate) client: Client,
}

impl RouteLayers {
    /// Builds the service of the route with this host and path. A request passes, in this order:
    ///
    /// 1. the policy, which authorizes the caller;
    /// 2. the counter of certificates that were admitted without verification;
    /// 3. the choices of a policy document: identity and upstream;
    /// 4. the timeouts and the concurrency limit of the route;
    /// 5. the reverse proxy: path and headers of the upstream request;
    /// 6. retries of idempotent requests;
    /// 7. the client identity, and the client.
    pub(crate) fn service(self, policy: &RoutePolicy, host: Option<&str>, path: &str) -> RouteService {
        let Self { is_shadow, forwarding, bounds, proxy, identity, client } = self;
        let to_upstream = ServiceBuilder::new()
            .layer(bounds)
            .layer(proxy)
            .retry(RetryIdempotent::default())
            .layer(identity)
            .service(client);
        let unverified = |is_anchored| UnverifiedLayer::new(is_anchored, host.unwrap_or_default(), path);
        match policy {
            RoutePolicy::None => RouteService::Open(to_upstream),
            RoutePolicy::Rules(policy) => {
                let layer = RequireCertificateLayer::new(policy.clone());
                let layer = if is_shadow { layer.shadow() } else { layer };
                RouteService::Rules(layer.layer(unverified(policy.is_anchored()).layer(to_upstream)))
            }
            RoutePolicy::Document(document) => {
                let layer = ApimPolicyLayer::new(document.clone());
                let layer = if is_shadow { layer.shadow() } else { layer };
                let inside = unverified(document.summary().is_anchored).layer(forwarding.layer(to_upstream));
                RouteService::Document(layer.layer(inside))
            }
        }
    }
}
