//! The accept loop and its drain.

use std::{
    convert::Infallible,
    fmt,
    future::{Future, IntoFuture, Pending, pending},
    pin::{Pin, pin},
    sync::Arc,
    time::Duration,
};

use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use tokio::{
    task::JoinSet,
    time::{self, MissedTickBehavior},
};
use tower_service::Service;

use super::{
    BufferBudget, CallerBody, ConnectionObserver, HttpLimits,
    activity::Activity,
    connection,
    observer::OpenConnection,
    settings::{ConnectionControl, ConnectionSignals, connection_control},
};
use crate::{
    acceptor::{Closing, Connections, MtlsListener, MtlsStream},
    shared::Shared,
};

/// Interval at which replaced limits are passed on to open connections.
const LIMITS_INTERVAL: Duration = Duration::from_millis(250);

/// Interval at which connections are closed while the budget is exceeded.
const PAUSE_INTERVAL: Duration = Duration::from_millis(100);

/// Maximum time for which closed tunnels end.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(1);

/// Serves HTTP/1.1 and HTTP/2 with default [limits](HttpLimits). See the [module](super).
///
/// The returned value is awaited. Dropping the future closes all connections.
///
/// ```
/// # #[cfg(any(feature = "aws-lc-rs", feature = "ring"))]
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let made = rcgen::generate_simple_self_signed(["localhost".to_owned()])?;
/// # let (chain, key) = (made.cert.pem(), made.signing_key.serialize_pem());
/// use std::convert::Infallible;
/// use http::{Request, Response};
/// use tower::service_fn;
/// use tower_mtls::{MtlsListener, ServerTls, serve, serve::CallerBody};
///
/// let service = service_fn(|_: Request<CallerBody>| async { Ok::<_, Infallible>(Response::new(String::from("hello"))) });
/// let listener = MtlsListener::bind("127.0.0.1:0", ServerTls::from_pem(chain, key)?).await?;
/// let shutdown = async { /* for example tokio::signal::ctrl_c() */ };
/// serve(listener, service).with_graceful_shutdown(shutdown).await;
/// # Ok(())
/// # }
/// # #[cfg(not(any(feature = "aws-lc-rs", feature = "ring")))]
/// # fn main() {}
/// ```
pub fn serve<S>(listener: MtlsListener, service: S) -> Serve<S> {
    let (limits, buffers) = (Shared::default(), BufferBudget::new(usize::MAX));
    Serve { listener, service, limits, buffers, observer: None, name: "", shutdown: pending() }
}

/// Future of [`serve`], once awaited.
#[must_use = "serves nothing unless it is awaited"]
pub struct Serve<S, F = Pending<()>> {
    listener: MtlsListener,
    service: S,
    limits: Shared<HttpLimits>,
    buffers: BufferBudget,
    observer: Option<Arc<dyn ConnectionObserver>>,
    name: &'static str,
    shutdown: F,
}

impl<S, F> Serve<S, F> {
    /// Sets the limits of HTTP connections: an [`HttpLimits`], or a [`Shared`] of it that is replaced later.
    pub fn with_limits(mut self, limits: impl Into<Shared<HttpLimits>>) -> Self {
        self.limits = limits.into();
        self
    }

    /// Sets the budget of response bytes that callers have not taken, which servers can share. Default: unlimited.
    pub fn with_buffer_budget(mut self, budget: BufferBudget) -> Self {
        self.buffers = budget;
        self
    }

    /// Sets the observer of the connections. Default: none.
    pub fn with_observer(mut self, observer: Arc<dyn ConnectionObserver>) -> Self {
        self.observer = Some(observer);
        self
    }

    /// Sets the listener's name in logs. Default: empty.
    pub fn with_name(mut self, name: &'static str) -> Self {
        self.name = name;
        self
    }

    /// Drains the server once `shutdown` completes: it stops accepting, finishes handshakes and requests in flight within
    /// the [drain timeout](HttpLimits::with_drain_timeout), and then closes all connections.
    ///
    /// HTTP/2 callers receive GOAWAY, HTTP/1.1 callers `Connection: close`.
    pub fn with_graceful_shutdown<G>(self, shutdown: G) -> Serve<S, G>
    where
        G: Future<Output = ()> + Send + 'static,
    {
        let Self { listener, service, limits, buffers, observer, name, shutdown: _ } = self;
        Serve { listener, service, limits, buffers, observer, name, shutdown }
    }
}

impl<S, F> fmt::Debug for Serve<S, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Serve")
            .field("listener", &self.listener)
            .field("limits", &self.limits)
            .finish_non_exhaustive()
    }
}

/// Closes all connections when the server is dropped, tunnels included.
struct CloseOnDrop(Arc<Connections>);

impl Drop for CloseOnDrop {
    fn drop(&mut self) {
        self.0.close_all(Closing::Drained);
    }
}

/// Passes replaced limits on to open connections.
async fn follow_limits(limits: &Shared<HttpLimits>, control: &ConnectionControl) {
    let mut interval = time::interval(LIMITS_INTERVAL);
    interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        interval.tick().await;
        control.set_limits(*limits.current());
    }
}

/// Pauses accepting while the budget is exceeded, and closes connections whose callers do not read their responses.
async fn pause_above(buffers: &BufferBudget, connections: &Connections) {
    loop {
        buffers.exceeded().await;
        connections.set_paused(true);
        while time::timeout(PAUSE_INTERVAL, buffers.available()).await.is_err() {
            connections.close_stalled();
        }
        connections.set_paused(false);
    }
}

impl<S, B, F> IntoFuture for Serve<S, F>
where
    S: Service<Request<CallerBody>, Response = Response<B>, Error = Infallible>
        + Clone
        + Send
        + Sync
        + 'static,
    S::Future: Send,
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    F: Future<Output = ()> + Send + 'static,
{
    type Output = ();
    type IntoFuture = Pin<Box<dyn Future<Output = ()> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move {
            let Self { mut listener, service, limits, buffers, observer, name, shutdown } = self;
            let connections = CloseOnDrop(listener.connections().clone());
            let (control, signals) = connection_control(*limits.current());
            let mut tasks = JoinSet::new();
            let spawn = |stream: MtlsStream, signals: &ConnectionSignals, tasks: &mut JoinSet<()>| {
                let activity = Activity::new(signals.is_draining.clone(), buffers.clone());
                let open = OpenConnection::new(observer.clone());
                let worker = stream.runtime().cloned();
                let connection = connection::serve(stream, service.clone(), activity, signals.clone(), open);
                match worker {
                    Some(worker) => drop(tasks.spawn_on(connection, &worker)),
                    None => drop(tasks.spawn(connection)),
                }
            };
            let accepting = async {
                loop {
                    let (stream, _) = listener.accept().await;
                    while tasks.try_join_next().is_some() {}
                    spawn(stream, &signals, &mut tasks);
                }
            };
            {
                let mut shutdown = pin!(shutdown);
                tokio::select! {
                    () = accepting => {}
                    () = follow_limits(&limits, &control) => {}
                    () = pause_above(&buffers, &connections.0) => {}
                    () = shutdown.as_mut() => {}
                }
            }
            control.drain();
            let mut handshakes = listener.drain();
            // Finished tasks do not count as connections.
            while tasks.try_join_next().is_some() {}
            tracing::info!(listener = name, connections = connections.0.count(), "draining");
            let finishing = async {
                while let Some((stream, _)) = handshakes.accept().await {
                    spawn(stream, &signals, &mut tasks);
                }
                while tasks.join_next().await.is_some() {}
                // Tunnels outlive the tasks of their connections.
                connections.0.all_closed().await;
            };
            if time::timeout(limits.current().drain_timeout, finishing).await.is_err() {
                tracing::warn!(
                    listener = name,
                    connections = connections.0.count(),
                    "cut off after the drain timeout"
                );
                connections.0.close_all(Closing::Drained);
                tasks.shutdown().await;
                let _ = time::timeout(CLOSE_TIMEOUT, connections.0.all_closed()).await;
            }
        })
    }
}
