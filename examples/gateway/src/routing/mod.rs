//! Routing snapshots: the route table, routes with their layers, and responses of the gateway. Imports `edge`, `store`
//! and `config`.

mod api_routes;
mod error_response;
mod exchange;
mod expiry;
mod file_routes;
mod handshake_rule;
mod head;
mod identity_selector;
mod in_flight;
mod layers;
mod metrics;
mod policy;
mod rate_limit;
mod respond;
mod route;
mod snapshot;
mod table;
mod unverified;

pub(crate) use self::{
    api_routes::ApiRoutes,
    error_response::RoutingError,
    expiry::{CertificateOwner, Expiry, days_until},
    file_routes::FileRoutes,
    handshake_rule::HandshakeRule,
    identity_selector::IdentitySelector,
    layers::{Client, RouteLayers},
    metrics::{DURATION, RouteMetrics},
    policy::RoutePolicy,
    rate_limit::{RateLimiter, RateLimits, Rates},
    respond::respond,
    route::{Route, RouteFacts},
    snapshot::RoutingSnapshot,
    table::RouteTable,
};
