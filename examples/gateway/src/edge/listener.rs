//! Listeners of the gateway, whose limits and TLS settings are replaced at run time.

use std::{convert::Infallible, io, net::SocketAddr};

use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use tokio::{net::TcpListener, sync::oneshot, task::JoinHandle};
use tower::Service;
use tower_mtls::{
    MtlsListener, ServerTls, Shared, Workers,
    acceptor::ListenerLimits,
    serve,
    serve::{BufferBudget, CallerBody, HeadLimits, HttpLimits},
};

use super::{buffers, metrics::ListenerMetrics};
use crate::config::{Limits, RequestLimits};

/// Name of the management listener.
const MANAGEMENT: &str = "management";

/// Bound listener and its connections. Dropping it closes all of them.
#[derive(Debug)]
pub(crate) struct Listener {
    requested: SocketAddr,
    local: SocketAddr,
    tls: Shared<ServerTls>,
    listener_limits: Shared<ListenerLimits>,
    http_limits: Shared<HttpLimits>,
    /// Dropping it begins the drain.
    drain: Option<oneshot::Sender<Infallible>>,
    task: JoinHandle<()>,
}

impl Listener {
    /// Binds the address and serves it. `name` is the listener's name in metrics and logs. Connections are on
    /// `workers`, if there are any.
    pub(crate) async fn bind<S, B>(
        name: &'static str,
        address: SocketAddr,
        tls: ServerTls,
        limits: &Limits,
        workers: Option<&Workers>,
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
        let listener_limits = Shared::new(listener_limits(limits));
        let listener = match workers {
            Some(workers) => MtlsListener::on_workers(tcp, tls.clone(), listener_limits.clone(), workers)?,
            None => MtlsListener::new(tcp, tls.clone(), listener_limits.clone())?,
        };
        let local = listener.local_addr();
        // The management listener responds above the limit too.
        let budget = (name != MANAGEMENT).then(|| buffers::budget(limits.max_buffered_bytes));
        let http_limits = Shared::new(http_limits(limits));
        let (drain, drained) = oneshot::channel::<Infallible>();
        let serving = serve(listener, service)
            .with_name(name)
            .with_limits(http_limits.clone())
            .with_observer(ListenerMetrics::new(name))
            .with_buffer_budget(budget.clone().unwrap_or_else(|| BufferBudget::new(usize::MAX)))
            .with_graceful_shutdown(async {
                // Ends when the sender is dropped.
                let _ = drained.await;
            });
        let task = tokio::spawn(async move {
            tokio::select! {
                () = serving.into_future() => {}
                never = buffers::report(budget) => match never {},
            }
        });
        Ok(Self { requested: address, local, tls, listener_limits, http_limits, drain: Some(drain), task })
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.local
    }

    /// Returns the configured address, whose port can be 0.
    pub(crate) fn requested_address(&self) -> SocketAddr {
        self.requested
    }

    /// Replaces the TLS settings of new handshakes, and the limits of all connections.
    pub(crate) fn update(&self, tls: ServerTls, limits: &Limits) {
        self.tls.replace(tls);
        self.listener_limits.replace(listener_limits(limits));
        self.http_limits.replace(http_limits(limits));
        buffers::budget(limits.max_buffered_bytes);
    }

    /// Stops accepting, waits for requests in flight within the drain timeout, and closes all connections.
    pub(crate) async fn drain(mut self) {
        self.drain = None;
        // An error is a panic of the task, which the panic hook has printed.
        let _ = (&mut self.task).await;
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn listener_limits(limits: &Limits) -> ListenerLimits {
    let default = ListenerLimits::default()
        .with_connections_per_address(limits.max_connections_per_address)
        .with_handshakes_per_address(limits.max_handshakes_per_address)
        .with_exempt_networks(limits.exempt_networks.iter().copied())
        .with_handshake_timeout(limits.handshake_timeout);
    let limited = limits.max_connections.into_iter().fold(default, ListenerLimits::with_connections);
    limits.max_handshakes.into_iter().fold(limited, ListenerLimits::with_handshakes)
}

/// Returns the limits of the head of a request.
pub(super) fn head_limits(limits: &RequestLimits) -> HeadLimits {
    HeadLimits::default()
        .with_max_size(limits.max_head_size)
        .with_max_fields(limits.max_header_fields)
        .with_max_target(limits.max_target_size)
}

fn http_limits(limits: &Limits) -> HttpLimits {
    HttpLimits::default()
        .with_head_timeout(limits.head_timeout)
        .with_idle_timeout(limits.idle_timeout)
        .with_body_timeout(limits.request.body_timeout)
        .with_min_data_rate(limits.request.min_data_rate)
        .with_max_connection_age(limits.max_connection_age)
        .with_drain_timeout(limits.drain_timeout)
        .with_stream_idle_timeout(limits.request.stream_idle_timeout)
        .with_head_limits(head_limits(&limits.request))
}
