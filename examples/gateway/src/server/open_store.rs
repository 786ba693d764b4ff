//! The open store, and publication of its contents.

use std::{path::Path, sync::Arc};

use tokio::task::JoinHandle;
use tower_mtls::ClientIdentity;

use super::current_routes::CurrentRoutes;
use crate::{
    config::{self, Diagnostic, Located},
    store::{self, Apis, Certificates, ChangeError, CurrentStore, Item, ItemError, Settings},
};

/// The store, open until the gateway ends.
#[derive(Debug)]
pub(super) struct OpenStore {
    pub(super) config: Located<config::Store>,
    pub(super) certificates: Arc<Certificates>,
    pub(super) apis: Arc<Apis>,
    publisher: JoinHandle<()>,
}

impl Drop for OpenStore {
    fn drop(&mut self) {
        self.publisher.abort();
    }
}

impl OpenStore {
    /// Opens the store, and publishes its changes until this is dropped.
    pub(super) async fn open(
        config: Located<config::Store>,
        file: &Path,
        published: Arc<CurrentStore>,
        routes: &Arc<CurrentRoutes>,
    ) -> Result<Self, Diagnostic> {
        let current = routes.snapshot().clone();
        let uses = move || current.load().uses.clone();
        let current = routes.clone();
        let validate = move |settings: &Settings, item: &Item| validate(&current, settings, item);
        let current = routes.clone();
        let serve = move |removed: &[ClientIdentity]| {
            let file_routes = current.refresh();
            removed.iter().for_each(|identity| file_routes.client.retire_identity(identity));
        };
        let store::OpenStore { certificates, apis, publisher, notices } =
            store::open(&config, file, published, uses, validate, serve).await?;
        for notice in notices {
            tracing::warn!("store: {notice}");
        }
        for (id, stored) in &apis.settings().backends {
            stored.value.warn_of_danger(id);
        }
        let publisher = tokio::spawn(async move { match publisher.run().await {} });
        Ok(Self { config, certificates, apis, publisher })
    }
}

/// Checks that requests can be served with these settings, one item of which has changed.
fn validate(routes: &CurrentRoutes, settings: &Settings, item: &Item) -> Result<(), ChangeError> {
    let snapshot = routes.snapshot().load_full();
    if let Item::Backend(id) = item
        && !settings.backends.contains_key(id)
    {
        let users = snapshot.apis.backend_users.iter().filter(|(used, _)| **used == **id);
        let users: Vec<_> = users.map(|(_, by)| by.clone()).collect();
        if !users.is_empty() {
            return Err(ChangeError::InUse(users));
        }
    }
    let built = routes.api_builder().build(settings);
    // An item that is broken already does not prevent changes of others.
    let is_new = |broken: &ItemError| broken.item == *item || !snapshot.apis.broken.contains(broken);
    let broken: Vec<_> = built.broken.into_iter().filter(is_new).collect();
    if broken.is_empty() { Ok(()) } else { Err(ChangeError::Invalid(broken)) }
}
