mod dispatch;
mod pools;

use std::{
    fmt,
    future::Future,
    pin::Pin,
    sync::{Arc, OnceLock},
    task::{Context, Poll},
    time::Duration,
};

use http::{Request, Response};
use http_body::Body;
use hyper_util::client::legacy::connect::HttpConnector;
use tower_service::Service;

use self::pools::Pools;
use super::{ClientError, UpstreamBody, UpstreamTrust, UpstreamTrustError, resolver::Resolver};
use crate::identity::ClientIdentity;

/// Opens the TCP connections of one pool.
pub(super) type TcpConnector = HttpConnector<Resolver>;

/// Sends requests to upstreams, each under the identity that an [`IdentityLayer`](super::IdentityLayer) chose.
///
/// Clones share the pools. See the [module](super) for when a request is sent. `B` is the request body.
pub struct MtlsClient<B>(Arc<ClientInner<B>>);

struct ClientInner<B> {
    settings: Settings,
    pools: Arc<Pools<B>>,
}

#[derive(Debug, Clone)]
struct Settings {
    trust: OnceLock<UpstreamTrust>,
    connect_timeout: Duration,
    handshake_timeout: Duration,
    idle_timeout: Duration,
    drain_timeout: Duration,
    max_connections: Option<usize>,
    max_total_connections: Option<usize>,
}

impl MtlsClient<()> {
    /// Starts a client. The request body's type is chosen at [`MtlsClientBuilder::build`].
    pub fn builder() -> MtlsClientBuilder {
        MtlsClientBuilder::default()
    }
}

/// Builds an [`MtlsClient`].
#[derive(Debug, Clone)]
#[must_use]
pub struct MtlsClientBuilder {
    trust: Option<UpstreamTrust>,
    connect_timeout: Duration,
    handshake_timeout: Duration,
    idle_timeout: Duration,
    drain_timeout: Duration,
    max_connections: Option<usize>,
    max_total_connections: Option<usize>,
}

impl Default for MtlsClientBuilder {
    fn default() -> Self {
        Self {
            trust: None,
            connect_timeout: Duration::from_secs(5),
            handshake_timeout: Duration::from_secs(10),
            idle_timeout: Duration::from_secs(60),
            drain_timeout: Duration::from_secs(30),
            max_connections: None,
            max_total_connections: None,
        }
    }
}

impl MtlsClientBuilder {
    /// The trust of requests whose route has none of its own.
    ///
    /// Default: the system's roots, read when the first request needs them; pass
    /// [`UpstreamTrust::system`] to read them, and to fail, earlier.
    pub fn trust(mut self, trust: UpstreamTrust) -> Self {
        self.trust = Some(trust);
        self
    }

    /// How long a TCP connection may take to be made. Default: 5 seconds.
    pub fn with_connect_timeout(mut self, timeout: Duration) -> Self {
        self.connect_timeout = timeout;
        self
    }

    /// How long a TLS handshake may take on top of that. Default: 10 seconds.
    pub fn with_handshake_timeout(mut self, timeout: Duration) -> Self {
        self.handshake_timeout = timeout;
        self
    }

    /// How long an unused connection is kept. Default: 60 seconds.
    pub fn with_idle_timeout(mut self, timeout: Duration) -> Self {
        self.idle_timeout = timeout;
        self
    }

    /// How long requests in flight may go on under an identity or trust that was replaced, before they are cut
    /// off with their connection. Default: 30 seconds.
    pub fn with_drain_timeout(mut self, timeout: Duration) -> Self {
        self.drain_timeout = timeout;
        self
    }

    /// The most connections to one upstream (an authority), under all identities together. A request that finds
    /// none free waits as long as a connection may take to be made, and then fails with
    /// [`ClientErrorKind::TooManyConnections`](super::ClientErrorKind::TooManyConnections). Default: no limit.
    pub fn with_max_connections(mut self, connections: usize) -> Self {
        self.max_connections = Some(connections.max(1));
        self
    }

    /// The most connections to all upstreams together; what is said of
    /// [`with_max_connections`](Self::with_max_connections) holds here too. Default: no limit.
    pub fn with_max_total_connections(mut self, connections: usize) -> Self {
        self.max_total_connections = Some(connections.max(1));
        self
    }

    /// Builds the client.
    pub fn build<B>(self) -> MtlsClient<B>
    where
        B: Body + Send + 'static + Unpin,
        B::Data: Send,
    {
        let settings = Settings {
            trust: self.trust.map(OnceLock::from).unwrap_or_default(),
            connect_timeout: self.connect_timeout,
            handshake_timeout: self.handshake_timeout,
            idle_timeout: self.idle_timeout,
            drain_timeout: self.drain_timeout,
            max_connections: self.max_connections,
            max_total_connections: self.max_total_connections,
        };
        let pools = Arc::new(Pools::new(&settings));
        MtlsClient(Arc::new(ClientInner { settings, pools }))
    }
}

impl Settings {
    /// The trust of requests whose route has none of its own.
    fn trust(&self) -> Result<&UpstreamTrust, UpstreamTrustError> {
        if let Some(trust) = self.trust.get() {
            return Ok(trust);
        }
        let system = UpstreamTrust::system()?;
        Ok(self.trust.get_or_init(|| system))
    }

    fn tcp(&self) -> TcpConnector {
        let mut tcp = TcpConnector::new_with_resolver(Resolver::new());
        tcp.set_nodelay(true);
        tcp.set_connect_timeout(Some(self.connect_timeout));
        // An upstream that vanished without a word is noticed, if late.
        tcp.set_keepalive(Some(self.idle_timeout));
        tcp
    }
}

impl<B> MtlsClient<B>
where
    B: Body + Send + 'static + Unpin,
    B::Data: Send,
{
    /// Ends the connections that were made under this identity: idle ones are closed, nothing new starts on the
    /// others, and what is in flight is cut off after the [drain timeout](MtlsClientBuilder::with_drain_timeout).
    ///
    /// For an identity of which somebody keeps a clone after it was replaced. One of which there is no clone left
    /// is retired within a second by itself.
    pub fn retire_identity(&self, identity: &ClientIdentity) {
        let generation = identity.generation();
        self.0.pools.retire(self.0.settings.drain_timeout, |pool| pool.key().is_of_identity(generation));
    }

    /// Ends all connections, as [`retire_identity`](Self::retire_identity) does: before the client itself is given up
    /// for another one.
    pub fn retire_all(&self) {
        self.0.pools.retire(self.0.settings.drain_timeout, |_| true);
    }

    /// Ends the connections that were made under this trust, as [`retire_identity`](Self::retire_identity) does.
    pub fn retire_trust(&self, trust: &UpstreamTrust) {
        let generation = trust.generation();
        self.0.pools.retire(self.0.settings.drain_timeout, |pool| pool.key().is_of_trust(generation));
    }
}

impl<B> Service<Request<B>> for MtlsClient<B>
where
    B: Body + Send + 'static + Unpin,
    B::Data: Send,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    type Response = Response<UpstreamBody>;
    type Error = ClientError;
    type Future = ClientFuture;

    /// Always ready: limits are layers of their own.
    fn poll_ready(&mut self, _cx: &mut Context<'_>) -> Poll<Result<(), ClientError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> ClientFuture {
        ClientFuture(Box::pin(dispatch::send(self.0.clone(), request)))
    }
}

impl<B> MtlsClient<B> {
    /// Whether both are clones of one client, and so share connections.
    pub fn ptr_eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl<B> Clone for MtlsClient<B> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<B> fmt::Debug for MtlsClient<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MtlsClient").field("settings", &self.0.settings).finish_non_exhaustive()
    }
}

/// Response future of [`MtlsClient`].
pub struct ClientFuture(Pin<Box<dyn Future<Output = Result<Response<UpstreamBody>, ClientError>> + Send>>);

impl Future for ClientFuture {
    type Output = Result<Response<UpstreamBody>, ClientError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.0.as_mut().poll(cx)
    }
}

impl fmt::Debug for ClientFuture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientFuture").finish_non_exhaustive()
    }
}
