//! The server: listeners, live replacement of the configuration, and drain.

mod activity;
mod body;
mod bounds;
mod connection;
mod delivery;
mod early_response;
mod error_response;
mod expiry;
mod flush;
mod head;
mod identity_selector;
mod limits;
mod listener;
mod listener_control;
mod metrics;
mod open_store;
mod reload_checks;
mod snapshot;
mod strict_http1;
mod tunnel;
mod unverified;
mod watched_io;

use std::{
    collections::BTreeMap,
    convert::Infallible,
    sync::{Arc, Mutex},
    time::Duration,
};

use arc_swap::ArcSwap;
use axum::Router;
use metrics_exporter_prometheus::PrometheusHandle;
use tokio::{task::JoinSet, time};
use tower::{ServiceExt, service_fn};

use self::{
    body::CallerBody,
    limits::ConnectionLimit,
    open_store::{OpenStore, lock, publish},
};
pub(crate) use self::{
    bounds::Bounds,
    error_response::RoutingError,
    expiry::{CertificateOwner, Expiry, days_until},
    identity_selector::IdentitySelector,
    limits::upstream_connections,
    listener::Listener,
    metrics::{DURATION, RouteMetrics},
    snapshot::{Client, FileRoutes, Route, RouteFacts, RoutePolicy, RouteService, RoutingSnapshot},
    unverified::UnverifiedLayer,
};
use crate::{
    config::{Diagnostic, Limits, Severity},
    live::Status,
    load::{BuiltApis, Endpoint, Loaded},
    management::{self, Access},
    store::CurrentStore,
};

/// Maximum idle timeout and body timeout of the management listener.
const MANAGEMENT_TIMEOUT: Duration = Duration::from_secs(10);

/// Drain timeout of the management listener, after the listener for callers has drained.
const MANAGEMENT_DRAIN_TIMEOUT: Duration = Duration::from_secs(1);

/// The running gateway. Dropping it closes all connections.
#[derive(Debug)]
pub(crate) struct Server {
    snapshot: Arc<ArcSwap<RoutingSnapshot>>,
    listener: Listener,
    management: Option<ManagementListener>,
    /// Drains of listeners whose address is no longer configured.
    closing: JoinSet<()>,
    status: Arc<Status>,
    metrics: PrometheusHandle,
    published: Arc<CurrentStore>,
    /// Locked while the snapshot is replaced.
    publish_lock: Arc<Mutex<()>>,
    store: Option<OpenStore>,
    /// Limits at the start, some of which cannot change.
    initial_limits: Limits,
}

/// The management listener: health, metrics, REST API and portal.
#[derive(Debug)]
struct ManagementListener {
    listener: Listener,
    router: Arc<ArcSwap<Router>>,
}

impl Server {
    /// Opens the store, binds the listeners and serves.
    ///
    /// # Errors
    ///
    /// 1. The store cannot be opened.
    /// 2. An address cannot be bound.
    pub(crate) async fn start(
        loaded: Loaded,
        status: Arc<Status>,
        metrics: PrometheusHandle,
    ) -> Result<Self, Diagnostic> {
        let Loaded {
            file,
            listener: endpoint,
            management,
            limits,
            store,
            published,
            file_routes,
            publication,
            ..
        } = loaded;
        publication.begin(&BTreeMap::new(), &file_routes.identities);
        let snapshot = RoutingSnapshot::new(Arc::new(file_routes), BuiltApis::default());
        let snapshot = Arc::new(ArcSwap::from_pointee(snapshot));
        let publish_lock = Arc::default();
        let store = match store {
            Some(config) => {
                Some(OpenStore::open(config, &file, published.clone(), &snapshot, &publish_lock).await?)
            }
            None => None,
        };
        if store.is_some() {
            log_hidden_entries(&snapshot.load(), &published);
        }
        let listener =
            bind(&snapshot, &endpoint, limits).await.map_err(|error| bind_error(&endpoint, &file, &error))?;
        let mut server = Self {
            snapshot,
            listener,
            management: None,
            closing: JoinSet::new(),
            status,
            metrics,
            published,
            publish_lock,
            store,
            initial_limits: limits,
        };
        if let Some((endpoint, access)) = management {
            let opened = server.open_management(&endpoint, access, limits).await;
            server.management = Some(opened.map_err(|error| bind_error(&endpoint, &file, &error))?);
        }
        Ok(server)
    }

    /// Replaces the configuration from the next request and handshake on, or, on an error, leaves it unchanged.
    /// Returns the replaced snapshot.
    ///
    /// # Errors
    ///
    /// 1. The configuration conflicts with the open store.
    /// 2. An address cannot be bound.
    pub(crate) async fn replace(&mut self, loaded: Loaded) -> Result<Arc<RoutingSnapshot>, Diagnostic> {
        let Loaded { file, listener: endpoint, management, limits, store, file_routes, publication, .. } =
            loaded;

        // Fallible steps first.
        self.check_store_unchanged(store.as_ref(), &file)?;
        // Changes of APIs that were validated by the current configuration must not be published by the next one.
        let _pause = match &self.store {
            Some(store) => Some(store.pause().await),
            None => None,
        };
        let file_routes = Arc::new(file_routes);
        self.check_store_contents(&file_routes, store.as_ref(), &file)?;
        let new_listener = if endpoint.address.value == self.listener.requested_address() {
            None
        } else {
            let bound = bind(&self.snapshot, &endpoint, limits).await;
            Some(bound.map_err(|error| bind_error(&endpoint, &file, &error))?)
        };
        let open_address = self.management.as_ref().map(|open| open.listener.requested_address());
        let (kept_management, new_management) = match management {
            Some((endpoint, access)) if open_address != Some(endpoint.address.value) => {
                let opened = self.open_management(&endpoint, access, limits).await;
                (None, Some(opened.map_err(|error| bind_error(&endpoint, &file, &error))?))
            }
            management => (management, None),
        };

        let old = {
            let _guard = lock(&self.publish_lock);
            publication.begin(&self.snapshot.load().file.identities, &file_routes.identities);
            let old = publish(&self.snapshot, file_routes.clone(), &self.published);
            publication.finish(&file_routes.identities);
            old
        };
        match new_listener {
            Some(listener) => {
                let old = std::mem::replace(&mut self.listener, listener);
                self.drain_in_background(old);
            }
            None => self.listener.update(endpoint.tls, limits),
        }
        match (kept_management, new_management) {
            (Some((endpoint, access)), _) => {
                if let Some(management) = &self.management {
                    management.listener.update(endpoint.tls, management_limits(limits));
                    management.router.store(Arc::new(self.router(access)));
                }
            }
            (None, new) => {
                if let Some(old) = std::mem::replace(&mut self.management, new) {
                    self.drain_in_background(old.listener);
                }
            }
        }
        self.warn_of_fixed_limits(&limits);
        Ok(old)
    }

    /// Returns the current snapshot.
    pub(crate) fn snapshot(&self) -> Arc<RoutingSnapshot> {
        self.snapshot.load_full()
    }

    /// Returns the address of the listener for callers.
    pub(crate) fn address(&self) -> std::net::SocketAddr {
        self.listener.address()
    }

    /// Returns the address of the management listener.
    pub(crate) fn management_address(&self) -> Option<std::net::SocketAddr> {
        self.management.as_ref().map(|management| management.listener.address())
    }

    /// Stops accepting, and waits for requests in flight within the drain timeout. The management listener reports the
    /// drain, and closes last.
    pub(crate) async fn drain(self) {
        let Self { listener, management, mut closing, status, .. } = self;
        status.drain();
        closing.spawn(listener.drain());
        while closing.join_next().await.is_some() {}
        if let Some(management) = management {
            let _ = time::timeout(MANAGEMENT_DRAIN_TIMEOUT, management.listener.drain()).await;
        }
    }

    async fn open_management(
        &self,
        endpoint: &Endpoint,
        access: Access,
        limits: Limits,
    ) -> std::io::Result<ManagementListener> {
        let router = Arc::new(ArcSwap::from_pointee(self.router(access)));
        let current = router.clone();
        let service = service_fn(move |request: http::Request<CallerBody>| {
            let router = Router::clone(&current.load());
            router.oneshot(request)
        });
        let (address, tls) = (endpoint.address.value, endpoint.tls.clone());
        let (limits, connection_limit) = (management_limits(limits), limits::management_limit());
        let listener = Listener::bind("management", address, tls, limits, connection_limit, service).await?;
        Ok(ManagementListener { listener, router })
    }

    fn router(&self, access: Access) -> Router {
        management::router(
            access,
            self.status.clone(),
            self.snapshot.clone(),
            self.metrics.clone(),
            self.store.as_ref().map(OpenStore::handles),
            self.published.clone(),
        )
    }

    fn drain_in_background(&mut self, listener: Listener) {
        while self.closing.try_join_next().is_some() {}
        self.closing.spawn(listener.drain());
    }

    /// Warns of changed limits that take effect at the next start.
    fn warn_of_fixed_limits(&self, limits: &Limits) {
        let initial = &self.initial_limits;
        for (key, has_changed) in [
            ("max_connections", limits.max_connections != initial.max_connections),
            ("max_handshakes", limits.max_handshakes != initial.max_handshakes),
            ("handshake_timeout", limits.handshake_timeout != initial.handshake_timeout),
        ] {
            if has_changed {
                tracing::warn!("limits.{key} changed: takes effect at the next start");
            }
        }
    }
}

/// Logs entries of the store whose name is that of an identity in the file.
fn log_hidden_entries(snapshot: &RoutingSnapshot, published: &CurrentStore) {
    for name in snapshot.file.identities.keys().filter(|name| published.has(name)) {
        tracing::error!(
            "store: the entry {name} is hidden by [identities.{name}] of the configuration file; delete the entry, or \
             rename the identity and send SIGHUP"
        );
    }
}

/// Returns the limits of the management listener: shorter timeouts, because it has fewer connections.
fn management_limits(limits: Limits) -> Limits {
    let body_timeout = limits.body_timeout.unwrap_or(MANAGEMENT_TIMEOUT).min(MANAGEMENT_TIMEOUT);
    let idle_timeout = limits.idle_timeout.min(MANAGEMENT_TIMEOUT);
    Limits { idle_timeout, body_timeout: Some(body_timeout), ..limits }
}

/// Binds the listener for callers and serves the routes on it.
async fn bind(
    snapshot: &Arc<ArcSwap<RoutingSnapshot>>,
    endpoint: &Endpoint,
    limits: Limits,
) -> std::io::Result<Listener> {
    let default = limits::caller_limit();
    let connection_limit = ConnectionLimit {
        connections: limits.max_connections.unwrap_or(default.connections),
        handshakes: limits.max_handshakes.unwrap_or(default.handshakes),
        evicts_idle: false,
    };
    let snapshot = snapshot.clone();
    let service = service_fn(move |request: http::Request<CallerBody>| {
        let snapshot = snapshot.clone();
        async move { Ok::<_, Infallible>(snapshot::respond(&snapshot, request).await) }
    });
    let (address, tls) = (endpoint.address.value, endpoint.tls.clone());
    Listener::bind("main", address, tls, limits, connection_limit, service).await
}

fn bind_error(endpoint: &Endpoint, file: &std::path::Path, error: &std::io::Error) -> Diagnostic {
    let address = &endpoint.address;
    let problem = format!("cannot listen on {}: {error}", address.value);
    let remedy = "choose another address, or stop the process that listens there";
    address.diagnostic(file, Severity::Error, problem, remedy)
}

/// Waits for SIGTERM or Ctrl-C.
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
