//! `gateway run`.

use std::path::Path;

use crate::{load, serve};

/// Serves the file until a signal ends it.
pub(super) fn run(file: &Path) -> Result<(), String> {
    let loaded = loaded(file)?;
    super::runtime()?.block_on(async {
        let server = serve::bind(loaded).await?;
        tracing::info!(address = %server.address(), "serving");
        server.run(super::until_signal()).await;
        tracing::info!("stopped");
        Ok(())
    })
}

/// What the file says, with its warnings and notes printed; or all its errors, one a line.
pub(super) fn loaded(file: &Path) -> Result<load::Loaded, String> {
    let (loaded, findings) = load::load(file);
    let lines =
        |error| findings.iter().filter(move |finding| finding.is_error() == error).map(ToString::to_string);
    for line in lines(false) {
        eprintln!("{line}");
    }
    loaded.ok_or_else(|| lines(true).collect::<Vec<_>>().join("\n"))
}
