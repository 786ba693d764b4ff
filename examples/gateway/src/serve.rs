//! Serving a loaded configuration, and replacing it by another one.

mod activity;
mod answer;
mod body;
mod bounds;
mod connection;
mod delivery;
mod early;
mod expiry;
mod flush;
mod head;
mod identity_selector;
mod limits;
mod listener;
mod listener_control;
mod measure;
mod snapshot;
mod strict_http1;
mod tunnel;
mod unverified;
mod watched_io;

use std::{
    collections::BTreeMap,
    convert::Infallible,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use arc_swap::ArcSwap;
use axum::Router;
use metrics_exporter_prometheus::PrometheusHandle;
use tokio::{
    task::{JoinHandle, JoinSet},
    time,
};
use tower::{ServiceExt, service_fn};
use tower_mtls::ClientIdentity;

pub(crate) use self::{
    answer::Refused,
    bounds::Bounds,
    expiry::{Expiry, Side, days_until},
    identity_selector::IdentitySelector,
    limits::upstream_connections,
    listener::Listener,
    measure::{DURATION, RouteMeasures},
    snapshot::{Client, FileRoutes, Guard, Route, RouteFacts, RouteService, RoutingSnapshot},
    unverified::UnverifiedLayer,
};
use self::{body::CallerBody, limits::ConnectionLimit};
use crate::{
    config::{self, Diagnostic, Limits, Located, Severity},
    live::Status,
    load::{Built, Endpoint, Loaded},
    management::{self, Access},
    store::{self, Apis, Certificates, ChangeError, CurrentStore, Item, ItemError, OpenStore, Settings},
};

/// Longest time of a connection of the management listener without a request, or without progress of its responses.
const MANAGEMENT_IDLE: Duration = Duration::from_secs(10);

/// How long connections of the management listener have once the gateway has drained.
const MANAGEMENT_DRAIN: Duration = Duration::from_secs(1);

/// The gateway, serving. Dropping it cuts all connections.
#[derive(Debug)]
pub(crate) struct Server {
    site: Arc<ArcSwap<RoutingSnapshot>>,
    listener: Listener,
    management: Option<Management>,
    /// Listeners whose address is configured no longer: they finish what is in flight.
    closing: JoinSet<()>,
    status: Arc<Status>,
    metrics: PrometheusHandle,
    published: Arc<CurrentStore>,
    /// DeadlineState by whoever makes a new site out of the present one.
    publishing: Arc<Mutex<()>>,
    store: Option<Stored>,
    /// As they were at the start: some cannot change any more.
    limits: Limits,
}

/// The store, which stays open until the gateway ends.
#[derive(Debug)]
struct Stored {
    config: Located<config::Store>,
    certificates: Arc<Certificates>,
    apis: Arc<Apis>,
    following: JoinHandle<()>,
}

impl Drop for Stored {
    fn drop(&mut self) {
        self.following.abort();
    }
}

/// The management listener, and what it answers with.
#[derive(Debug)]
struct Management {
    port: Listener,
    router: Arc<ArcSwap<Router>>,
}

impl Server {
    /// Opens the store, binds what is configured and serves it.
    ///
    /// # Errors
    ///
    /// The store cannot be opened, or an address cannot be bound.
    pub(crate) async fn start(
        loaded: Loaded,
        status: Arc<Status>,
        metrics: PrometheusHandle,
    ) -> Result<Self, Diagnostic> {
        let Loaded { file, listener, management, limits, store, published, site, publication, .. } = loaded;
        let refused = |endpoint: &Endpoint, error| cannot_listen(endpoint, &file, &error);
        publication.begin(&BTreeMap::new(), &site.identities);
        let site = Arc::new(ArcSwap::from_pointee(RoutingSnapshot::new(Arc::new(site), Built::default())));
        let publishing = Arc::default();
        let store = match store {
            Some(config) => Some(open_store(config, &file, published.clone(), &site, &publishing).await?),
            None => None,
        };
        let port = bind(&site, &listener, limits).await.map_err(|error| refused(&listener, error))?;
        let (management_port, closing) = (None, JoinSet::new());
        let mut server = Self {
            site,
            listener: port,
            management: management_port,
            closing,
            status,
            metrics,
            published,
            publishing,
            store,
            limits,
        };
        if let Some((endpoint, access)) = management {
            let opened = server.open_management(&endpoint, access, limits).await;
            server.management = Some(opened.map_err(|error| refused(&endpoint, error))?);
        }
        Ok(server)
    }

    /// Serves this configuration in place of the present one: all of it, from the next request and handshake on, or,
    /// if an address cannot be bound, nothing of it. What it replaced is returned.
    ///
    /// # Errors
    ///
    /// An address cannot be bound.
    pub(crate) async fn replace(&mut self, loaded: Loaded) -> Result<Arc<RoutingSnapshot>, Diagnostic> {
        let Loaded { file, listener, management, limits, store, site, publication, .. } = loaded;
        let refused = |endpoint: &Endpoint, error| cannot_listen(endpoint, &file, &error);

        // Whatever can fail comes first.
        self.refuse_other_store(store.as_ref(), &file)?;
        // What is judged by the present configuration must not be stored under the next.
        let apis = self.store.as_ref().map(|store| store.apis.clone());
        let _pause = match &apis {
            Some(apis) => Some(apis.pause().await),
            None => None,
        };
        let site = Arc::new(site);
        self.refuse_to_break(&site, store.as_ref(), &file)?;
        let moved = if listener.address.value == self.listener.asked() {
            None
        } else {
            Some(bind(&self.site, &listener, limits).await.map_err(|error| refused(&listener, error))?)
        };
        let open = self.management.as_ref().map(|management| management.port.asked());
        let (management, opened) = match management {
            Some((endpoint, access)) if open != Some(endpoint.address.value) => {
                let opened = self.open_management(&endpoint, access, limits).await;
                (None, Some(opened.map_err(|error| refused(&endpoint, error))?))
            }
            other => (other, None),
        };

        let old = {
            let _publishing = lock(&self.publishing);
            publication.begin(&self.site.load().file.identities, &site.identities);
            let old = publish(&self.site, site.clone(), &self.published);
            publication.finish(&site.identities);
            old
        };
        match moved {
            Some(port) => self.close(|server| std::mem::replace(&mut server.listener, port)),
            None => self.listener.update(listener.tls, limits),
        }
        match (management, opened) {
            (Some((endpoint, access)), _) => {
                if let Some(management) = &self.management {
                    management.port.update(endpoint.tls, of_management(limits));
                    management.router.store(Arc::new(self.router(access)));
                }
            }
            (None, opened) => {
                if let Some(old) = std::mem::replace(&mut self.management, opened) {
                    self.close(|_| old.port);
                }
            }
        }
        self.warn_of_what_stays(&limits);
        Ok(old)
    }

    /// What is served now.
    pub(crate) fn site(&self) -> Arc<RoutingSnapshot> {
        self.site.load_full()
    }

    /// Where callers are served.
    pub(crate) fn address(&self) -> std::net::SocketAddr {
        self.listener.address()
    }

    /// Where the gateway itself is asked.
    pub(crate) fn management_address(&self) -> Option<std::net::SocketAddr> {
        self.management.as_ref().map(|management| management.port.address())
    }

    /// Accepts no more, lets what is in flight finish within the drain timeout, and ends. The management listener
    /// tells of it, and ends last.
    pub(crate) async fn drain(self) {
        let Self { listener, management, mut closing, status, .. } = self;
        status.drain();
        closing.spawn(listener.drain());
        while closing.join_next().await.is_some() {}
        if let Some(management) = management {
            let _ = time::timeout(MANAGEMENT_DRAIN, management.port.drain()).await;
        }
    }

    async fn open_management(
        &self,
        endpoint: &Endpoint,
        access: Access,
        limits: Limits,
    ) -> std::io::Result<Management> {
        let router = Arc::new(ArcSwap::from_pointee(self.router(access)));
        let published = router.clone();
        let service = service_fn(move |request: http::Request<CallerBody>| {
            let router = Router::clone(&published.load());
            router.oneshot(request)
        });
        let (address, tls) = (endpoint.address.value, endpoint.tls.clone());
        let port = Listener::bind(
            "management",
            address,
            tls,
            of_management(limits),
            limits::of_management(),
            service,
        )
        .await?;
        Ok(Management { port, router })
    }

    fn router(&self, access: Access) -> Router {
        management::router(
            access,
            self.status.clone(),
            self.site.clone(),
            self.metrics.clone(),
            self.store.as_ref().map(|store| (store.certificates.clone(), store.apis.clone())),
            self.published.clone(),
        )
    }

    /// The store that was opened at the start stays.
    fn refuse_other_store(
        &self,
        store: Option<&Located<config::Store>>,
        file: &std::path::Path,
    ) -> Result<(), Diagnostic> {
        let places = |store: &Located<config::Store>| {
            [&store.path, &store.key_file].map(|place| place.resolved.clone())
        };
        let open = self.store.as_ref().map(|store| &store.config);
        if open.map(places) == store.map(places) {
            return Ok(());
        }
        let (problem, remedy) = ("cannot change while the gateway serves", "start the gateway again");
        let nowhere = || Located { value: (), line: 1, key: "store".into() };
        let at = store.or(open).map_or_else(nowhere, |at| at.clone().map(drop));
        Err(at.diagnostic(file, Severity::Error, problem, remedy))
    }

    /// Refuses an identity whose name is that of an entry of the store, which policies would find no more.
    fn refuse_hidden(
        &self,
        site: &FileRoutes,
        store: Option<&Located<config::Store>>,
        file: &std::path::Path,
    ) -> Result<(), Diagnostic> {
        let hidden = |name: &&String| {
            self.published.has(name) && !self.site.load().file.identities.contains_key(*name)
        };
        let (Some(store), Some(name)) = (store, site.identities.keys().find(hidden)) else { return Ok(()) };
        let problem = format!(
            "an entry of the store has the name of [identities.{name}], which would hide it from policies"
        );
        let remedy = "name the identity otherwise, or delete the entry first";
        Err(store.diagnostic(file, Severity::Error, problem, remedy))
    }

    /// Refuses a configuration by which an API of the store could not be served that is served now.
    fn refuse_to_break(
        &self,
        site: &FileRoutes,
        store: Option<&Located<config::Store>>,
        file: &std::path::Path,
    ) -> Result<(), Diagnostic> {
        self.refuse_hidden(site, store, file)?;
        site.deployed.refresh(&self.published);
        let built = site.api_parts.build(&self.published.settings().1);
        let known = &self.site.load().apis.broken;
        let (Some(store), Some(broken)) = (store, built.broken.iter().find(|broken| !known.contains(broken)))
        else {
            return Ok(());
        };
        let problem = format!("{} could not be served any more: {broken}", broken.item);
        let remedy = "keep what it needs, or change it first through the management API";
        Err(store.diagnostic(file, Severity::Error, problem, remedy))
    }

    /// Ends a listener in the background.
    fn close(&mut self, taken: impl FnOnce(&mut Self) -> Listener) {
        let port = taken(self);
        while self.closing.try_join_next().is_some() {}
        self.closing.spawn(port.drain());
    }

    fn warn_of_what_stays(&self, limits: &Limits) {
        for (key, changed) in [
            ("max_connections", limits.max_connections != self.limits.max_connections),
            ("max_handshakes", limits.max_handshakes != self.limits.max_handshakes),
            ("handshake_timeout", limits.handshake_timeout != self.limits.handshake_timeout),
        ] {
            if changed {
                tracing::warn!("limits.{key} changed: takes effect at the next start");
            }
        }
    }
}

/// Opens the store, and follows it for as long as what is returned is kept.
async fn open_store(
    config: Located<config::Store>,
    file: &std::path::Path,
    published: Arc<CurrentStore>,
    site: &Arc<ArcSwap<RoutingSnapshot>>,
    publishing: &Arc<Mutex<()>>,
) -> Result<Stored, Diagnostic> {
    let (used, judging) = (site.clone(), site.clone());
    let uses = move || used.load().uses.clone();
    let judge = move |settings: &Settings, item: &Item| judge(&judging.load_full(), settings, item);
    let (changed, seen, publishing) = (site.clone(), published.clone(), publishing.clone());
    let served = move |gone: &[ClientIdentity]| {
        let _publishing = lock(&publishing);
        let file = changed.load().file.clone();
        publish(&changed, file.clone(), &seen);
        gone.iter().for_each(|identity| file.client.retire_identity(identity));
    };
    let OpenStore { certificates, apis, publisher, notices } =
        store::open(&config, file, published.clone(), uses, judge, served).await?;
    for notice in notices {
        tracing::warn!("store: {notice}");
    }
    for name in site.load().file.identities.keys().filter(|name| published.has(name)) {
        tracing::error!(
            "store: the entry {name} is hidden by [identities.{name}] of the configuration file; delete the entry, or \
             rename the identity and send SIGHUP"
        );
    }
    for (id, stored) in &apis.settings().backends {
        stored.value.warn_of_danger(id);
    }
    let following = tokio::spawn(async move { match publisher.run().await {} });
    Ok(Stored { config, certificates, apis, following })
}

/// Whether requests could be served by these settings, of which one item is changed.
fn judge(site: &RoutingSnapshot, settings: &Settings, item: &Item) -> Result<(), ChangeError> {
    if let Item::Backend(id) = item
        && !settings.backends.contains_key(id)
    {
        let users = site.apis.backend_users.iter().filter(|(used, _)| **used == **id);
        let users: Vec<_> = users.map(|(_, by)| by.clone()).collect();
        if !users.is_empty() {
            return Err(ChangeError::InUse(users));
        }
    }
    let built = site.file.api_parts.build(settings);
    // What is broken already does not keep others from being changed.
    let is_new = |broken: &ItemError| broken.item == *item || !site.apis.broken.contains(broken);
    let broken: Vec<_> = built.broken.into_iter().filter(is_new).collect();
    if broken.is_empty() { Ok(()) } else { Err(ChangeError::Invalid(broken)) }
}

/// Serves this file's routes and the store's APIs as they are now, from the next request on; what was served before.
///
/// Connections and tunnels under a trust that a backend of the store no longer has are retired.
fn publish(
    site: &ArcSwap<RoutingSnapshot>,
    file: Arc<FileRoutes>,
    published: &CurrentStore,
) -> Arc<RoutingSnapshot> {
    file.deployed.refresh(published);
    let settings = published.settings().1;
    let built = file.api_parts.build(&settings);
    let new = Arc::new(RoutingSnapshot::new(file, built));
    let old = site.swap(new.clone());
    for broken in new.apis.broken.iter().filter(|broken| !old.apis.broken.contains(broken)) {
        tracing::error!("{} cannot be served: {broken}", broken.item);
    }
    for trust in new.file.api_parts.release_trust(&settings) {
        new.file.client.retire_trust(&trust);
    }
    old
}

fn lock(publishing: &Mutex<()>) -> MutexGuard<'_, ()> {
    publishing.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Few connections are enough for those who ask how the gateway is, if nobody can take them all.
fn of_management(limits: Limits) -> Limits {
    let body_timeout = limits.body_timeout.unwrap_or(MANAGEMENT_IDLE).min(MANAGEMENT_IDLE);
    let idle_timeout = limits.idle_timeout.min(MANAGEMENT_IDLE);
    Limits { idle_timeout, body_timeout: Some(body_timeout), ..limits }
}

/// Binds the listener and serves the routes on it.
async fn bind(
    site: &Arc<ArcSwap<RoutingSnapshot>>,
    endpoint: &Endpoint,
    limits: Limits,
) -> std::io::Result<Listener> {
    let fitting = limits::places();
    let places = ConnectionLimit {
        connections: limits.max_connections.unwrap_or(fitting.connections),
        handshakes: limits.max_handshakes.unwrap_or(fitting.handshakes),
        makes_room: false,
    };
    let site = site.clone();
    let service = service_fn(move |request: http::Request<CallerBody>| {
        let site = site.clone();
        async move { Ok::<_, Infallible>(snapshot::answer(&site, request).await) }
    });
    Listener::bind("main", endpoint.address.value, endpoint.tls.clone(), limits, places, service).await
}

fn cannot_listen(endpoint: &Endpoint, file: &std::path::Path, error: &std::io::Error) -> Diagnostic {
    let address = &endpoint.address;
    let problem = format!("cannot listen on {}: {error}", address.value);
    let remedy = "choose another address or stop whoever listens there";
    address.diagnostic(file, Severity::Error, problem, remedy)
}

/// Ends with SIGTERM or Ctrl-C.
pub(crate) async fn until_signal() {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        if let Ok(mut terminate) = signal(SignalKind::terminate()) {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = tokio::signal::ctrl_c() => {}
            }
            return;
        }
    }
    let _ = tokio::signal::ctrl_c().await;
}
