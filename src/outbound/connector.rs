use std::{
    error::Error as StdError,
    fmt,
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use http::{
    Uri,
    uri::{Authority, Scheme},
};
use hyper::rt::{Read, Write};
use hyper_rustls::{HttpsConnector, MaybeHttpsStream};
use hyper_util::client::legacy::connect::Connection;
use rustls::{ClientConfig, client::Resumption};
use rustls_pki_types::ServerName;
use tower_layer::Layer;
use tower_service::Service;

use super::{ClientError, ClientErrorKind, UpstreamStream, UpstreamTrust, UpstreamTrustError, tls};
use crate::identity::ClientIdentity;

type BoxError = Box<dyn StdError + Send + Sync>;

/// Wraps a connector (`Service<Uri>`, such as hyper-util's `HttpConnector`) so that it opens TLS connections
/// under one identity.
///
/// Always TLS, whatever the scheme of the URI says: tonic refuses `https` with a connector of one's own, and
/// a plaintext connection would present no identity. A URI without a port means 443. Bound to one immutable
/// identity and trust, with a TLS session store of its own; a changed identity needs a new connector.
#[derive(Debug, Clone)]
pub struct MtlsConnectorLayer {
    tls: Tls,
}

#[derive(Clone)]
struct Tls {
    config: Arc<ClientConfig>,
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

/// How long a connection may take to be made, TCP and TLS together.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(15);

/// TLS sessions kept for one upstream.
const SESSIONS: usize = 8;

impl MtlsConnectorLayer {
    /// Presents `identity` to upstreams that prove themselves as `trust` demands.
    ///
    /// # Errors
    ///
    /// The crypto provider of `trust` supports no TLS version.
    pub fn new(identity: &ClientIdentity, trust: &UpstreamTrust) -> Result<Self, UpstreamTrustError> {
        Self::for_profile(Some(identity), trust, false)
    }

    /// Presents no certificate.
    ///
    /// # Errors
    ///
    /// As [`new`](Self::new).
    pub fn anonymous(trust: &UpstreamTrust) -> Result<Self, UpstreamTrustError> {
        Self::for_profile(None, trust, false)
    }

    pub(super) fn for_profile(
        identity: Option<&ClientIdentity>,
        trust: &UpstreamTrust,
        http1_only: bool,
    ) -> Result<Self, UpstreamTrustError> {
        let config = Arc::new(tls::config(identity, trust, http1_only)?);
        Ok(Self { tls: Tls { config, server_name: trust.server_name().cloned(), timeout: DEFAULT_TIMEOUT } })
    }

    /// For one upstream only, which needs room for its own sessions alone.
    pub(super) fn for_one_upstream(mut self) -> Self {
        Arc::make_mut(&mut self.tls.config).resumption = Resumption::in_memory_sessions(SESSIONS);
        self
    }

    /// How long a connection may take to be made, TCP and TLS together. Default: 15 seconds.
    #[must_use]
    pub fn with_timeout(mut self, timeout: Duration) -> Self {
        self.tls.timeout = timeout;
        self
    }
}

impl<C> Layer<C> for MtlsConnectorLayer {
    type Service = MtlsConnector<C>;

    fn layer(&self, inner: C) -> MtlsConnector<C> {
        let name = self.tls.server_name.clone();
        let resolver = move |uri: &Uri| match &name {
            Some(name) => Ok(name.clone()),
            None => server_name(uri),
        };
        let https = HttpsConnector::new(TcpTarget(inner), self.tls.config.clone(), true, Arc::new(resolver));
        MtlsConnector { https, timeout: self.tls.timeout }
    }
}

/// The host of the URI as a name to verify.
fn server_name(uri: &Uri) -> Result<ServerName<'static>, BoxError> {
    let host = uri.host().unwrap_or_default();
    let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    Ok(ServerName::try_from(host.to_owned())?)
}

/// Connector made by [`MtlsConnectorLayer`].
#[derive(Debug, Clone)]
pub struct MtlsConnector<C> {
    https: HttpsConnector<TcpTarget<C>>,
    timeout: Duration,
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
        self.https.poll_ready(cx).map_err(ClientError::connecting)
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let connecting = with_scheme(uri, Scheme::HTTPS, 443).map(|uri| self.https.call(uri));
        let timeout = self.timeout;
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

/// Future of [`MtlsConnector`].
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

/// Gives the TCP connector an `http` URI with a port: connectors refuse `https` unless they are told
/// otherwise, and TLS is not their business.
#[derive(Debug, Clone)]
struct TcpTarget<C>(C);

impl<C> Service<Uri> for TcpTarget<C>
where
    C: Service<Uri>,
{
    type Response = C::Response;
    type Error = C::Error;
    type Future = C::Future;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.0.poll_ready(cx)
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        // `MtlsConnector::call` has given the URI a port, so this cannot fail.
        self.0.call(with_scheme(uri.clone(), Scheme::HTTP, 443).unwrap_or(uri))
    }
}

/// The URI with this scheme, and with this port unless it has one. None without a host.
fn with_scheme(uri: Uri, scheme: Scheme, port: u16) -> Option<Uri> {
    let mut parts = uri.into_parts();
    let authority = parts.authority.take()?;
    parts.authority = Some(match authority.port() {
        Some(_) => authority,
        None => Authority::try_from(format!("{}:{port}", authority.host())).ok()?,
    });
    parts.scheme = Some(scheme);
    parts.path_and_query.get_or_insert_with(|| http::uri::PathAndQuery::from_static("/"));
    Uri::from_parts(parts).ok()
}
