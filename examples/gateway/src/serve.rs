//! Serving a loaded configuration, and replacing it by another one.

mod activity;
mod answer;
mod body;
mod bounds;
mod chosen_by;
mod conditions;
mod connection;
mod expiry;
mod head;
mod limits;
mod measure;
mod port;
mod site;
mod strict_http1;
mod tunnel;
mod watched_io;

use std::{collections::BTreeMap, convert::Infallible, sync::Arc, time::Duration};

use arc_swap::ArcSwap;
use axum::Router;
use hyper::body::Incoming;
use metrics_exporter_prometheus::PrometheusHandle;
use tokio::{task::JoinSet, time};
use tower::{ServiceExt, service_fn};

use self::limits::Places;
pub(crate) use self::{
    answer::Refused,
    bounds::Bounds,
    chosen_by::ChosenBy,
    expiry::{Expiry, Side},
    limits::back_end_connections,
    measure::{DURATION, RouteMeasures},
    port::Port,
    site::{Client, Guard, Route, RouteFacts, RouteService, Site},
};
use crate::{
    config::{Diagnostic, Limits, Severity},
    live::Status,
    load::{Endpoint, Loaded},
    management::{self, Access},
};

/// How many connections the management listener serves at a time, and how many handshakes it makes.
const MANAGEMENT_PLACES: Places = Places { connections: 256, handshakes: 64, makes_room: true };

/// How long a connection of the management listener may be without a request.
const MANAGEMENT_IDLE: Duration = Duration::from_secs(10);

/// How long connections of the management listener have once the gateway has drained.
const MANAGEMENT_DRAIN: Duration = Duration::from_secs(1);

/// The gateway, serving. Dropping it cuts all connections.
#[derive(Debug)]
pub(crate) struct Server {
    site: Arc<ArcSwap<Site>>,
    listener: Port,
    management: Option<Management>,
    /// Listeners whose address is configured no longer: they finish what is in flight.
    closing: JoinSet<()>,
    status: Arc<Status>,
    metrics: PrometheusHandle,
    /// As they were at the start: some cannot change any more.
    limits: Limits,
}

/// The management listener, and what it answers with.
#[derive(Debug)]
struct Management {
    port: Port,
    router: Arc<ArcSwap<Router>>,
}

impl Server {
    /// Binds what is configured and serves it.
    ///
    /// # Errors
    ///
    /// An address cannot be bound.
    pub(crate) async fn start(
        loaded: Loaded,
        status: Arc<Status>,
        metrics: PrometheusHandle,
    ) -> Result<Self, Diagnostic> {
        let Loaded { file, listener, management, limits, site, publication, .. } = loaded;
        let refused = |endpoint: &Endpoint, error| cannot_listen(endpoint, &file, &error);
        publication.begin(&BTreeMap::new(), &site.identities);
        let site = Arc::new(ArcSwap::from_pointee(site));
        let port = bind(&site, &listener, limits).await.map_err(|error| refused(&listener, error))?;
        let mut server =
            Self { site, listener: port, management: None, closing: JoinSet::new(), status, metrics, limits };
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
    pub(crate) async fn replace(&mut self, loaded: Loaded) -> Result<Arc<Site>, Diagnostic> {
        let Loaded { file, listener, management, limits, site, publication, .. } = loaded;
        let refused = |endpoint: &Endpoint, error| cannot_listen(endpoint, &file, &error);

        // Whatever can fail comes first.
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

        publication.begin(&self.site.load().identities, &site.identities);
        let site = Arc::new(site);
        let old = self.site.swap(site.clone());
        publication.finish(&site.identities);
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
    pub(crate) fn site(&self) -> Arc<Site> {
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
        let service = service_fn(move |request: http::Request<Incoming>| {
            let router = Router::clone(&published.load());
            router.oneshot(request)
        });
        let (address, tls) = (endpoint.address.value, endpoint.tls.clone());
        let port =
            Port::bind("management", address, tls, of_management(limits), MANAGEMENT_PLACES, service).await?;
        Ok(Management { port, router })
    }

    fn router(&self, access: Access) -> Router {
        management::router(access, self.status.clone(), self.site.clone(), self.metrics.clone())
    }

    /// Ends a listener in the background.
    fn close(&mut self, taken: impl FnOnce(&mut Self) -> Port) {
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

/// Few connections are enough for those who ask how the gateway is, if nobody can take them all.
fn of_management(limits: Limits) -> Limits {
    Limits { idle_timeout: limits.idle_timeout.min(MANAGEMENT_IDLE), ..limits }
}

/// Binds the listener and serves the routes on it.
async fn bind(site: &Arc<ArcSwap<Site>>, endpoint: &Endpoint, limits: Limits) -> std::io::Result<Port> {
    let fitting = limits::places();
    let places = Places {
        connections: limits.max_connections.unwrap_or(fitting.connections),
        handshakes: limits.max_handshakes.unwrap_or(fitting.handshakes),
        makes_room: false,
    };
    let site = site.clone();
    let service = service_fn(move |request: http::Request<Incoming>| {
        let site = site.clone();
        async move { Ok::<_, Infallible>(site::answer(&site, request).await) }
    });
    Port::bind("main", endpoint.address.value, endpoint.tls.clone(), limits, places, service).await
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
