//! The routes that serve. They are replaced as a whole, by a new configuration file or by a change of the store.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use arc_swap::ArcSwap;

use crate::{
    build::{ApiBuilder, Publication},
    routing::{ApiRoutes, FileRoutes, RoutingSnapshot},
    store::{CurrentStore, Snapshot},
};

/// The current routing snapshot, and the builder of its APIs.
#[derive(Debug)]
pub(super) struct CurrentRoutes {
    snapshot: Arc<ArcSwap<RoutingSnapshot>>,
    /// Locked while the snapshot is replaced.
    api_builder: Mutex<Arc<ApiBuilder>>,
    store: Arc<CurrentStore>,
}

impl CurrentRoutes {
    /// Starts with the routes of the configuration file. [`replace_store`](Self::replace_store) adds the APIs of an open store.
    pub(super) fn new(
        file_routes: Arc<FileRoutes>,
        api_builder: Arc<ApiBuilder>,
        store: Arc<CurrentStore>,
        publication: &Publication,
    ) -> Self {
        publication.begin(&BTreeMap::new(), &file_routes.identities);
        let snapshot = RoutingSnapshot::new(file_routes, ApiRoutes::default());
        Self {
            snapshot: Arc::new(ArcSwap::from_pointee(snapshot)),
            api_builder: Mutex::new(api_builder),
            store,
        }
    }

    /// Returns the snapshot that requests use.
    pub(super) fn snapshot(&self) -> &Arc<ArcSwap<RoutingSnapshot>> {
        &self.snapshot
    }

    /// Returns the builder of the current snapshot's APIs.
    pub(super) fn api_builder(&self) -> Arc<ApiBuilder> {
        self.lock().clone()
    }

    /// Publishes the routes of a new configuration file, with the store's current APIs. Returns the replaced snapshot and
    /// its builder.
    pub(super) fn replace(
        &self,
        file_routes: Arc<FileRoutes>,
        api_builder: Arc<ApiBuilder>,
        publication: &Publication,
    ) -> (Arc<RoutingSnapshot>, Arc<ApiBuilder>) {
        let mut current = self.lock();
        publication.begin(&self.snapshot.load().file.identities, &file_routes.identities);
        let old = self.publish(file_routes.clone(), &api_builder);
        publication.finish(&file_routes.identities);
        (old, std::mem::replace(&mut current, api_builder))
    }

    /// Publishes a snapshot of the store beside the same routes of the file, and retires the identities that it removes or
    /// replaces.
    pub(super) fn replace_store(&self, snapshot: Arc<Snapshot>) {
        let api_builder = self.lock();
        let retired = self.store.replace(snapshot);
        let file_routes = self.snapshot.load().file.clone();
        self.publish(file_routes.clone(), &api_builder);
        retired.iter().for_each(|identity| file_routes.client.retire_identity(identity));
    }

    /// Publishes these routes with the store's current APIs, and returns the replaced snapshot.
    ///
    /// Connections and tunnels under the trust of a removed or changed backend are retired.
    fn publish(&self, file_routes: Arc<FileRoutes>, api_builder: &ApiBuilder) -> Arc<RoutingSnapshot> {
        file_routes.deployed.refresh(&self.store);
        let settings = self.store.settings();
        let new = Arc::new(RoutingSnapshot::new(file_routes, api_builder.build(&settings)));
        let old = self.snapshot.swap(new.clone());
        for broken in new.apis.broken.iter().filter(|broken| !old.apis.broken.contains(broken)) {
            tracing::error!("{} cannot be served: {broken}", broken.item);
        }
        for trust in api_builder.release_trust(&settings) {
            new.file.client.retire_trust(&trust);
        }
        old
    }

    fn lock(&self) -> MutexGuard<'_, Arc<ApiBuilder>> {
        self.api_builder.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
