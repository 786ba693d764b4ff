//! The open store, and publication of its contents.

use std::{
    path::Path,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use arc_swap::ArcSwap;
use tokio::task::JoinHandle;
use tower_mtls::ClientIdentity;

use crate::{
    config::{self, Diagnostic, Located},
    routing::{FileRoutes, RoutingSnapshot},
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
        snapshot: &Arc<ArcSwap<RoutingSnapshot>>,
        publish_lock: &Arc<Mutex<()>>,
    ) -> Result<Self, Diagnostic> {
        let current = snapshot.clone();
        let uses = move || current.load().uses.clone();
        let current = snapshot.clone();
        let validate = move |settings: &Settings, item: &Item| validate(&current.load_full(), settings, item);
        let (current, contents, publish_lock) = (snapshot.clone(), published.clone(), publish_lock.clone());
        let serve = move |removed: &[ClientIdentity]| {
            let _guard = lock(&publish_lock);
            let file_routes = current.load().file.clone();
            publish(&current, file_routes.clone(), &contents);
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
fn validate(snapshot: &RoutingSnapshot, settings: &Settings, item: &Item) -> Result<(), ChangeError> {
    if let Item::Backend(id) = item
        && !settings.backends.contains_key(id)
    {
        let users = snapshot.apis.backend_users.iter().filter(|(used, _)| **used == **id);
        let users: Vec<_> = users.map(|(_, by)| by.clone()).collect();
        if !users.is_empty() {
            return Err(ChangeError::InUse(users));
        }
    }
    let built = snapshot.file.api_context.build(settings);
    // An item that is broken already does not prevent changes of others.
    let is_new = |broken: &ItemError| broken.item == *item || !snapshot.apis.broken.contains(broken);
    let broken: Vec<_> = built.broken.into_iter().filter(is_new).collect();
    if broken.is_empty() { Ok(()) } else { Err(ChangeError::Invalid(broken)) }
}

/// Publishes these routes with the store's current APIs, and returns the replaced snapshot.
///
/// Connections and tunnels under the trust of a removed or changed backend are retired.
pub(super) fn publish(
    snapshot: &ArcSwap<RoutingSnapshot>,
    file_routes: Arc<FileRoutes>,
    published: &CurrentStore,
) -> Arc<RoutingSnapshot> {
    file_routes.deployed.refresh(published);
    let settings = published.settings().1;
    let built = file_routes.api_context.build(&settings);
    let new = Arc::new(RoutingSnapshot::new(file_routes, built));
    let old = snapshot.swap(new.clone());
    for broken in new.apis.broken.iter().filter(|broken| !old.apis.broken.contains(broken)) {
        tracing::error!("{} cannot be served: {broken}", broken.item);
    }
    for trust in new.file.api_context.release_trust(&settings) {
        new.file.client.retire_trust(&trust);
    }
    old
}

pub(super) fn lock(publish_lock: &Mutex<()>) -> MutexGuard<'_, ()> {
    publish_lock.lock().unwrap_or_else(PoisonError::into_inner)
}
