//! One connection, and the task that drives it.

use std::{future::poll_fn, sync::Arc};

use http::Uri;
use http_body::Body;
use hyper::{
    client::conn::http1,
    rt::{Read, Write},
};
use hyper_util::rt::TokioIo;
use tokio::sync::OwnedSemaphorePermit;
use tower_service::Service;

use super::{
    availability::Availability,
    force_close::ForceClose,
    http2::{self, Http2},
    meters::Meters,
};
use crate::outbound::{
    ClientError, MtlsConnector,
    client::TcpConnector,
    stream::{ConnectionStats, Watched},
};

/// Opens the connections of a pool.
pub(in super::super) enum Connector {
    Tls(MtlsConnector<TcpConnector>),
    Plain(TcpConnector),
}

/// Read buffer of an HTTP/1.1 connection in bytes, which also limits the response head.
const READ_BUFFER: usize = 16 * 1024;

/// A new connection.
pub(super) enum Opened<B> {
    Http1(Http1<B>),
    Http2(Arc<Http2<B>>),
}

pub(super) struct Http1<B> {
    pub(super) sender: http1::SendRequest<B>,
    pub(super) stats: ConnectionStats,
    pub(super) open: Arc<Open>,
}

/// Counts a connection as open; owned by its task and by a tunnel. It does not own the pool: dropping the last
/// reference to a pool closes its idle connections.
pub(super) struct Open {
    meters: Arc<Meters>,
    force_close: Arc<ForceClose>,
    _permits: Vec<OwnedSemaphorePermit>,
}

impl Open {
    pub(super) fn new(
        meters: Arc<Meters>,
        force_close: Arc<ForceClose>,
        permits: Vec<OwnedSemaphorePermit>,
    ) -> Self {
        meters.opened();
        Self { meters, force_close, _permits: permits }
    }

    pub(super) fn force_close(&self) -> &ForceClose {
        &self.force_close
    }

    /// Completes when the connection must end.
    #[cfg(feature = "proxy")]
    pub(super) async fn force_closed(&self) {
        self.force_close.wait().await;
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.meters.closed();
    }
}

impl Connector {
    /// Opens a connection and spawns its task.
    pub(super) async fn open<B>(
        &self,
        uri: Uri,
        open: Open,
        availability: &Arc<Availability>,
    ) -> Result<Opened<B>, ClientError>
    where
        B: Body + Send + 'static + Unpin,
        B::Data: Send,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        match self {
            Self::Tls(connector) => {
                let mut connector = connector.clone();
                poll_fn(|cx| connector.poll_ready(cx)).await?;
                let stream = connector.call(uri).await?;
                let stats = stream.stats().clone();
                open.meters.handshake_completed(stream.is_resumed());
                match stream.is_http2() {
                    true => http2::open(stream, stats, open, availability.clone()).await.map(Opened::Http2),
                    false => http1(stream, stats, open).await,
                }
            }
            Self::Plain(connector) => {
                let mut connector = connector.clone();
                poll_fn(|cx| connector.poll_ready(cx)).await.map_err(ClientError::connecting)?;
                let stream = connector.call(uri).await.map_err(ClientError::connecting)?;
                let stream = Watched::new(stream.into_inner());
                let stats = stream.stats().clone();
                http1(TokioIo::new(stream), stats, open).await
            }
        }
    }
}

async fn http1<T, B>(io: T, stats: ConnectionStats, open: Open) -> Result<Opened<B>, ClientError>
where
    T: Read + Write + Unpin + Send + 'static,
    B: Body + Send + 'static,
    B::Data: Send,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let (mut sender, connection) = http1::Builder::new()
        .max_buf_size(READ_BUFFER)
        .handshake(io)
        .await
        .map_err(|error| ClientError::opening(error, &stats))?;
    let open = Arc::new(open);
    let guard = open.clone();
    open.force_close.spawn(async move {
        // The request in flight, if there is one, reports the error.
        let _ = connection.with_upgrades().await;
        drop(guard);
    });
    // Until its task has run once the connection appears busy. A closed connection fails the request that uses it.
    let _ = sender.ready().await;
    Ok(Opened::Http1(Http1 { sender, stats, open }))
}

impl<B> Http1<B> {
    pub(super) fn is_ready(&self) -> bool {
        self.sender.is_ready()
    }

    pub(super) fn is_closed(&self) -> bool {
        self.sender.is_closed()
    }
}
