//! The management listener: how the gateway is, for whoever may know.
//!
//! Anybody is told whether it lives and whether it takes requests, and nothing more. The rest needs the token, a
//! certificate that the rules admit, or both, as configured. What else is managed over HTTP becomes a route of this
//! router, behind [`Access`].

mod access;
mod metrics;
mod token;

use std::sync::Arc;

use arc_swap::ArcSwap;
use axum::{
    Router,
    http::{StatusCode, header},
    routing::get,
};
use metrics_exporter_prometheus::PrometheusHandle;

pub(crate) use self::{
    access::Access,
    metrics::{recorder, upkeep},
    token::Token,
};
use crate::{live::Status, serve::Site};

/// What the management listener answers.
pub(crate) fn router(
    access: Access,
    status: Arc<Status>,
    site: Arc<ArcSwap<Site>>,
    recorded: PrometheusHandle,
) -> Router {
    let readiness = status.clone();
    let scrape = move || {
        let text = metrics::render(&recorded, &status, &site.load());
        async move { ([(header::CONTENT_TYPE, metrics::CONTENT_TYPE)], text) }
    };
    let guarded = access.guard(Router::new().route("/metrics", get(scrape)));
    let open = Router::new()
        .route("/healthz", get(async || StatusCode::OK))
        .route("/readyz", get(move || std::future::ready(ready(&readiness))));
    open.merge(guarded)
}

fn ready(status: &Status) -> StatusCode {
    if status.is_draining() { StatusCode::SERVICE_UNAVAILABLE } else { StatusCode::OK }
}
