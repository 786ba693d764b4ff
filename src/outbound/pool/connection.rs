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

/// What makes connections.
pub(in super::super) enum Connector {
    Tls(MtlsConnector<TcpConnector>),
    Plain(TcpConnector),
}

/// The most of a response that is buffered for one HTTP/1.1 connection, and the largest head, in bytes.
const READ_BUFFER: usize = 16 * 1024;

/// A connection that has just been made.
pub(super) enum Opened<B> {
    Http1(Http1<B>),
    Http2(Arc<Http2<B>>),
}

pub(super) struct Http1<B> {
    pub(super) sender: http1::SendRequest<B>,
    pub(super) facts: ConnectionStats,
    pub(super) open: Arc<Open>,
}

/// Counts a connection as open; the driving task and a tunnel hold it. It holds no pool: a pool that nobody has
/// any more closes its idle connections by being dropped.
pub(super) struct Open {
    meters: Arc<Meters>,
    cut: Arc<ForceClose>,
    _places: Vec<OwnedSemaphorePermit>,
}

impl Open {
    pub(super) fn new(meters: Arc<Meters>, cut: Arc<ForceClose>, places: Vec<OwnedSemaphorePermit>) -> Self {
        meters.opened();
        Self { meters, cut, _places: places }
    }

    pub(super) fn cut(&self) -> &ForceClose {
        &self.cut
    }

    /// Ends when the connection has to be cut off.
    #[cfg(feature = "proxy")]
    pub(super) async fn is_cut(&self) {
        self.cut.wait().await;
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.meters.closed();
    }
}

impl Connector {
    /// Opens a connection and drives it.
    pub(super) async fn open<B>(
        &self,
        uri: Uri,
        open: Open,
        returned: &Arc<Availability>,
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
                let facts = stream.facts().clone();
                open.meters.shook_hands(stream.is_resumed());
                match stream.is_http2() {
                    true => http2::open(stream, facts, open, returned.clone()).await.map(Opened::Http2),
                    false => http1(stream, facts, open).await,
                }
            }
            Self::Plain(connector) => {
                let mut connector = connector.clone();
                poll_fn(|cx| connector.poll_ready(cx)).await.map_err(ClientError::connecting)?;
                let stream = connector.call(uri).await.map_err(ClientError::connecting)?;
                let stream = Watched::new(stream.into_inner());
                let facts = stream.facts().clone();
                http1(TokioIo::new(stream), facts, open).await
            }
        }
    }
}

async fn http1<T, B>(io: T, facts: ConnectionStats, open: Open) -> Result<Opened<B>, ClientError>
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
        .map_err(|error| ClientError::opening(error, &facts))?;
    let open = Arc::new(open);
    let held = open.clone();
    open.cut.spawn(async move {
        // How it ended is told to the request in flight, if there is one.
        let _ = connection.with_upgrades().await;
        drop(held);
    });
    // Until its task has run once it looks like one that is busy, and would not be lent. That it is gone already
    // is told to whoever sends on it.
    let _ = sender.ready().await;
    Ok(Opened::Http1(Http1 { sender, facts, open }))
}
impl<B> Http1<B> {
    pub(super) fn is_ready(&self) -> bool {
        self.sender.is_ready()
    }

    pub(super) fn is_closed(&self) -> bool {
        self.sender.is_closed()
    }
}
