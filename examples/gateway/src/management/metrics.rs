//! `/metrics`: what was counted, and how things are at the moment of asking, as Prometheus text.

use std::{fmt::Write, time::Duration};

use metrics_exporter_prometheus::{
    BuildError, Matcher, PrometheusBuilder, PrometheusHandle, PrometheusRecorder,
};
use tower_mtls::{Clock, SystemClock};

use crate::{
    live::Status,
    serve::{self, RoutingSnapshot, Side},
    store::CurrentStore,
};

/// The format's own media type.
pub(super) const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// How often what was measured is sorted.
const UPKEEP: Duration = Duration::from_secs(5);

/// Upper bounds of the durations that are told apart, in seconds.
const DURATIONS: &[f64] =
    &[0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 60.0];

/// Where everything is counted.
pub(crate) fn recorder() -> Result<PrometheusRecorder, BuildError> {
    let durations = Matcher::Full(serve::DURATION.to_owned());
    Ok(PrometheusBuilder::new().set_buckets_for_metric(durations, DURATIONS)?.build_recorder())
}

/// Sorts what was measured, for as long as this is polled: unsorted it takes more and more memory.
pub(crate) async fn upkeep(recorded: &PrometheusHandle) {
    let mut turns = tokio::time::interval(UPKEEP);
    loop {
        turns.tick().await;
        recorded.run_upkeep();
    }
}

/// All there is to tell.
pub(super) fn render(
    recorded: &PrometheusHandle,
    status: &Status,
    site: &RoutingSnapshot,
    published: &CurrentStore,
) -> String {
    let mut text = recorded.render();
    let now = SystemClock.now();
    // Written by hand, since they are computed now: a gauge of the facade would go on telling of identities that
    // are configured no longer.
    gauge(&mut text, "config_stale_seconds", &[("", status.stale_seconds())]);
    let loaded = status.last_load().as_unix() as f64;
    gauge(&mut text, "gateway_config_last_load_timestamp_seconds", &[("", loaded)]);
    gauge(&mut text, "gateway_draining", &[("", f64::from(u8::from(status.is_draining())))]);
    for (side, name, label) in [
        (Side::Identity, "gateway_identity_expires_in_days", "identity"),
        (Side::Listener, "gateway_listener_certificate_expires_in_days", "listener"),
    ] {
        let expiries = site.file.expiries.iter().filter(|expiry| expiry.side == side);
        // Names of the configuration are letters, digits, hyphens and underscores: nothing to escape.
        let values: Vec<_> = expiries
            .map(|expiry| (format!("{{{label}=\"{}\"}}", expiry.name), expiry.days_left(now)))
            .collect();
        let values: Vec<_> = values.iter().map(|(labels, value)| (labels.as_str(), *value)).collect();
        gauge(&mut text, name, &values);
    }
    let stored = published.expiries();
    let values: Vec<_> = stored
        .iter()
        .map(|(id, end)| (format!("{{id=\"{}\"}}", escaped(id)), serve::days_until(*end, now)))
        .collect();
    let values: Vec<_> = values.iter().map(|(labels, value)| (labels.as_str(), *value)).collect();
    gauge(&mut text, "gateway_stored_identity_expires_in_days", &values);
    text
}

/// A label's value; an id has no line breaks.
fn escaped(id: &str) -> String {
    id.replace('\\', r"\\").replace('"', r#"\""#)
}

fn gauge(text: &mut String, name: &str, values: &[(&str, f64)]) {
    if values.is_empty() {
        return;
    }
    // Writing to a string does not fail.
    let _ = writeln!(text, "# TYPE {name} gauge");
    for (labels, value) in values {
        let _ = writeln!(text, "{name}{labels} {value}");
    }
    text.push('\n');
}
