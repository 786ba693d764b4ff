use std::{
    error::Error as StdError,
    fmt,
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use http::{Uri, uri::Scheme};
use hyper::rt::{Read, Write};
use hyper_rustls::{HttpsConnector, MaybeHttpsStream};
use hyper_util::client::legacy::connect::Connection;
use rustls::client::Resumption;
use rustls_pki_types::ServerName;
use tower_layer::Layer;
use tower_service::Service;

use super::{
    UpstreamStream,
    target::{TcpTarget, server_name, with_scheme},
    tls::{self, ConnectorConfig},
};
use crate::{
    identity::ClientIdentity,
    outbound::{ClientError, ClientErrorKind, UpstreamTrust, UpstreamTrustError},
    shared::Shared,
};

type BoxError = Box<dyn StdError + Send + Sync>;

/// Wraps a connector (`Service<Uri>`, such as hyper-util's `HttpConnector`) so that it opens TLS connections under
/// one identity.
///
/// TLS is always used, whatever the scheme of the URI: tonic rejects `https` with a custom connector, and a plaintext
/// connection would present no identity. A URI without a port means 443.
///
/// A replaced [`Shared<ClientIdentity>`](crate::Shared) is presented on the next connection, and each identity
/// generation has its own TLS session store. Connections that the client above keeps open stay with the identity that
/// opened them; [`MtlsClient`](crate::MtlsClient) ends those as well. The trust does not change.
///
/// ```
/// # #[cfg(any(feature = "aws-lc-rs", feature = "ring"))]
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let mut params = rcgen::CertificateParams::default();
/// # params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
/// # let roots = params.self_signed(&rcgen::KeyPair::generate()?)?.pem();
/// # let made = rcgen::generate_simple_self_signed(vec![])?;
/// # let (chain, key) = (made.cert.pem(), made.signing_key.serialize_pem());
/// # let renewed = ClientIdentity::from_pem(&chain, &key)?;
/// use http_body_util::Empty;
/// use hyper_util::{client::legacy::{Client, connect::HttpConnector}, rt::TokioExecutor};
/// use tower::Layer;
/// use tower_mtls::{ClientIdentity, MtlsConnectorLayer, Shared, UpstreamTrust};
///
/// let orders = Shared::new(ClientIdentity::from_pem(chain, key)?);
/// let layer = MtlsConnectorLayer::new(orders.clone(), &UpstreamTrust::from_pem(roots)?)?;
/// let connector = layer.layer(HttpConnector::new());
/// let client: Client<_, Empty<bytes::Bytes>> = Client::builder(TokioExecutor::new()).build(connector);
///
/// orders.replace(renewed); // presented on the next connection
/// # drop(client);
/// # Ok(())
/// # }
/// # #[cfg(not(any(feature = "aws-lc-rs", feature = "ring")))]
/// # fn main() {}
/// ```
#[derive(Debug, Clone)]
pub struct MtlsConnectorLayer {
    tls: Tls,
}

#[derive(Clone)]
struct Tls {
    config: Arc<ConnectorConfig>,
    server_name: Option<ServerName<'static>>,
    timeout: Duration,
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tls")
            .field("server_name", &self.server_name)
            .field("timeout", &self.timeout)
            .finish_non_exhaustive()
    }
}

/// Default time limit for opening a connection, TCP and TLS together.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(15);

/// TLS sessions kept for one upstream.
const SESSIONS: usize = 8;

impl MtlsConnectorLayer {
    /// Presents `identity`, a [`ClientIdentity`] or a [`Shared<ClientIdentity>`](crate::Shared), to upstreams that
    /// satisfy `trust`.
    ///
    /// # Errors
    ///
    /// [`UpstreamTrustError::Verifier`]: the crypto provider of `trust` supports no TLS version.
    ///
    /// ```
    /// # #[cfg(any(feature = "aws-lc-rs", feature = "ring"))]
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let mut params = rcgen::CertificateParams::default();
    /// # params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    /// # let roots = params.self_signed(&rcgen::KeyPair::generate()?)?.pem();
    /// # let made = rcgen::generate_simple_self_signed(vec![])?;
    /// # let (chain, key) = (made.cert.pem(), made.signing_key.serialize_pem());
    /// use tower_mtls::{ClientIdentity, MtlsConnectorLayer, UpstreamTrust};
    ///
    /// let orders = ClientIdentity::from_pem(chain, key)?;
    /// assert!(MtlsConnectorLayer::new(orders, &UpstreamTrust::from_pem(roots)?).is_ok());
    /// # Ok(())
    /// # }
    /// # #[cfg(not(any(feature = "aws-lc-rs", feature = "ring")))]
    /// # fn main() {}
    /// ```
    pub fn new(
        identity: impl Into<Shared<ClientIdentity>>,
        trust: &UpstreamTrust,
    ) -> Result<Self, UpstreamTrustError> {
        ConnectorConfig::following(identity.into(), trust).map(|config| Self::with_config(config, trust))
    }

    /// Presents no certificate.
    ///
    /// # Errors
    ///
    /// As [`new`](Self::new).
    ///
    /// ```
    /// # #[cfg(any(feature = "aws-lc-rs", feature = "ring"))]
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let mut params = rcgen::CertificateParams::default();
    /// # params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    /// # let roots = params.self_signed(&rcgen::KeyPair::generate()?)?.pem();
    /// use tower_mtls::{MtlsConnectorLayer, UpstreamTrust};
    ///
    /// assert!(MtlsConnectorLayer::anonymous(&UpstreamTrust::from_pem(roots)?).is_ok());
    /// # Ok(())
    /// # }
    /// # #[cfg(not(any(feature = "aws-lc-rs", feature = "ring")))]
    /// # fn main() {}
    /// ```
    pub fn anonymous(trust: &UpstreamTrust) -> Result<Self, UpstreamTrustError> {
        let config = ConnectorConfig::Fixed(Arc::new(tls::config(None, trust, false)?));
        Ok(Self::with_config(config, trust))
    }

    /// For one upstream and one generation of its identity, of which no clone is kept.
    pub(in crate::outbound) fn for_one_upstream(
        identity: Option<&ClientIdentity>,
        trust: &UpstreamTrust,
        http1_only: bool,
    ) -> Result<Self, UpstreamTrustError> {
        let mut config = tls::config(identity, trust, http1_only)?;
        config.resumption = Resumption::in_memory_sessions(SESSIONS);
        Ok(Self::with_config(ConnectorConfig::Fixed(Arc::new(config)), trust))
    }

    fn with_config(config: ConnectorConfig, trust: &UpstreamTrust) -> Self {
        let server_name = trust.server_name().cloned();
        Self { tls: Tls { config: Arc::new(config), server_name, timeout: DEFAULT_TIMEOUT } }
    }

    /// Time limit for opening a connection, TCP and TLS together. Default: 15 seconds.
    #[must_use]
    pub fn with_timeout(mut self, timeout: Duration) -> Self {
        self.tls.timeout = timeout;
        self
    }
}

impl<C> Layer<C> for MtlsConnectorLayer {
    type Service = MtlsConnector<C>;

    fn layer(&self, inner: C) -> MtlsConnector<C> {
        MtlsConnector { tcp: TcpTarget(inner), tls: self.tls.clone() }
    }
}

/// Connector of [`MtlsConnectorLayer`].
///
/// ```
/// # #[cfg(any(feature = "aws-lc-rs", feature = "ring"))]
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let mut params = rcgen::CertificateParams::default();
/// # params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
/// # let roots = params.self_signed(&rcgen::KeyPair::generate()?)?.pem();
/// use tower::Layer;
/// use tower_mtls::{MtlsConnectorLayer, UpstreamTrust, outbound::MtlsConnector};
///
/// let layer = MtlsConnectorLayer::anonymous(&UpstreamTrust::from_pem(roots)?)?;
/// let connector: MtlsConnector<&str> = layer.layer("TCP connector");
/// assert_eq!(*connector.get_ref(), "TCP connector");
/// # Ok(())
/// # }
/// # #[cfg(not(any(feature = "aws-lc-rs", feature = "ring")))]
/// # fn main() {}
/// ```
#[derive(Debug, Clone)]
pub struct MtlsConnector<C> {
    tcp: TcpTarget<C>,
    tls: Tls,
}

impl<C> MtlsConnector<C> {
    /// Wraps `inner`, as [`MtlsConnectorLayer::new`] does.
    ///
    /// # Errors
    ///
    /// As [`MtlsConnectorLayer::new`].
    ///
    /// ```
    /// # #[cfg(any(feature = "aws-lc-rs", feature = "ring"))]
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let mut params = rcgen::CertificateParams::default();
    /// # params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    /// # let roots = params.self_signed(&rcgen::KeyPair::generate()?)?.pem();
    /// # let made = rcgen::generate_simple_self_signed(vec![])?;
    /// # let (chain, key) = (made.cert.pem(), made.signing_key.serialize_pem());
    /// use hyper_util::client::legacy::connect::HttpConnector;
    /// use tower_mtls::{ClientIdentity, UpstreamTrust, outbound::MtlsConnector};
    ///
    /// let (orders, trust) = (ClientIdentity::from_pem(chain, key)?, UpstreamTrust::from_pem(roots)?);
    /// assert!(MtlsConnector::new(HttpConnector::new(), orders, &trust).is_ok());
    /// # Ok(())
    /// # }
    /// # #[cfg(not(any(feature = "aws-lc-rs", feature = "ring")))]
    /// # fn main() {}
    /// ```
    pub fn new(
        inner: C,
        identity: impl Into<Shared<ClientIdentity>>,
        trust: &UpstreamTrust,
    ) -> Result<Self, UpstreamTrustError> {
        MtlsConnectorLayer::new(identity, trust).map(|layer| layer.layer(inner))
    }

    /// Returns a reference to the inner connector.
    pub fn get_ref(&self) -> &C {
        &self.tcp.0
    }

    /// Returns a mutable reference to the inner connector.
    pub fn get_mut(&mut self) -> &mut C {
        &mut self.tcp.0
    }

    /// Returns the inner connector.
    pub fn into_inner(self) -> C {
        self.tcp.0
    }
}

impl<C> Service<Uri> for MtlsConnector<C>
where
    C: Service<Uri>,
    C::Response: Connection + Read + Write + Send + Unpin + 'static,
    C::Future: Send + 'static,
    C::Error: Into<BoxError>,
{
    type Response = UpstreamStream<C::Response>;
    type Error = ClientError;
    type Future = Connecting<C::Response>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.tcp.poll_ready(cx).map_err(ClientError::connecting)
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let timeout = self.tls.timeout;
        let connecting = with_scheme(uri, Scheme::HTTPS, 443).map(|uri| {
            let name = self.tls.server_name.clone();
            let resolver = move |uri: &Uri| match &name {
                Some(name) => Ok(name.clone()),
                None => server_name(uri),
            };
            let config = self.tls.config.current();
            HttpsConnector::new(&mut self.tcp, config, true, Arc::new(resolver)).call(uri)
        });
        Connecting(Box::pin(async move {
            let connecting = connecting.ok_or_else(|| ClientError::unsent(ClientErrorKind::InvalidUri))?;
            match tokio::time::timeout(timeout, connecting).await {
                Ok(Ok(MaybeHttpsStream::Https(tls))) => Ok(UpstreamStream::new(tls.into_inner())),
                // The scheme was set to https above; anything else must not carry a request.
                Ok(Ok(MaybeHttpsStream::Http(_))) => Err(ClientError::unsent(ClientErrorKind::Tls)),
                Ok(Err(error)) => Err(ClientError::connecting(error)),
                Err(_) => Err(ClientError::unsent(ClientErrorKind::ConnectTimeout)),
            }
        }))
    }
}

/// Future of [`MtlsConnector`]. Panics if polled after completion.
///
/// ```
/// # #[cfg(any(feature = "aws-lc-rs", feature = "ring"))]
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let mut params = rcgen::CertificateParams::default();
/// # params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
/// # let roots = params.self_signed(&rcgen::KeyPair::generate()?)?.pem();
/// use hyper_util::{client::legacy::connect::HttpConnector, rt::TokioIo};
/// use tokio::net::TcpStream;
/// use tower::{Layer, Service};
/// use tower_mtls::{MtlsConnectorLayer, UpstreamTrust, outbound::{ClientErrorKind, Connecting}};
///
/// # let closed = tokio::net::TcpListener::bind("127.0.0.1:0").await?.local_addr()?;
/// let layer = MtlsConnectorLayer::anonymous(&UpstreamTrust::from_pem(roots)?)?;
/// let mut connector = layer.layer(HttpConnector::new());
/// std::future::poll_fn(|cx| connector.poll_ready(cx)).await?;
/// let connecting: Connecting<TokioIo<TcpStream>> = connector.call(format!("https://{closed}").parse()?);
/// assert_eq!(connecting.await.unwrap_err().kind(), ClientErrorKind::Unreachable);
/// # Ok(())
/// # }
/// # #[cfg(not(any(feature = "aws-lc-rs", feature = "ring")))]
/// # fn main() {}
/// ```
pub struct Connecting<T>(Pin<Box<dyn Future<Output = Result<UpstreamStream<T>, ClientError>> + Send>>);

impl<T> Future for Connecting<T> {
    type Output = Result<UpstreamStream<T>, ClientError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.0.as_mut().poll(cx)
    }
}

impl<T> fmt::Debug for Connecting<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connecting").finish_non_exhaustive()
    }
}
