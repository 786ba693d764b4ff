//! The management listener: health, metrics, REST API and portal.
//!
//! `/healthz`, `/readyz` and the portal's static files are open to any client. All other routes require the token, a
//! certificate that the rules admit, or both, as configured: [`Access`].

mod access;
mod browser;
mod crl_metrics;
mod effective;
mod hosts;
mod metrics;
mod portal;
mod rest;
mod token;

use std::sync::Arc;

use arc_swap::ArcSwap;
use axum::{
    Router,
    http::{StatusCode, header},
    routing::get,
};
use metrics_exporter_prometheus::PrometheusHandle;
use tokio::task::spawn_blocking;

use self::rest::{ManagementApi, StoreHandles};
pub(crate) use self::{
    access::Access,
    effective::Effective,
    hosts::Hosts,
    metrics::{recorder, upkeep},
    token::Token,
};
use crate::{routing::RoutingSnapshot, status::Status, store::CurrentStore};

/// Builds the router of the management listener.
pub(crate) fn router(
    access: Access,
    status: Arc<Status>,
    routing: Arc<ArcSwap<RoutingSnapshot>>,
    recorder: PrometheusHandle,
    store: StoreHandles,
    published: Arc<CurrentStore>,
) -> Router {
    let readiness = status.clone();
    let api = ManagementApi::new(store, published.clone(), routing.clone()).router(access.hosts().clone());
    let scrape = move || {
        let (recorder, status) = (recorder.clone(), status.clone());
        let (routing, published) = (routing.load_full(), published.clone());
        async move {
            // The text has several lines for each route.
            let rendering = spawn_blocking(move || metrics::render(&recorder, &status, &routing, &published));
            let text = rendering.await.map_err(|_| StatusCode::INTERNAL_SERVER_ERROR)?;
            Ok::<_, StatusCode>(([(header::CONTENT_TYPE, metrics::CONTENT_TYPE)], text))
        }
    };
    let portal = portal::router(access.hosts());
    let guarded = access.guard(Router::new().route("/metrics", get(scrape)).merge(api));
    let open = Router::new()
        .route("/healthz", get(async || StatusCode::OK))
        .route("/readyz", get(move || std::future::ready(ready(&readiness))));
    open.merge(portal).merge(guarded)
}

fn ready(status: &Status) -> StatusCode {
    if status.is_ready() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE }
}
