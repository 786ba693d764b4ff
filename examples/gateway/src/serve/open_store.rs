//! The open store: validation and publication of its changes.

use std::{
    path::Path,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use arc_swap::ArcSwap;
use tokio::{
    sync::{OwnedMutexGuard, watch},
    task::{JoinSet, spawn_blocking},
    time,
};

use super::{FileRoutes, RoutingSnapshot};
use crate::{
    config::{self, Diagnostic, Located, Severity},
    management::Effective,
    store::{
        self, ChangeError, CurrentStore, Item, ItemError, Revision, SettingsChange, Snapshot, StoreError,
        StoreHandle, Validator,
    },
};

/// Delay after a failed publication.
const RETRY: Duration = Duration::from_secs(1);

/// The store, open until the gateway ends.
#[derive(Debug)]
pub(super) struct OpenStore {
    pub(super) config: Located<config::Store>,
    handle: Arc<StoreHandle>,
    effective: Effective,
    _tasks: JoinSet<()>,
}

impl OpenStore {
    /// Opens the store, and publishes its changes until this is dropped.
    pub(super) async fn open(
        config: Located<config::Store>,
        file: &Path,
        published: Arc<CurrentStore>,
        routing: &Arc<ArcSwap<RoutingSnapshot>>,
        publish_lock: &Arc<Mutex<()>>,
    ) -> Result<Self, Diagnostic> {
        let revisions = watch::Sender::default();
        let effective = Effective::new(revisions.subscribe());
        let validator = validator(routing.clone(), effective.clone());
        let store::OpenStore { handle, publisher, notices } = store::open(&config, file, validator).await?;
        let contents = StoreContents {
            routing: routing.clone(),
            published: published.clone(),
            publish_lock: publish_lock.clone(),
        };
        let mut follower = Follower { contents, snapshots: publisher.subscribe(), revisions };
        follower.publish().await.map_err(|error| {
            let remedy = "check whether the disk is full or faulty";
            config.path.diagnostic(file, Severity::Error, error.to_string(), remedy)
        })?;
        for notice in notices {
            tracing::warn!("store: {notice}");
        }
        for (id, stored) in &published.settings().backends {
            stored.value.warn_of_danger(id);
        }
        let mut tasks = JoinSet::new();
        tasks.spawn(async move { match publisher.run().await {} });
        tasks.spawn(follower.run());
        Ok(Self { config, handle: Arc::new(handle), effective, _tasks: tasks })
    }

    /// Returns the store for the management API, and the revision that requests see.
    pub(super) fn handles(&self) -> (Arc<StoreHandle>, Effective) {
        (self.handle.clone(), self.effective.clone())
    }

    /// Blocks changes until the guard is dropped, once requests see all earlier ones.
    pub(super) async fn pause(&self) -> OwnedMutexGuard<()> {
        self.handle.lock().await
    }
}

/// Publishes each snapshot of the store to requests.
struct Follower {
    contents: StoreContents,
    snapshots: watch::Receiver<Arc<Snapshot>>,
    /// The revision that requests see.
    revisions: watch::Sender<Revision>,
}

/// The contents of the store as requests see them, and the routes to them.
#[derive(Clone)]
struct StoreContents {
    routing: Arc<ArcSwap<RoutingSnapshot>>,
    published: Arc<CurrentStore>,
    publish_lock: Arc<Mutex<()>>,
}

impl Follower {
    async fn run(mut self) {
        while self.snapshots.changed().await.is_ok() {
            while let Err(error) = self.publish().await {
                tracing::error!("store: changes are not applied: {error}");
                time::sleep(RETRY).await;
            }
        }
    }

    /// Publishes the latest snapshot.
    async fn publish(&mut self) -> Result<(), StoreError> {
        let snapshot = self.snapshots.borrow_and_update().clone();
        let (contents, revision) = (self.contents.clone(), snapshot.revision());
        // Compiling documents blocks: not on a runtime thread.
        spawn_blocking(move || contents.replace(snapshot)).await.map_err(StoreError::new)?;
        self.revisions.send_replace(revision);
        Ok(())
    }
}

impl StoreContents {
    /// Replaces the contents, and retires the identities that were removed or replaced.
    fn replace(&self, snapshot: Arc<Snapshot>) {
        let _guard = lock(&self.publish_lock);
        let retired = self.published.replace(snapshot);
        let file_routes = self.routing.load().file.clone();
        publish(&self.routing, file_routes.clone(), &self.published);
        retired.iter().for_each(|identity| file_routes.client.retire_identity(identity));
    }
}

/// Validates changes of the store by the routes of the same revision.
fn validator(routing: Arc<ArcSwap<RoutingSnapshot>>, effective: Effective) -> Box<Validator> {
    Box::new(move |change| {
        let (routing, effective) = (routing.clone(), effective.clone());
        Box::pin(async move {
            effective.reach(change.before.revision).await?;
            // Compiling documents blocks: not on a runtime thread.
            let validated = spawn_blocking(move || validate(&routing.load_full(), &change)).await;
            validated.map_err(StoreError::new)?
        })
    })
}

/// Checks that requests can be served after this change.
fn validate(routing: &RoutingSnapshot, change: &SettingsChange) -> Result<(), ChangeError> {
    let SettingsChange { item, before, after } = change;
    if let Item::Certificate(id) = item {
        return match (before.certificates.get(id), after.certificates.get(id)) {
            (Some(current), None) => routing.uses.check_removal(&current.value),
            (Some(current), Some(new)) => routing.uses.check_replacement(&current.value, &new.value),
            (None, _) => Ok(()),
        };
    }
    if let Item::Backend(id) = item
        && !after.backends.contains_key(id)
    {
        let users = routing.apis.backend_users.iter().filter(|(used, _)| **used == **id);
        let users: Vec<_> = users.map(|(_, by)| by.clone()).collect();
        if !users.is_empty() {
            return Err(ChangeError::InUse(users));
        }
    }
    let built = routing.file.api_context.build(after);
    // An item that is broken already does not prevent changes of others.
    let is_new = |broken: &ItemError| broken.item == *item || !routing.apis.broken.contains(broken);
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
    let settings = published.settings();
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
