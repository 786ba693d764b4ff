//! `/metrics`: counters, and gauges computed at the time of the request, as Prometheus text.

use std::{fmt::Write, time::Duration};

use metrics_exporter_prometheus::{
    BuildError, Matcher, PrometheusBuilder, PrometheusHandle, PrometheusRecorder,
};
use tokio::task::spawn_blocking;
use tower_mtls::certificate::{Clock, SystemClock};

use super::crl_metrics;
use crate::{
    routing::{self, CertificateOwner, RoutingSnapshot},
    status::Status,
    store::CurrentStore,
};

/// Media type of the Prometheus text format.
pub(super) const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Interval between upkeep runs of the recorder.
const UPKEEP_INTERVAL: Duration = Duration::from_secs(5);

/// Upper bounds of the duration buckets, in seconds.
const DURATIONS: &[f64] =
    &[0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 60.0];

/// Creates the metrics recorder.
pub(crate) fn recorder() -> Result<PrometheusRecorder, BuildError> {
    let durations = Matcher::Full(routing::DURATION.to_owned());
    Ok(PrometheusBuilder::new().set_buckets_for_metric(durations, DURATIONS)?.build_recorder())
}

/// Aggregates measurements for as long as this is polled; without it their memory grows.
pub(crate) async fn upkeep(recorder: &PrometheusHandle) {
    let mut interval = tokio::time::interval(UPKEEP_INTERVAL);
    loop {
        interval.tick().await;
        let recorder = recorder.clone();
        // Aggregates the measurements of each route. A panic is printed by its hook.
        let _ = spawn_blocking(move || recorder.run_upkeep()).await;
    }
}

/// Renders all metrics.
pub(super) fn render(
    recorder: &PrometheusHandle,
    status: &Status,
    routing: &RoutingSnapshot,
    published: &CurrentStore,
) -> String {
    let mut text = recorder.render();
    let now = SystemClock.now();
    // Not registered as gauges, which would remain for identities that are no longer configured.
    let seconds = status.last_load().as_unix() as f64;
    let draining = f64::from(u8::from(status.is_draining()));
    for (name, value) in [
        ("config_stale_seconds", status.stale_seconds()),
        ("gateway_config_last_load_timestamp_seconds", seconds),
        ("gateway_draining", draining),
    ] {
        gauge(&mut text, name, [(String::new(), value)]);
    }
    for (owner, name, label) in [
        (CertificateOwner::Identity, "gateway_identity_expires_in_days", "identity"),
        (CertificateOwner::Listener, "gateway_listener_certificate_expires_in_days", "listener"),
    ] {
        let expiries = routing.file.expiries.iter().filter(|expiry| expiry.owner == owner);
        // Names in the configuration consist of letters, digits, hyphens and underscores: no escaping needed.
        let labels = |name: &str| format!("{{{label}=\"{name}\"}}");
        gauge(&mut text, name, expiries.map(|expiry| (labels(&expiry.name), expiry.days_left(now))));
    }
    let stored = published.expiries().into_iter();
    let stored =
        stored.map(|(id, end)| (format!("{{id=\"{}\"}}", escaped(&id)), routing::days_until(end, now)));
    gauge(&mut text, "gateway_stored_identity_expires_in_days", stored);
    for (name, values) in crl_metrics::gauges(&routing.file.revocations, now) {
        gauge(&mut text, name, values);
    }
    text
}

/// Escapes a label value.
pub(super) fn escaped(value: &str) -> String {
    value.replace('\\', r"\\").replace('"', r#"\""#).replace('\n', r"\n")
}

/// Writes a gauge with its values by labels; nothing if there are none.
fn gauge(text: &mut String, name: &str, values: impl IntoIterator<Item = (String, f64)>) {
    let mut values = values.into_iter().peekable();
    if values.peek().is_none() {
        return;
    }
    // Writing to a string cannot fail.
    let _ = writeln!(text, "# TYPE {name} gauge");
    for (labels, value) in values {
        let _ = writeln!(text, "{name}{labels} {value}");
    }
    text.push('\n');
}
