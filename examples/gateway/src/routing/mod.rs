//! Routing snapshots: the route table, routes with their layers, and responses of the gateway. Imports `edge`, `store`
//! and `config`.

mod api_routes;
mod error_response;
mod exchange;
mod expiry;
mod file_routes;
mod head;
mod identity_selector;
mod metrics;
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
    identity_selector::IdentitySelector,
    metrics::{DURATION, RouteMetrics},
    respond::respond,
    route::{Client, Route, RouteFacts, RoutePolicy, RouteService},
    snapshot::RoutingSnapshot,
    table::RouteTable,
    unverified::UnverifiedLayer,
};
