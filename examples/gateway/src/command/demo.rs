//! `gateway demo`.

use std::{
    io::{self, Write},
    path::Path,
};

use metrics_exporter_prometheus::PrometheusHandle;
use tower_mtls::certificate::{Clock, SystemClock};

use super::run;
use crate::demo::{self, pki, tour, upstream};

/// File name of the configuration in the demo's folder.
const CONFIG: &str = "gateway.toml";

/// Writes the demo's files, starts upstreams and gateway, and prints the tour.
pub(super) fn demo(
    dir: &Path,
    port: u16,
    management_port: u16,
    metrics: &PrometheusHandle,
) -> Result<(), String> {
    let now = time::OffsetDateTime::from_unix_timestamp(SystemClock.now().as_unix())
        .map_err(|error| error.to_string())?;
    if port == management_port && port != 0 {
        return Err("--management-port: same as --port; choose another port".into());
    }
    // Held until the process exits.
    let _lock = pki::lock(dir).map_err(|error| error.to_string())?;
    pki::ensure(dir, now).map_err(|error| error.to_string())?;
    super::block_on(serve(dir, [port, management_port], metrics))
}

async fn serve(dir: &Path, ports: [u16; 2], metrics: &PrometheusHandle) -> Result<(), String> {
    let upstreams = demo::bind_upstreams(ports)
        .await
        .map_err(|error| format!("cannot bind the demo's upstreams: {error}"))?;
    let upstream_ports =
        upstreams.each_ref().map(|listener| listener.local_addr().map(|address| address.port()));
    let [Ok(first), Ok(second)] = upstream_ports else {
        return Err("the demo's upstreams have no address".into());
    };
    pki::write_public(dir, CONFIG, &demo::toml::render(ports, [first, second]))
        .map_err(|error| error.to_string())?;

    let tls = upstream::tls(dir).map_err(|error| error.to_string())?;
    let [orders, open] = upstreams;
    let _upstreams =
        [upstream::start(orders, tls.clone(), "upstream 1"), upstream::start(open, tls, "upstream 2")];

    let (loaded, files) = run::load(&dir.join(CONFIG))?;
    run::serve(loaded, files, metrics, |server| {
        let management = server.management_address().map(|address| address.port()).unwrap_or_default();
        print(&tour::text(dir, server.address().port(), management))
            .map_err(|error| format!("cannot print the tour: {error}"))
    })
    .await
    .map_err(with_demo_remedy)
}

/// Replaces remedies that refer to the configuration file by the demo's options.
fn with_demo_remedy(message: String) -> String {
    if message.contains(": store.path: ") && message.contains("another process") {
        return pki::PkiError::InUse.to_string();
    }
    let option = match () {
        () if message.contains(": management.address: ") => "--management-port",
        () if message.contains(": listener.address: ") => "--port",
        () => return message,
    };
    let (problem, _) = message.split_once("; ").unwrap_or((&message, ""));
    format!("{problem}; choose another port with {option} N, or stop the process that listens on it")
}

fn print(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.flush()
}
