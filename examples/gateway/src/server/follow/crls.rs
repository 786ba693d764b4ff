//! CRLs that change while the configuration cannot be loaded: an invalid file must not delay a revocation.

use std::sync::PoisonError;

use tokio::task::spawn_blocking;

use super::{Files, await_files};
use crate::{build, config::Diagnostic, server::running::Server};

impl Files {
    /// Serves the last valid configuration with its current CRLs, if they have changed. Returns the errors.
    pub(super) async fn reload_crls(&mut self, server: &mut Server) -> Vec<Diagnostic> {
        let cache = self.cache.clone();
        // Reading files blocks, so it runs on a thread of its own.
        let loading = spawn_blocking(move || {
            build::load_crls(&mut cache.lock().unwrap_or_else(PoisonError::into_inner))
        });
        let Ok((loaded, mut errors)) = await_files(&self.status, loading).await else { return Vec::new() };
        let is_replaced = match loaded {
            Some(loaded) => server.replace(loaded).await.map_err(|error| errors.push(error)).is_ok(),
            None => false,
        };
        self.finish_load(is_replaced);
        if is_replaced {
            tracing::info!("CRLs reloaded with the last valid configuration");
        }
        errors
    }
}
