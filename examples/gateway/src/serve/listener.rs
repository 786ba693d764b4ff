//! One listener and its connections: accepts, serves, changes while it does, and ends in order.

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
use tower_mtls::{MtlsListener, MtlsStream, ServerTls, Shared, acceptor::ListenerLimits};

use super::{
    activity::Activity,
    body::CallerBody,
    connection,
    limits::ConnectionLimit,
    listener_control::{ConnectionSignals, ListenerControl, listener_control},
    measure::Connections,
};
use crate::config::Limits;

/// Interval at which a new connection looks for an idle one whose place it can take.
const ROOM_INTERVAL: Duration = Duration::from_millis(100);

/// A listener that serves. Dropping it cuts all its connections.
#[derive(Debug)]
pub(crate) struct Listener {
    asked: SocketAddr,
    local: SocketAddr,
    tls: Shared<ServerTls>,
    connections: ListenerControl,
    serving: JoinHandle<()>,
}

impl Listener {
    /// Binds the address, and serves it from now on. `name` is the listener's in the metrics.
    pub(super) async fn bind<S, B>(
        name: &'static str,
        address: SocketAddr,
        tls: ServerTls,
        limits: Limits,
        places: ConnectionLimit,
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
            .with_handshakes(places.handshakes)
            .with_handshake_timeout(limits.handshake_timeout);
        let listener = MtlsListener::new(tcp, tls.clone(), listener_limits)?;
        let local = listener.local_addr();
        let (connections, told) = listener_control(limits);
        let serving = tokio::spawn(serve(name, listener, places, service, told));
        Ok(Self { asked: address, local, tls, connections, serving })
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.local
    }

    /// The address it was to listen on: its port may be 0.
    pub(super) fn asked(&self) -> SocketAddr {
        self.asked
    }

    /// Shows this certificate and holds to these limits from now on, on open connections too.
    pub(super) fn update(&self, tls: ServerTls, limits: Limits) {
        self.tls.replace(tls);
        self.connections.limits(limits);
    }

    /// Accepts no more, lets what is in flight finish within the drain timeout, and cuts what is left.
    pub(super) async fn drain(mut self) {
        self.connections.drain();
        // It ends by itself, and a panic in it has been printed.
        let _ = (&mut self.serving).await;
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

/// Connections that can be closed for others.
#[derive(Default)]
struct IdleConnections(Vec<(Arc<Activity>, AbortHandle)>);

impl IdleConnections {
    fn add(&mut self, activity: Arc<Activity>, task: AbortHandle) {
        self.0.retain(|(_, task)| !task.is_finished());
        self.0.push((activity, task));
    }

    /// Closes the one that has been idle for longest, if any is.
    fn close_one(&self) {
        let open = self.0.iter().filter(|(_, task)| !task.is_finished());
        let idle = open.filter_map(|(activity, task)| Some((activity.idle_for()?, task)));
        if let Some((_, task)) = idle.max_by_key(|(idle, _)| *idle) {
            task.abort();
        }
    }
}

/// A place, of the connection that has been idle for longest if all are taken.
async fn room(places: &Arc<Semaphore>, idle: &IdleConnections) -> Option<OwnedSemaphorePermit> {
    loop {
        if places.available_permits() == 0 {
            idle.close_one();
        }
        if let Ok(place) = time::timeout(ROOM_INTERVAL, places.clone().acquire_owned()).await {
            return place.ok();
        }
    }
}

async fn serve<S, B>(
    name: &'static str,
    mut listener: MtlsListener,
    places: ConnectionLimit,
    service: S,
    mut told: ConnectionSignals,
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
    let makes_room = places.makes_room;
    let places = Arc::new(Semaphore::new(places.connections));
    let mut idle = IdleConnections::default();
    let counted = Connections::new(name);
    let telling = told.clone();
    let connection = |stream: MtlsStream| {
        let activity = Activity::new(telling.is_draining.clone());
        let served = connection::serve(stream, service.clone(), activity.clone(), telling.clone());
        let open = counted.open();
        let served = async move {
            served.await;
            drop(open);
        };
        (served, activity)
    };
    let mut open = JoinSet::new();
    let accepting = async {
        loop {
            let waiting = if makes_room { None } else { places.clone().acquire_owned().await.ok() };
            let (stream, _) = listener.accept().await;
            let Some(place) = (match waiting {
                Some(place) => Some(place),
                None => room(&places, &idle).await,
            }) else {
                return;
            };
            while open.try_join_next().is_some() {}
            let (served, activity) = connection(stream);
            let task = open.spawn(async move {
                served.await;
                drop(place);
            });
            if makes_room {
                idle.add(activity, task);
            }
        }
    };
    tokio::select! {
        () = accepting => {}
        () = told.drained() => {}
    }
    let mut rest = listener.drain();
    // Those that have ended are none.
    while open.try_join_next().is_some() {}
    tracing::info!(listener = name, connections = open.len(), "draining");
    let finishing = async {
        while let Some((stream, _)) = rest.accept().await {
            open.spawn(connection(stream).0);
        }
        while open.join_next().await.is_some() {}
    };
    let timeout: Duration = told.conditions.borrow().limits.drain_timeout;
    if time::timeout(timeout, finishing).await.is_err() {
        tracing::warn!(listener = name, connections = open.len(), "cut off after the drain timeout");
        // What has something to say about that says it before the process ends.
        open.shutdown().await;
    }
}
