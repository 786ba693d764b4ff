mod profiles;

use std::{
    fmt,
    future::Future,
    pin::Pin,
    sync::{Arc, OnceLock},
    task::{Context, Poll},
    time::Duration,
};

use http::{Request, Response, Version, uri::Scheme};
use http_body::Body;
use hyper::body::Incoming;
use hyper_util::{
    client::legacy::{self, Client, connect::HttpConnector},
    rt::{TokioExecutor, TokioTimer},
};
use pin_project_lite::pin_project;
use tower_service::Service;

use self::profiles::Profiles;
use super::{BackEndTrust, BackEndTrustError, ClientError, ClientErrorKind, identity_layer::Profile};

/// Sends requests to back ends, each under the identity that an [`IdentityLayer`](super::IdentityLayer) chose.
///
/// Clones share the pools. See the [module](super) for when a request is sent. `B` is the request body.
pub struct MtlsClient<B>(Arc<Shared<B>>);

struct Shared<B> {
    settings: Settings,
    profiles: Profiles<B>,
    plain: Client<HttpConnector, B>,
}

#[derive(Debug, Clone)]
struct Settings {
    trust: OnceLock<BackEndTrust>,
    connect_timeout: Duration,
    handshake_timeout: Duration,
    idle_timeout: Duration,
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
    trust: Option<BackEndTrust>,
    connect_timeout: Duration,
    handshake_timeout: Duration,
    idle_timeout: Duration,
}

impl Default for MtlsClientBuilder {
    fn default() -> Self {
        Self {
            trust: None,
            connect_timeout: Duration::from_secs(5),
            handshake_timeout: Duration::from_secs(10),
            idle_timeout: Duration::from_secs(60),
        }
    }
}

impl MtlsClientBuilder {
    /// The trust of requests whose route has none of its own.
    ///
    /// Default: the system's roots, read when the first request needs them; pass
    /// [`BackEndTrust::system`] to read them, and to fail, earlier.
    pub fn trust(mut self, trust: BackEndTrust) -> Self {
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
        };
        let plain = settings.pool().build(settings.tcp());
        MtlsClient(Arc::new(Shared { settings, profiles: Profiles::default(), plain }))
    }
}

impl Settings {
    /// The trust of requests whose route has none of its own.
    fn trust(&self) -> Result<&BackEndTrust, BackEndTrustError> {
        if let Some(trust) = self.trust.get() {
            return Ok(trust);
        }
        let system = BackEndTrust::system()?;
        Ok(self.trust.get_or_init(|| system))
    }

    fn tcp(&self) -> HttpConnector {
        let mut tcp = HttpConnector::new();
        tcp.set_nodelay(true);
        tcp.set_connect_timeout(Some(self.connect_timeout));
        tcp
    }

    fn pool(&self) -> legacy::Builder {
        let mut pool = Client::builder(TokioExecutor::new());
        pool.pool_timer(TokioTimer::new()).timer(TokioTimer::new()).pool_idle_timeout(self.idle_timeout);
        pool
    }
}

impl<B> MtlsClient<B>
where
    B: Body + Send + 'static + Unpin,
    B::Data: Send,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    fn send(&self, mut request: Request<B>) -> Result<legacy::ResponseFuture, ClientErrorKind> {
        let profile = request.extensions_mut().remove::<Profile>().ok_or(ClientErrorKind::NoIdentity)?;
        // The version towards the back end is negotiated with it, not inherited from the caller.
        *request.version_mut() = Version::HTTP_11;
        if request.uri().host().is_none() {
            return Err(ClientErrorKind::InvalidUri);
        }
        match request.uri().scheme() {
            Some(scheme) if *scheme == Scheme::HTTPS => {}
            Some(scheme) if *scheme == Scheme::HTTP && profile.identity.is_none() => {
                return Ok(self.0.plain.request(request));
            }
            Some(scheme) if *scheme == Scheme::HTTP => return Err(ClientErrorKind::PlaintextIdentity),
            _ => return Err(ClientErrorKind::InvalidUri),
        }
        let client = self.0.profiles.client(&profile, &self.0.settings).map_err(|error| {
            tracing::error!(%error, "a back-end profile cannot be used");
            ClientErrorKind::Settings
        })?;
        Ok(client.request(request))
    }
}

impl<B> Service<Request<B>> for MtlsClient<B>
where
    B: Body + Send + 'static + Unpin,
    B::Data: Send,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    type Response = Response<Incoming>;
    type Error = ClientError;
    type Future = ClientFuture;

    /// Always ready: limits are layers of their own.
    fn poll_ready(&mut self, _cx: &mut Context<'_>) -> Poll<Result<(), ClientError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> ClientFuture {
        match self.send(request) {
            Ok(response) => ClientFuture { kind: Kind::Sending { response } },
            Err(failed) => ClientFuture { kind: Kind::Failed { failed } },
        }
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

pin_project! {
    /// Response future of [`MtlsClient`].
    pub struct ClientFuture {
        #[pin]
        kind: Kind,
    }
}

pin_project! {
    #[project = KindProjection]
    enum Kind {
        Sending { #[pin] response: legacy::ResponseFuture },
        Failed { failed: ClientErrorKind },
    }
}

impl Future for ClientFuture {
    type Output = Result<Response<Incoming>, ClientError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match self.project().kind.project() {
            KindProjection::Sending { response } => response.poll(cx).map_err(ClientError::sending),
            KindProjection::Failed { failed } => Poll::Ready(Err(ClientError::new(*failed, None))),
        }
    }
}

impl fmt::Debug for ClientFuture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientFuture").finish_non_exhaustive()
    }
}
