//! TCP connections of one pool.

use std::{
    future::Future,
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use hyper_util::client::legacy::connect::{
    HttpConnector,
    dns::{GaiAddrs, GaiResolver, Name},
};
use tokio::sync::Semaphore;
use tower_service::Service;

/// Opens the TCP connections of one pool.
pub(in crate::outbound) type TcpConnector = HttpConnector<Resolver>;

/// Returns a connector whose TCP keepalive detects upstreams that disappeared without closing the connection.
pub(in crate::outbound) fn tcp_connector(connect_timeout: Duration, keepalive: Duration) -> TcpConnector {
    let resolver = Resolver { system: GaiResolver::new(), lookups: Arc::new(Semaphore::new(LOOKUPS)) };
    let mut tcp = TcpConnector::new_with_resolver(resolver);
    tcp.set_nodelay(true);
    tcp.set_connect_timeout(Some(connect_timeout));
    tcp.set_keepalive(Some(keepalive));
    tcp
}

/// Concurrent name lookups of one pool. Each occupies a thread of the runtime's blocking pool.
const LOOKUPS: usize = 8;

/// The system's resolver, with a limit on concurrent lookups.
#[derive(Debug, Clone)]
pub(in crate::outbound) struct Resolver {
    system: GaiResolver,
    lookups: Arc<Semaphore>,
}

impl Service<Name> for Resolver {
    type Response = GaiAddrs;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<GaiAddrs>> + Send>>;

    /// Always ready: connectors poll readiness on one clone and resolve on another.
    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, name: Name) -> Self::Future {
        let Self { mut system, lookups } = self.clone();
        Box::pin(async move {
            let _lookup = lookups.acquire_owned().await.map_err(io::Error::other)?;
            system.call(name).await
        })
    }
}
