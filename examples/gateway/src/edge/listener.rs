//! Listeners: accept loop, connection limit, live changes and drain.

use std::{convert::Infallible, io, net::SocketAddr, sync::Arc, time::Duration};

use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use tokio::{
    net::TcpListener,
    sync::{OwnedSemaphorePermit, Semaphore},
    task::{AbortHandle, JoinHandle, JoinSet},
    time,
};
use tower::Service;
use tower_mtls::{
    MtlsListener, ServerTls, Shared,
    acceptor::{ListenerLimits, MtlsStream},
};

use super::{
    activity::Activity,
    body::CallerBody,
    connection,
    limits::ConnectionLimit,
    listener_control::{ConnectionSignals, ListenerControl, listener_control},
    metrics::Connections,
};
use crate::config::Limits;

/// Interval at which a waiting connection tries to evict an idle one.
const EVICTION_INTERVAL: Duration = Duration::from_millis(100);

/// Bound listener and its connections. Dropping it closes all of them.
#[derive(Debug)]
pub(crate) struct Listener {
    requested: SocketAddr,
    local: SocketAddr,
    tls: Shared<ServerTls>,
    connections: ListenerControl,
    task: JoinHandle<()>,
}

impl Listener {
    /// Binds the address and serves it. `name` is the listener's name in metrics and logs.
    pub(crate) async fn bind<S, B>(
        name: &'static str,
        address: SocketAddr,
        tls: ServerTls,
        limits: Limits,
        limit: ConnectionLimit,
        service: S,
    ) -> io::Result<Self>
    where
        S: Service<Request<CallerBody>, Response = Response<B>, Error = Infallible>,
        S: Clone + Send + Sync + 'static,
        S::Future: Send,
        B: Body<Data = Bytes> + Send + 'static,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let tcp = TcpListener::bind(address).await?;
        let tls = Shared::new(tls);
        let listener_limits = ListenerLimits::default()
            .with_handshakes(limit.handshakes)
            .with_handshake_timeout(limits.handshake_timeout);
        let listener = MtlsListener::new(tcp, tls.clone(), listener_limits)?;
        let local = listener.local_addr();
        let (connections, signals) = listener_control(limits);
        let task = tokio::spawn(serve(name, listener, limit, service, signals));
        Ok(Self { requested: address, local, tls, connections, task })
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.local
    }

    /// Returns the configured address, whose port can be 0.
    pub(crate) fn requested_address(&self) -> SocketAddr {
        self.requested
    }

    /// Replaces the TLS settings of new handshakes, and the limits of all connections.
    pub(crate) fn update(&self, tls: ServerTls, limits: Limits) {
        self.tls.replace(tls);
        self.connections.set_limits(limits);
    }

    /// Stops accepting, waits for requests in flight within the drain timeout, and closes all connections.
    pub(crate) async fn drain(mut self) {
        self.connections.drain();
        // An error is a panic of the task, which the panic hook has printed.
        let _ = (&mut self.task).await;
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Connections that can be evicted while idle.
#[derive(Default)]
struct IdleConnections(Vec<(Arc<Activity>, AbortHandle)>);

impl IdleConnections {
    fn add(&mut self, activity: Arc<Activity>, task: AbortHandle) {
        self.0.retain(|(_, task)| !task.is_finished());
        self.0.push((activity, task));
    }

    /// Closes the longest idle connection, if there is one.
    fn evict_longest_idle(&self) {
        let open = self.0.iter().filter(|(_, task)| !task.is_finished());
        let idle = open.filter_map(|(activity, task)| Some((activity.idle_for()?, task)));
        if let Some((_, task)) = idle.max_by_key(|(idle, _)| *idle) {
            task.abort();
        }
    }
}

/// Acquires a permit, and evicts idle connections while there is none.
async fn acquire_or_evict(permits: &Arc<Semaphore>, idle: &IdleConnections) -> Option<OwnedSemaphorePermit> {
    loop {
        if permits.available_permits() == 0 {
            idle.evict_longest_idle();
        }
        if let Ok(permit) = time::timeout(EVICTION_INTERVAL, permits.clone().acquire_owned()).await {
            return permit.ok();
        }
    }
}

async fn serve<S, B>(
    name: &'static str,
    mut listener: MtlsListener,
    limit: ConnectionLimit,
    service: S,
    mut signals: ConnectionSignals,
) where
    S: Service<Request<CallerBody>, Response = Response<B>, Error = Infallible>
        + Clone
        + Send
        + Sync
        + 'static,
    S::Future: Send,
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let evicts_idle = limit.evicts_idle;
    let permits = Arc::new(Semaphore::new(limit.connections));
    let mut idle = IdleConnections::default();
    let gauge = Connections::new(name);
    let connection_signals = signals.clone();
    let connection = |stream: MtlsStream| {
        let activity = Activity::new(connection_signals.is_draining.clone());
        let serving =
            connection::serve(stream, service.clone(), activity.clone(), connection_signals.clone());
        let open = gauge.open();
        let serving = async move {
            serving.await;
            drop(open);
        };
        (serving, activity)
    };
    let mut tasks = JoinSet::new();
    let accepting = async {
        loop {
            let permit = if evicts_idle { None } else { permits.clone().acquire_owned().await.ok() };
            let (stream, _) = listener.accept().await;
            let Some(permit) = (match permit {
                Some(permit) => Some(permit),
                None => acquire_or_evict(&permits, &idle).await,
            }) else {
                return;
            };
            while tasks.try_join_next().is_some() {}
            let (serving, activity) = connection(stream);
            let task = tasks.spawn(async move {
                serving.await;
                drop(permit);
            });
            if evicts_idle {
                idle.add(activity, task);
            }
        }
    };
    tokio::select! {
        () = accepting => {}
        () = signals.drained() => {}
    }
    let mut handshakes = listener.drain();
    // Finished tasks do not count as connections.
    while tasks.try_join_next().is_some() {}
    tracing::info!(listener = name, connections = tasks.len(), "draining");
    let finishing = async {
        while let Some((stream, _)) = handshakes.accept().await {
            tasks.spawn(connection(stream).0);
        }
        while tasks.join_next().await.is_some() {}
    };
    let timeout: Duration = signals.settings.borrow().limits.drain_timeout;
    if time::timeout(timeout, finishing).await.is_err() {
        tracing::warn!(listener = name, connections = tasks.len(), "cut off after the drain timeout");
        // Waits for the drop guards, which log.
        tasks.shutdown().await;
    }
}
