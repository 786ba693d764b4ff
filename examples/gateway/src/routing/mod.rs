//! Routing snapshots: the route table, routes with their layers, and responses of the gateway. Imports `edge`, `store`
//! and `config`.

pub(crate) mod error_response;
mod expiry;
mod head;
mod identity_selector;
pub(crate) mod metrics;
mod routes;
pub(crate) mod snapshot;
mod unverified;

pub(crate) use self::{
    error_response::RoutingError,
    expiry::{CertificateOwner, Expiry, days_until},
    identity_selector::IdentitySelector,
    metrics::{DURATION, RouteMetrics},
    routes::RouteTable,
    snapshot::{Client, FileRoutes, Route, RouteFacts, RoutePolicy, RouteService, RoutingSnapshot, respond},
    unverified::UnverifiedLayer,
};
