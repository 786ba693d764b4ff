//! One route: its description, its policy and its layers.

use std::sync::Arc;

use tower::retry::Retry;
use tower_mtls::{
    MtlsClient, Policy, RequireCertificate,
    apim::{ApimPolicy, Document, ForwardingService},
    outbound::{IdentityService, RetryIdempotent},
    proxy::{ProxyBody, ReverseProxy},
};

use super::{identity_selector::IdentitySelector, metrics::RouteMetrics, unverified::Unverified};
use crate::edge::{Bounded, CallerBody, Upload};

/// A route of the configuration file or of an API.
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
