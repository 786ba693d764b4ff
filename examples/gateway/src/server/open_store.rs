//! The open store: validation and publication of its changes.

use std::{path::Path, sync::Arc, time::Duration};

use tokio::{
    sync::{OwnedMutexGuard, watch},
    task::{JoinSet, spawn_blocking},
    time,
};

use super::current_routes::CurrentRoutes;
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
        routes: &Arc<CurrentRoutes>,
    ) -> Result<Self, Diagnostic> {
        let revisions = watch::Sender::default();
        let effective = Effective::new(revisions.subscribe());
        let validator = validator(routes.clone(), effective.clone());
        let store::OpenStore { handle, publisher, notices } = store::open(&config, file, validator).await?;
        let mut follower = Follower { routes: routes.clone(), snapshots: publisher.subscribe(), revisions };
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
    routes: Arc<CurrentRoutes>,
    snapshots: watch::Receiver<Arc<Snapshot>>,
    /// The revision that requests see.
    revisions: watch::Sender<Revision>,
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
        let (routes, revision) = (self.routes.clone(), snapshot.revision());
        // Compiling documents blocks: not on a runtime thread.
        spawn_blocking(move || routes.replace_store(snapshot)).await.map_err(StoreError::new)?;
        self.revisions.send_replace(revision);
        Ok(())
    }
}

/// Validates changes of the store by the routes of the same revision.
fn validator(routes: Arc<CurrentRoutes>, effective: Effective) -> Box<Validator> {
    Box::new(move |change| {
        let (routes, effective) = (routes.clone(), effective.clone());
        Box::pin(async move {
            let reached = effective.reach(change.before.revision).await;
            reached
                .map_err(|_| StoreError::new("an earlier change is not applied yet; nothing was changed"))?;
            // Compiling documents blocks: not on a runtime thread.
            let validated = spawn_blocking(move || validate(&routes, &change)).await;
            validated.map_err(StoreError::new)?
        })
    })
}

/// Checks that requests can be served after this change.
fn validate(routes: &CurrentRoutes, change: &SettingsChange) -> Result<(), ChangeError> {
    let routing = routes.snapshot().load_full();
    let SettingsChange { item, before, after } = change;
    if let Item::Certificate(id) = item {
        // Policies could not find the entry.
        if after.certificates.contains_key(id) && routing.file.identities.contains_key(&**id) {
            return Err(ChangeError::Hidden);
        }
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
    let built = routes.api_builder().build(after);
    // An item that is broken already does not prevent changes of others.
    let is_new = |broken: &ItemError| broken.item == *item || !routing.apis.broken.contains(broken);
    let broken: Vec<_> = built.broken.into_iter().filter(is_new).collect();
    if broken.is_empty() { Ok(()) } else { Err(ChangeError::Invalid(broken)) }
}
