//! The pooled client, and the choice of each request's identity and trust.

mod choice;
mod dispatch;
mod identity_layer;
mod pools;
mod repetition;
mod request_identity;
mod request_trust;

use std::{
    fmt,
    future::Future,
    pin::Pin,
    sync::{Arc, OnceLock},
    task::{Context, Poll},
    time::Duration,
};

use http::{Request, Response, uri::Authority};
use http_body::Body;
use tower_service::Service;

pub use self::{
    identity_layer::{IdentityLayer, IdentityService},
    request_identity::RequestIdentity,
    request_trust::RequestTrust,
};
use self::{pools::Pools, repetition::Repetition};
use super::{
    connect::{TcpConnector, tcp_connector},
    error::ClientError,
    pool::{ConnectionShare, UpstreamBody},
    trust::{UpstreamTrust, UpstreamTrustError},
};
use crate::identity::ClientIdentity;

/// Pooled client: sends each request under the identity that an [`IdentityLayer`](crate::outbound::IdentityLayer) chose.
///
/// Clones share the pools. See the [module](crate::outbound). `B` is the type of request bodies.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// use http::Request;
/// use tower::ServiceExt;
/// use tower_mtls::{MtlsClient, outbound::ClientErrorKind};
///
/// let client: MtlsClient<String> = MtlsClient::builder().build();
/// // Without an IdentityLayer nothing is sent.
/// let request = Request::get("https://orders.internal/42").body(String::new()).unwrap();
/// assert_eq!(client.oneshot(request).await.unwrap_err().kind(), ClientErrorKind::NoIdentity);
/// # }
/// ```
pub struct MtlsClient<B>(Arc<ClientInner<B>>);

struct ClientInner<B> {
    settings: Settings,
    /// None: idempotent requests are not repeated.
    repetition: Option<Repetition<B>>,
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
    /// Starts a builder. The type of request bodies is chosen at [`MtlsClientBuilder::build`].
    ///
    /// ```
    /// use tower_mtls::MtlsClient;
    ///
    /// let client: MtlsClient<String> = MtlsClient::builder().build();
    /// # drop(client);
    /// ```
    pub fn builder() -> MtlsClientBuilder {
        MtlsClientBuilder::default()
    }
}

/// Builds an [`MtlsClient`].
///
/// ```
/// use std::time::Duration;
/// use tower_mtls::MtlsClient;
///
/// let builder = MtlsClient::builder().with_connect_timeout(Duration::from_secs(2)).with_max_connections(64);
/// let client: MtlsClient<String> = builder.clone().build();
/// assert!(client.clone().ptr_eq(&client));
/// assert!(!client.ptr_eq(&builder.build()));
/// ```
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
    /// The trust of requests whose route sets none.
    ///
    /// Default: the system's roots, read when the first request needs them; pass
    /// [`UpstreamTrust::system`] to read them, and to fail, earlier.
    pub fn trust(mut self, trust: UpstreamTrust) -> Self {
        self.trust = Some(trust);
        self
    }

    /// Time limit for establishing a TCP connection. Default: 5 seconds.
    pub fn with_connect_timeout(mut self, timeout: Duration) -> Self {
        self.connect_timeout = timeout;
        self
    }

    /// Additional time limit for the TLS handshake. Default: 10 seconds.
    pub fn with_handshake_timeout(mut self, timeout: Duration) -> Self {
        self.handshake_timeout = timeout;
        self
    }

    /// Time after which an idle connection is closed. Default: 60 seconds.
    pub fn with_idle_timeout(mut self, timeout: Duration) -> Self {
        self.idle_timeout = timeout;
        self
    }

    /// Time that requests in flight have to finish under a replaced identity or trust, before their connection is closed.
    /// Default: 30 seconds.
    pub fn with_drain_timeout(mut self, timeout: Duration) -> Self {
        self.drain_timeout = timeout;
        self
    }

    /// Connection limit for one upstream (an authority), under all identities together. A request that finds no free
    /// connection waits for the connect timeout, and then fails with
    /// [`ClientErrorKind::TooManyConnections`](crate::outbound::ClientErrorKind::TooManyConnections). The last eighth is
    /// reserved for [shares](crate::outbound::ConnectionShare) that use none. Default: no limit.
    pub fn with_max_connections(mut self, connections: usize) -> Self {
        self.max_connections = Some(connections.max(1));
        self
    }

    /// Connection limit for all upstreams together, as [`with_max_connections`](Self::with_max_connections). Default: no
    /// limit.
    pub fn with_max_total_connections(mut self, connections: usize) -> Self {
        self.max_total_connections = Some(connections.max(1));
        self
    }

    /// Builds a client that sends each request at most once.
    pub fn build<B>(self) -> MtlsClient<B>
    where
        B: Body + Send + 'static + Unpin,
        B::Data: Send,
    {
        self.build_with(None)
    }

    /// Builds a client that repeats idempotent requests: a request is sent a second time if
    /// 1. its method is idempotent (RFC 9110, section 9.2.2), and it has no body and requests no other protocol;
    /// 2. its connection ended before any byte of a response arrived, and not by a TLS alert
    ///    ([`ClientError::may_repeat`]).
    ///
    /// That happens when an upstream closes an idle connection while a request is sent on it. The current identity and trust
    /// are used, as for the first time; the extensions of the request are not copied.
    ///
    /// ```
    /// # fn route(orders: tower_mtls::ClientIdentity) {
    /// use tower::Layer;
    /// use tower_mtls::{IdentityLayer, MtlsClient};
    ///
    /// let client: MtlsClient<String> = MtlsClient::builder().build_repeating();
    /// let route = IdentityLayer::new(orders).layer(client);
    /// # drop(route);
    /// # }
    /// ```
    pub fn build_repeating<B>(self) -> MtlsClient<B>
    where
        B: Body + Default + Send + 'static + Unpin,
        B::Data: Send,
    {
        self.build_with(Some(Repetition::new()))
    }

    fn build_with<B>(self, repetition: Option<Repetition<B>>) -> MtlsClient<B>
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
        MtlsClient(Arc::new(ClientInner { settings, repetition, pools }))
    }
}

impl Settings {
    /// The trust of requests whose route sets none.
    fn trust(&self) -> Result<&UpstreamTrust, UpstreamTrustError> {
        if let Some(trust) = self.trust.get() {
            return Ok(trust);
        }
        let system = UpstreamTrust::system()?;
        Ok(self.trust.get_or_init(|| system))
    }

    fn tcp(&self) -> TcpConnector {
        tcp_connector(self.connect_timeout, self.idle_timeout)
    }
}

impl<B> MtlsClient<B>
where
    B: Body + Send + 'static + Unpin,
    B::Data: Send,
{
    /// Ends the connections that were opened under this identity: idle ones are closed, no new requests start on the
    /// others, and those with requests in flight are closed at the
    /// [drain timeout](MtlsClientBuilder::with_drain_timeout).
    ///
    /// For a replaced identity with remaining clones. An identity with no remaining clones is retired automatically
    /// within one second.
    pub fn retire_identity(&self, identity: &ClientIdentity) {
        let generation = identity.generation();
        self.0.pools.retire(self.0.settings.drain_timeout, |pool| pool.key().is_of_identity(generation));
    }

    /// Ends all connections, as [`retire_identity`](Self::retire_identity) does: before the client itself is replaced.
    pub fn retire_all(&self) {
        self.0.pools.retire(self.0.settings.drain_timeout, |_| true);
    }

    /// Ends the connections that were opened under this trust, as [`retire_identity`](Self::retire_identity) does.
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

    /// Always ready: limits are separate layers.
    fn poll_ready(&mut self, _cx: &mut Context<'_>) -> Poll<Result<(), ClientError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> ClientFuture {
        ClientFuture(Box::pin(dispatch::send(self.0.clone(), request)))
    }
}

impl<B> MtlsClient<B> {
    /// Returns the share of connections with this name, usually a route's: the same one while it is in use. `upstream`:
    /// the authority to which its requests are sent; None: any.
    ///
    /// ```
    /// use http::uri::Authority;
    /// use tower_mtls::{IdentityLayer, MtlsClient, outbound::ConnectionShare};
    ///
    /// let client: MtlsClient<String> = MtlsClient::builder().with_max_connections(64).build();
    /// let upstream = Authority::from_static("orders.internal:9444");
    /// let share: ConnectionShare = client.connection_share("/orders", Some(&upstream));
    /// let layer = IdentityLayer::anonymous().with_connection_share(share);
    /// # drop(layer);
    /// ```
    pub fn connection_share(&self, name: &str, upstream: Option<&Authority>) -> ConnectionShare {
        self.0.pools.shares().named(name, upstream)
    }

    /// Returns true if both are clones of one client, and so share connections.
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

/// Response future of [`MtlsClient`]. Panics if polled after completion.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use http::Request;
/// use tower::Service;
/// use tower_mtls::{MtlsClient, outbound::{ClientErrorKind, ClientFuture}};
///
/// let mut client: MtlsClient<String> = MtlsClient::builder().build();
/// let future: ClientFuture = client.call(Request::get("https://orders.internal/42").body(String::new())?);
/// assert_eq!(future.await.unwrap_err().kind(), ClientErrorKind::NoIdentity);
/// # Ok(())
/// # }
/// ```
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
