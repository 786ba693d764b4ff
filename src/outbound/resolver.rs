use std::{
    future::Future,
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use hyper_util::client::legacy::connect::dns::{GaiAddrs, GaiResolver, Name};
use tokio::sync::Semaphore;
use tower_service::Service;

/// Concurrent name lookups of one pool. Each occupies a thread of the runtime's blocking pool.
const LOOKUPS: usize = 8;

/// The system's resolver, with a limit on concurrent lookups.
#[derive(Debug, Clone)]
pub(super) struct Resolver {
    system: GaiResolver,
    lookups: Arc<Semaphore>,
}

impl Resolver {
    pub(super) fn new() -> Self {
        Self { system: GaiResolver::new(), lookups: Arc::new(Semaphore::new(LOOKUPS)) }
    }
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
