//! The layers of a route.

use tower::{Layer, ServiceBuilder};
use tower_mtls::{
    IdentityLayer, MtlsClient, RequireCertificate, RequireCertificateLayer, ReverseProxyLayer,
    apim::{ApimPolicy, ApimPolicyLayer, ForwardingLayer, ForwardingService},
    outbound::IdentityService,
    proxy::{ProxyBody, ReverseProxy},
    serve::CallerBody,
};

use super::{
    in_flight::{JudgeAgainLayer, JudgedAgain},
    policy::RoutePolicy,
    rate_limit::{RateLimited, RateLimits},
    unverified::{Unverified, UnverifiedLayer},
};
use crate::edge::{Bounded, Bounds, LimitedBody, SizeLimits, SizeLimitsLayer};

/// HTTP client shared by all routes.
pub(crate) type Client = MtlsClient<ProxyBody<LimitedBody<CallerBody>>>;

type ToUpstream = JudgedAgain<Bounded<SizeLimits<ReverseProxy<IdentityService<Client>>>>>;

/// The layers of a route, by the kind of its policy.
#[derive(Debug, Clone)]
pub(crate) enum RouteService {
    /// Callers must satisfy the rules.
    Rules(RateLimited<RequireCertificate<Unverified<RateLimited<ToUpstream>>>>),
    /// The policy document authorizes callers.
    Document(RateLimited<ApimPolicy<Unverified<RateLimited<ForwardingService<ToUpstream>>>>>),
    /// All callers are authorized.
    Open(RateLimited<ToUpstream>),
}

/// Parts of the layers of a route.
pub(crate) struct RouteLayers {
    /// True if rejected requests are forwarded too.
    pub(crate) is_shadow: bool,
    /// Identities and upstreams that a policy document can choose.
    pub(crate) forwarding: ForwardingLayer,
    pub(crate) rate_limits: RateLimits,
    pub(crate) bounds: Bounds,
    pub(crate) proxy: ReverseProxyLayer,
    pub(crate) identity: IdentityLayer,
    pub(crate) client: Client,
}

impl RouteLayers {
    /// Builds the service of the route with this host and path. A request passes, in this order:
    ///
    /// 1. the rate limits by address;
    /// 2. the policy, which authorizes the caller;
    /// 3. the counter of certificates that were admitted without verification;
    /// 4. the other rate limits;
    /// 5. the choices of a policy document: identity and upstream;
    /// 6. its registration as in flight: it is judged again by the current snapshot, not by these layers;
    /// 7. the timeouts and the concurrency limit of the route;
    /// 8. the maximum sizes of the route;
    /// 9. the reverse proxy: path and headers of the upstream request;
    /// 10. the client identity, and the client, which repeats idempotent requests.
    pub(crate) fn service(self, policy: &RoutePolicy, host: Option<&str>, path: &str) -> RouteService {
        let Self { is_shadow, forwarding, rate_limits, bounds, proxy, identity, client } = self;
        let sizes = SizeLimitsLayer::new(&bounds.limits);
        let to_upstream = ServiceBuilder::new()
            .layer(JudgeAgainLayer)
            .layer(bounds)
            .layer(sizes)
            .layer(proxy)
            .layer(identity)
            .service(client);
        let unverified = |is_anchored| UnverifiedLayer::new(is_anchored, host.unwrap_or_default(), path);
        match policy {
            RoutePolicy::None => RouteService::Open(rate_limits.layer(to_upstream)),
            RoutePolicy::Rules(policy) => {
                let (before, after) = rate_limits.into_before_and_after_admission();
                let layer = RequireCertificateLayer::new(policy.clone()).allow_revoked_to_finish();
                let layer = if is_shadow { layer.shadow() } else { layer };
                let inside = unverified(policy.is_anchored()).layer(after.layer(to_upstream));
                RouteService::Rules(before.layer(layer.layer(inside)))
            }
            RoutePolicy::Document(document) => {
                let (before, after) = rate_limits.into_before_and_after_admission();
                let layer = ApimPolicyLayer::new(document.clone()).allow_revoked_to_finish();
                let layer = if is_shadow { layer.shadow() } else { layer };
                let inside = after.layer(forwarding.layer(to_upstream));
                let inside = unverified(document.summary().is_anchored).layer(inside);
                RouteService::Document(before.layer(layer.layer(inside)))
            }
        }
    }
}
