//! `gateway run`.

use std::path::Path;

use metrics_exporter_prometheus::PrometheusHandle;

use crate::{
    build::Loaded,
    management,
    server::{Files, HangupSignals, Server},
};

/// Serves a configuration file until a signal arrives.
pub(super) fn run(file: &Path, metrics: &PrometheusHandle) -> Result<(), String> {
    let (loaded, files) = load(file)?;
    super::block_on(async {
        serve(loaded, files, metrics, |server| {
            let management = server.management_address().map(tracing::field::display);
            tracing::info!(management, address = %server.address(), "serving");
            Ok(())
        })
        .await?;
        tracing::info!("stopped");
        Ok(())
    })
}

/// Loads the file and prints its warnings and notes. The error contains all errors, one per line.
pub(super) fn load(file: &Path) -> Result<(Loaded, Files), String> {
    let (loaded, findings) = Files::load(file);
    let lines =
        |error| findings.iter().filter(move |finding| finding.is_error() == error).map(ToString::to_string);
    for line in lines(false) {
        eprintln!("{line}");
    }
    loaded.ok_or_else(|| lines(true).collect::<Vec<_>>().join("\n"))
}

/// Serves, watches the files, and drains after the first signal. `started` is called once all listeners are bound.
pub(super) async fn serve(
    loaded: Loaded,
    mut files: Files,
    metrics: &PrometheusHandle,
    started: impl FnOnce(&Server) -> Result<(), String>,
) -> Result<(), String> {
    let mut hang_ups = HangupSignals::new();
    let workers = super::start_workers(loaded.workers)?;
    let server = Server::start(loaded, workers, files.status().clone(), metrics.clone()).await;
    let mut server = server.map_err(|error| error.to_string())?;
    started(&server)?;
    tokio::select! {
        never = files.follow(&mut server, &mut hang_ups) => match never {},
        () = management::upkeep(metrics) => {}
        () = super::until_signal() => {}
    }
    server.drain().await;
    Ok(())
}
