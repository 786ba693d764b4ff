//! One connection, and the task that drives it.

use std::{
    future::{Future, poll_fn},
    sync::Arc,
};

use http::{Request, Response, Uri};
use http_body::Body;
use hyper::{
    body::Incoming,
    client::conn::{TrySendError, http1},
    rt::{Read, Write},
};
use hyper_util::rt::TokioIo;
use tower_service::Service;

use super::{
    availability::Availability,
    connection_guard::ConnectionGuard,
    handover::Handover,
    http2::{self, Http2},
};
use crate::{
    outbound::{
        ClientError, MtlsConnector,
        connect::{TcpConnector, Watched},
        connection_stats::ConnectionStats,
    },
    workers,
};

/// Opens the connections of a pool.
pub(in crate::outbound) enum Connector {
    Tls(MtlsConnector<TcpConnector>),
    Plain(TcpConnector),
}

/// Read buffer of an HTTP/1.1 connection in bytes, which also limits the response head.
const READ_BUFFER: usize = 64 * 1024;

/// Maximum number of header fields of a response.
const MAX_FIELDS: usize = 200;

/// A new connection.
pub(super) enum Opened<B> {
    Http1(Http1<B>),
    Http2(Arc<Http2<B>>),
}

pub(super) struct Http1<B> {
    /// The worker that drives it.
    pub(super) worker: usize,
    pub(super) sender: http1::SendRequest<B>,
    pub(super) handover: Handover,
    pub(super) stats: ConnectionStats,
    pub(super) guard: Arc<ConnectionGuard>,
}

impl Connector {
    /// Opens a connection and spawns its task.
    pub(super) async fn open<B>(
        &self,
        uri: Uri,
        guard: ConnectionGuard,
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
                guard.meters.handshake_completed(stream.is_resumed());
                match stream.is_http2() {
                    true => http2::open(stream, stats, guard, availability.clone()).await.map(Opened::Http2),
                    false => http1(stream, stats, guard).await,
                }
            }
            Self::Plain(connector) => {
                let mut connector = connector.clone();
                poll_fn(|cx| connector.poll_ready(cx)).await.map_err(ClientError::connecting)?;
                let stream = connector.call(uri).await.map_err(ClientError::connecting)?;
                let stream = Watched::new(stream.into_inner());
                let stats = stream.stats().clone();
                http1(TokioIo::new(stream), stats, guard).await
            }
        }
    }
}

async fn http1<T, B>(io: T, stats: ConnectionStats, guard: ConnectionGuard) -> Result<Opened<B>, ClientError>
where
    T: Read + Write + Unpin + Send + 'static,
    B: Body + Send + 'static,
    B::Data: Send,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let (mut sender, connection) = http1::Builder::new()
        .max_buf_size(READ_BUFFER)
        .max_headers(MAX_FIELDS)
        .handshake(io)
        .await
        .map_err(|error| ClientError::opening(error, &stats))?;
    let guard = Arc::new(guard);
    let of_task = guard.clone();
    let handover = Handover::default();
    let driven = handover.drive(connection.with_upgrades());
    guard.force_close().spawn(async move {
        // The request in flight, if there is one, reports the error.
        let _ = driven.await;
        drop(of_task);
    });
    // Until its task has run once the connection appears busy. A closed connection fails the request that uses it.
    let _ = sender.ready().await;
    Ok(Opened::Http1(Http1 { worker: workers::current(), sender, handover, stats, guard }))
}

impl<B> Http1<B> {
    /// Sends a request.
    pub(super) fn send(
        &mut self,
        request: Request<B>,
    ) -> impl Future<Output = Result<Response<Incoming>, TrySendError<Request<B>>>> + use<B>
    where
        B: Body + 'static,
    {
        self.handover.hand_over(|| self.sender.try_send_request(request))
    }

    pub(super) fn is_ready(&self) -> bool {
        self.sender.is_ready()
    }

    pub(super) fn is_closed(&self) -> bool {
        self.sender.is_closed()
    }
}
