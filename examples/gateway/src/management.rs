//! The management listener: how the gateway is, for whoever may know.
//!
//! Anybody is told whether it lives and whether it takes requests, and is given the portal's empty page, and nothing
//! more. The rest needs the token, a certificate that the rules admit, or both, as configured: [`Access`].

mod access;
mod arm;
mod browser;
mod hosts;
mod metrics;
mod portal;
mod token;

use std::sync::Arc;

use arc_swap::ArcSwap;
use axum::{
    Router,
    extract::Request,
    http::{StatusCode, header},
    routing::{any, get},
};
use metrics_exporter_prometheus::PrometheusHandle;

use self::arm::{Resources, Stored};
pub(crate) use self::{
    access::Access,
    hosts::Hosts,
    metrics::{recorder, upkeep},
    token::Token,
};
use crate::{live::Status, serve::RoutingSnapshot, store::CurrentStore};

/// What the management listener answers.
pub(crate) fn router(
    access: Access,
    status: Arc<Status>,
    site: Arc<ArcSwap<RoutingSnapshot>>,
    recorded: PrometheusHandle,
    stored: Stored,
    published: Arc<CurrentStore>,
) -> Router {
    let readiness = status.clone();
    let resources = Resources::new(access.hosts().clone(), stored, site.clone());
    let scrape = move || {
        let text = metrics::render(&recorded, &status, &site.load(), &published);
        async move { ([(header::CONTENT_TYPE, metrics::CONTENT_TYPE)], text) }
    };
    let portal = portal::router(access.hosts());
    let guarded = Router::new()
        .route("/metrics", get(scrape))
        .route("/subscriptions/{*resource}", any(move |request: Request| resources.clone().answer(request)));
    let guarded = access.guard(guarded);
    let open = Router::new()
        .route("/healthz", get(async || StatusCode::OK))
        .route("/readyz", get(move || std::future::ready(ready(&readiness))));
    open.merge(portal).merge(guarded)
}

fn ready(status: &Status) -> StatusCode {
    if status.is_draining() { StatusCode::SERVICE_UNAVAILABLE } else { StatusCode::OK }
}
