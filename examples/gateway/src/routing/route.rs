//! One route: its description, its policy and its layers.

use std::sync::Arc;

use super::{
    identity_selector::IdentitySelector, layers::RouteService, metrics::RouteMetrics, policy::RoutePolicy,
};
use crate::config::OnRevoked;

/// A route of the configuration file or of an API.
#[derive(Debug)]
pub(crate) struct Route {
    pub(crate) facts: Arc<RouteFacts>,
    pub(crate) allow_empty_segments: bool,
    /// True if a request without an admitted certificate is never forwarded.
    pub(crate) is_enforced: bool,
    /// True if rejected requests are forwarded too.
    pub(crate) is_shadow: bool,
    pub(crate) on_revoked: OnRevoked,
    /// The policy of `service`, for explanations.
    pub(crate) policy: RoutePolicy,
    pub(crate) service: RouteService,
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
    pub(crate) metrics: Arc<RouteMetrics>,
}
