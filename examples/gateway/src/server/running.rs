//! The running gateway: start, live replacement of the configuration, and drain.

use std::{future, net::SocketAddr, panic, sync::Arc, time::Duration};

use axum::Router;
use metrics_exporter_prometheus::PrometheusHandle;
use tokio::{
    task::{JoinError, JoinSet, spawn_blocking},
    time,
};
use tower_mtls::Workers;

use super::{
    current_routes::CurrentRoutes,
    listen::{ManagementListener, bind, listener_limits},
    open_store::OpenStore,
    reload_checks::{check_store_contents, check_store_unchanged},
    retire::retire,
    unguarded,
};
use crate::{
    build::Loaded,
    config::Diagnostic,
    crl::Fetcher,
    edge::Listener,
    management::{self, Access},
    routing::FileRoutes,
    status::Status,
    store::CurrentStore,
};

/// Drain timeout of the management listener, after the listener for callers has drained.
const MANAGEMENT_DRAIN_TIMEOUT: Duration = Duration::from_secs(1);

/// The running gateway. Dropping it closes all connections.
#[derive(Debug)]
pub(crate) struct Server {
    /// The configured number of worker threads.
    worker_count: Option<usize>,
    /// None: callers are served on the thread of the runtime.
    workers: Option<Workers>,
    routes: Arc<CurrentRoutes>,
    listener: Listener,
    management: Option<ManagementListener>,
    /// Drains of listeners whose address is no longer configured.
    closing: JoinSet<()>,
    status: Arc<Status>,
    metrics: PrometheusHandle,
    published: Arc<CurrentStore>,
    store: Option<OpenStore>,
    crl_fetcher: Fetcher,
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
        workers: Option<Workers>,
        status: Arc<Status>,
        metrics: PrometheusHandle,
    ) -> Result<Self, Diagnostic> {
        let Loaded {
            file,
            workers: worker_count,
            listener: endpoint,
            management,
            limits,
            store,
            published,
            file_routes,
            api_builder,
            publication,
            crls,
        } = loaded;
        let routes = Arc::new(CurrentRoutes::new(file_routes, api_builder, published.clone(), &publication));
        let store = match store {
            Some(config) => Some(OpenStore::open(config, &file, published.clone(), &routes).await?),
            None => None,
        };
        if store.is_some() {
            log_hidden_entries(&routes.snapshot().load().file, &published);
        }
        let listener = bind(routes.snapshot(), &endpoint, &limits, workers.as_ref(), &file).await?;
        let mut server = Self {
            worker_count,
            workers,
            routes,
            listener,
            management: None,
            closing: JoinSet::new(),
            status,
            metrics,
            published,
            store,
            crl_fetcher: Fetcher::new(crls.downloaded),
        };
        server.status.list_missing(crls.is_list_missing);
        server.crl_fetcher.follow(crls.sources);
        if let Some((endpoint, access)) = management {
            let router = server.router(access);
            server.management = Some(ManagementListener::bind(router, &endpoint, &limits, &file).await?);
        }
        Ok(server)
    }

    /// Replaces the configuration from the next request and handshake on, or, on an error, leaves it unchanged.
    ///
    /// # Errors
    ///
    /// 1. The configuration conflicts with the open store.
    /// 2. An address cannot be bound.
    pub(crate) async fn replace(&mut self, loaded: Loaded) -> Result<(), Diagnostic> {
        let Loaded {
            file,
            workers: worker_count,
            listener: endpoint,
            management,
            limits,
            store,
            published,
            file_routes,
            api_builder,
            publication,
            crls,
        } = loaded;

        // Fallible steps first.
        check_store_unchanged(self.store.as_ref().map(|store| &store.config), store.as_ref(), &file)?;
        // Changes of APIs that were validated by the current configuration must not be published by the next one.
        let _pause = match &self.store {
            Some(store) => Some(store.pause().await),
            None => None,
        };
        let check = {
            let (routes, file_routes, api_builder) =
                (self.routes.clone(), file_routes.clone(), api_builder.clone());
            let (published, file) = (published.clone(), file.clone());
            move || {
                let current = routes.snapshot().load_full();
                check_store_contents(&current, &published, &file_routes, &api_builder, store.as_ref(), &file)
            }
        };
        blocking(check).await?;
        let new_listener = if endpoint.address.value == self.listener.requested_address() {
            None
        } else {
            Some(bind(self.routes.snapshot(), &endpoint, &limits, self.workers.as_ref(), &file).await?)
        };
        let open_address = self.management.as_ref().map(|open| open.listener.requested_address());
        let (kept_management, new_management) = match management {
            Some((endpoint, access)) if open_address != Some(endpoint.address.value) => {
                let router = self.router(access);
                (None, Some(ManagementListener::bind(router, &endpoint, &limits, &file).await?))
            }
            management => (management, None),
        };

        let routes = self.routes.clone();
        blocking(move || {
            let (old, old_builder) = routes.replace(file_routes, api_builder.clone(), &publication);
            let new = routes.snapshot().load_full();
            unguarded::warn(&old, &new);
            retire((&old.file, &old_builder), (&new.file, &api_builder));
        })
        .await;
        match new_listener {
            Some(listener) => {
                let old = std::mem::replace(&mut self.listener, listener);
                self.drain_in_background(old);
            }
            None => self.listener.update(endpoint.tls, &listener_limits(&limits)),
        }
        match (kept_management, new_management) {
            (Some((endpoint, access)), _) => {
                if let Some(management) = &self.management {
                    management.update(self.router(access), endpoint.tls, &limits);
                }
            }
            (None, new) => {
                if let Some(old) = std::mem::replace(&mut self.management, new) {
                    self.drain_in_background(old.listener);
                }
            }
        }
        self.status.list_missing(crls.is_list_missing);
        self.crl_fetcher.follow(crls.sources);
        if worker_count != self.worker_count {
            self.worker_count = worker_count;
            tracing::warn!("workers: the new number is effective after a restart; restart the gateway");
        }
        Ok(())
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.listener.address()
    }

    pub(crate) fn management_address(&self) -> Option<SocketAddr> {
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

    fn router(&self, access: Access) -> Router {
        management::router(
            access,
            self.status.clone(),
            self.routes.snapshot().clone(),
            self.metrics.clone(),
            self.store.as_ref().map(OpenStore::handles),
            self.published.clone(),
        )
    }

    fn drain_in_background(&mut self, listener: Listener) {
        while self.closing.try_join_next().is_some() {}
        self.closing.spawn(listener.drain());
    }
}

/// Runs work that takes time in proportion to the configuration, not on a thread that serves requests.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    match spawn_blocking(work).await.map_err(JoinError::try_into_panic) {
        Ok(result) => result,
        Err(Ok(panic)) => panic::resume_unwind(panic),
        // The runtime ends.
        Err(Err(_)) => future::pending().await,
    }
}

/// Logs entries of the store whose name is that of an identity in the file.
fn log_hidden_entries(file_routes: &FileRoutes, published: &CurrentStore) {
    for name in file_routes.identities.keys().filter(|name| published.has(name)) {
        tracing::error!(
            "store: the entry {name} is hidden by [identities.{name}] of the configuration file; delete the entry, or \
             rename the identity and send SIGHUP"
        );
    }
}
