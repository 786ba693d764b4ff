//! Serving a loaded configuration.

mod activity;
mod answer;
mod body;
mod connection;
mod limits;
mod site;
mod strict_http1;
mod watched_io;

use std::{future::Future, net::SocketAddr, sync::Arc};

use tokio::{
    net::TcpListener,
    sync::{Semaphore, watch},
    task::JoinSet,
};
use tower_mtls::{MtlsListener, acceptor::ListenerLimits};

pub(crate) use self::{
    answer::Refused,
    site::{Route, RouteService, Site},
};
use crate::{config::Limits, load::Loaded};

/// A bound listener with what it will serve.
#[derive(Debug)]
pub(crate) struct Server {
    listener: MtlsListener,
    site: Arc<Site>,
    limits: Limits,
    connections: usize,
}

/// Binds the listener.
pub(crate) async fn bind(loaded: Loaded) -> Result<Server, String> {
    let Loaded { address, tls, limits, site } = loaded;
    let places = limits::places();
    let connections = limits.max_connections.unwrap_or(places.connections);
    let handshakes = limits.max_handshakes.unwrap_or(places.handshakes);
    let listener_limits = ListenerLimits::default()
        .with_handshakes(handshakes)
        .with_handshake_timeout(limits.handshake_timeout);
    let cannot = |error: std::io::Error| {
        format!("cannot listen on {address}: {error}; choose another address or stop whoever listens there")
    };
    let tcp = TcpListener::bind(address).await.map_err(cannot)?;
    let listener = MtlsListener::new(tcp, tls, listener_limits).map_err(cannot)?;
    Ok(Server { listener, site: Arc::new(site), limits, connections })
}

impl Server {
    /// Where it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.listener.local_addr()
    }

    /// Serves until `stop` ends, then lets what is in flight finish within the drain timeout.
    pub(crate) async fn run(self, stop: impl Future<Output = ()>) {
        let Self { mut listener, site, limits, connections } = self;
        let places = Arc::new(Semaphore::new(connections));
        let (draining, drain) = watch::channel(false);
        let mut open = JoinSet::new();
        let accepting = async {
            loop {
                let Ok(place) = places.clone().acquire_owned().await else {
                    return;
                };
                let (stream, _) = listener.accept().await;
                while open.try_join_next().is_some() {}
                let served = connection::serve(stream, site.clone(), limits, drain.clone());
                open.spawn(async move {
                    served.await;
                    drop(place);
                });
            }
        };
        tokio::select! {
            () = accepting => {}
            () = stop => {}
        }
        drop(listener);
        let _ = draining.send(true);
        tracing::info!(connections = open.len(), "draining");
        let all_done = async { while open.join_next().await.is_some() {} };
        if tokio::time::timeout(limits.drain_timeout, all_done).await.is_err() {
            tracing::warn!(connections = open.len(), "cut off after the drain timeout");
        }
    }
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
