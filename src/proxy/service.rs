use std::{
    fmt,
    future::Future,
    net::SocketAddr,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use http::{HeaderValue, Method, Request, Response, StatusCode, Version, header, request::Parts};
use http_body::Body;
use hyper::{ext::ReasonPhrase, upgrade::OnUpgrade};
use pin_project_lite::pin_project;
use tower_layer::Layer;
use tower_service::Service;

use super::{
    Forwarded, HeaderPattern, ProxyBody, Rewrite, Upstream,
    headers::{join_cookies, remove_claims, remove_expectation, remove_hop_by_hop},
    target::without_prefix,
    tunnel::{self, Tunnel, TunnelSlot},
};
use crate::{outbound::TunnelGuard, request::remote_addr};

/// Layer of [`ReverseProxy`]. See the [module](super) for the changes to requests and responses.
///
/// ```
/// use tower::Layer;
/// use tower_mtls::{ReverseProxyLayer, proxy::ReverseProxy};
///
/// let layer = ReverseProxyLayer::new("/orders", "https://orders.internal/api".parse()?).preserve_host();
/// let proxy: ReverseProxy<&str> = layer.layer("client");
/// assert_eq!(*proxy.get_ref(), "client");
/// # Ok::<(), tower_mtls::proxy::UpstreamParseError>(())
/// ```
#[derive(Debug, Clone)]
pub struct ReverseProxyLayer {
    route: Route,
}

#[derive(Debug, Clone)]
struct Route {
    /// Without a `/` at its end; empty for the root.
    prefix: Box<str>,
    upstream: Upstream,
    preserve_host: bool,
    forwarded: Forwarded,
    removed: Arc<[HeaderPattern]>,
    tunnel_idle_timeout: Option<Duration>,
}

/// Default of [`ReverseProxyLayer::tunnel_idle_timeout`].
const TUNNEL_IDLE_TIMEOUT: Duration = Duration::from_secs(60 * 60);

impl ReverseProxyLayer {
    /// Sends requests with the path `prefix` to `upstream`, whose path replaces the prefix: with the prefix
    /// `/orders` and the upstream `https://host/api`, `/orders/42` becomes `https://host/api/42`.
    ///
    /// ```
    /// use tower_mtls::{ReverseProxyLayer, Upstream, proxy::Forwarded};
    ///
    /// let upstream: Upstream = "https://orders.internal/api".parse()?;
    /// let layer = ReverseProxyLayer::new("/orders", upstream).forwarded(Forwarded::Nothing);
    /// # drop(layer);
    /// assert!("https://orders.internal/?q".parse::<Upstream>().is_err()); // a query
    /// # Ok::<(), tower_mtls::proxy::UpstreamParseError>(())
    /// ```
    pub fn new(prefix: &str, upstream: Upstream) -> Self {
        let prefix = prefix.trim_end_matches('/').into();
        let route = Route {
            prefix,
            upstream,
            preserve_host: false,
            forwarded: Forwarded::default(),
            removed: Arc::default(),
            tunnel_idle_timeout: Some(TUNNEL_IDLE_TIMEOUT),
        };
        Self { route }
    }

    /// Sends the client's Host instead of the upstream's. Default: off.
    ///
    /// On HTTP/2 it becomes the `:authority`; the connection still goes to the upstream.
    #[must_use]
    pub fn preserve_host(mut self) -> Self {
        self.route.preserve_host = true;
        self
    }

    /// Reports the client's address, protocol and host to the upstream. Default: [`Forwarded::Nothing`].
    ///
    /// The client's address is the one that the acceptor captured; without one it is omitted.
    #[must_use]
    pub fn forwarded(mut self, forwarded: Forwarded) -> Self {
        self.route.forwarded = forwarded;
        self
    }

    /// Removes further headers and trailers from requests, before the proxy sets its own. Default: none.
    #[must_use]
    pub fn remove_request_headers(mut self, patterns: impl IntoIterator<Item = HeaderPattern>) -> Self {
        self.route.removed = patterns.into_iter().collect();
        self
    }

    /// Time after which a [`Tunnel`] is closed in which no byte moves in either direction. Bytes that the other side does
    /// not read do not count. Effective for tunnels that begin afterwards. None: unlimited. Default: one hour.
    ///
    /// ```
    /// use std::time::Duration;
    /// use tower_mtls::ReverseProxyLayer;
    ///
    /// let layer = ReverseProxyLayer::new("/chat", "https://chat.internal".parse()?);
    /// let layer = layer.tunnel_idle_timeout(Some(Duration::from_secs(5 * 60)));
    /// # drop(layer);
    /// # Ok::<(), tower_mtls::proxy::UpstreamParseError>(())
    /// ```
    #[must_use]
    pub fn tunnel_idle_timeout(mut self, timeout: Option<Duration>) -> Self {
        self.route.tunnel_idle_timeout = timeout;
        self
    }
}

impl<S> Layer<S> for ReverseProxyLayer {
    type Service = ReverseProxy<S>;

    fn layer(&self, inner: S) -> Self::Service {
        ReverseProxy { inner, route: Arc::new(self.route.clone()) }
    }
}

/// Reverse proxy service. See the [module](super).
///
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use http::{Request, Response};
/// use tower::{ServiceExt, service_fn};
/// use tower_mtls::proxy::{ProxyBody, ReverseProxy};
///
/// let client = service_fn(|request: Request<ProxyBody<String>>| async move {
///     Ok::<_, std::convert::Infallible>(Response::new(request.uri().to_string()))
/// });
/// let proxy = ReverseProxy::new(client, "/orders", "https://orders.internal/api".parse()?);
/// let response = proxy.oneshot(Request::get("/orders/42").body(String::new())?).await?;
/// assert_eq!(response.into_body(), "https://orders.internal/api/42");
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct ReverseProxy<S> {
    inner: S,
    route: Arc<Route>,
}

impl<S> ReverseProxy<S> {
    /// Sends requests with the path `prefix` to `upstream` over `inner`, with the defaults of [`ReverseProxyLayer`].
    ///
    /// ```
    /// use tower_mtls::proxy::ReverseProxy;
    ///
    /// let proxy = ReverseProxy::new("client", "/orders", "https://orders.internal/api".parse()?);
    /// assert_eq!(*proxy.get_ref(), "client");
    /// # Ok::<(), tower_mtls::proxy::UpstreamParseError>(())
    /// ```
    pub fn new(inner: S, prefix: &str, upstream: Upstream) -> Self {
        ReverseProxyLayer::new(prefix, upstream).layer(inner)
    }

    /// Returns the layer of this service: [`ReverseProxyLayer::new`].
    ///
    /// ```
    /// use tower::Layer;
    /// use tower_mtls::proxy::ReverseProxy;
    ///
    /// let layer = ReverseProxy::<&str>::layer("/orders", "https://orders.internal/api".parse()?);
    /// assert_eq!(*layer.layer("client").get_ref(), "client");
    /// # Ok::<(), tower_mtls::proxy::UpstreamParseError>(())
    /// ```
    pub fn layer(prefix: &str, upstream: Upstream) -> ReverseProxyLayer {
        ReverseProxyLayer::new(prefix, upstream)
    }

    /// The inner service.
    pub fn get_ref(&self) -> &S {
        &self.inner
    }

    /// The inner service, mutably.
    pub fn get_mut(&mut self) -> &mut S {
        &mut self.inner
    }

    /// Returns the inner service.
    pub fn into_inner(self) -> S {
        self.inner
    }
}

impl Route {
    /// Rewrites the head of a request for the upstream. Returns the names of the fields that it sets, folded.
    fn rewrite(&self, head: &mut Parts) -> Vec<String> {
        let host = requested_host(head);
        let rest = without_prefix(&self.prefix, head.uri.path());
        // For a path outside the prefix or too long for a URI, a relative URI, which the inner client rejects: never the
        // client's own, whose authority the client chose.
        let rewrite: Rewrite = head.extensions.remove().unwrap_or_default();
        head.uri = rest.and_then(|rest| rewrite.uri(&self.upstream, &head.uri, rest)).unwrap_or_default();
        remove_hop_by_hop(&mut head.headers);
        remove_claims(&mut head.headers, &self.removed);
        let remote = remote_addr(&head.extensions);
        self.forwarded.set(&mut head.headers, remote, host.as_ref());
        let set_by_proxy = rewrite.set(&mut head.headers);
        remove_expectation(&mut head.headers);
        join_cookies(&mut head.headers);
        match host.filter(|_| self.preserve_host) {
            Some(host) => head.headers.insert(header::HOST, host),
            None => head.headers.remove(header::HOST),
        };
        set_by_proxy
    }
}

/// Announces a body of unknown length of GET and HEAD, which is not sent otherwise; HTTP/2 removes the field.
fn announce_body<B: Body>(head: &mut Parts, body: &B) {
    let is_usually_without = matches!(head.method, Method::GET | Method::HEAD);
    if is_usually_without && !body.is_end_stream() && body.size_hint().exact().is_none() {
        head.headers.insert(header::TRANSFER_ENCODING, HeaderValue::from_static("chunked"));
    }
}

/// The requested authority; HTTP/2 has it in the URI.
fn requested_host(head: &Parts) -> Option<HeaderValue> {
    match head.uri.authority() {
        Some(authority) => HeaderValue::from_str(authority.as_str()).ok(),
        None => head.headers.get(header::HOST).cloned(),
    }
}

impl<S, B, R> Service<Request<B>> for ReverseProxy<S>
where
    S: Service<Request<ProxyBody<B>>, Response = Response<R>>,
    B: Body,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = ProxyFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<B>) -> Self::Future {
        let switch = tunnel::requested_protocol(&request).map(|protocol| {
            let slot = request.extensions_mut().remove::<TunnelSlot>();
            let remote = remote_addr(request.extensions());
            let client = hyper::upgrade::on(&mut request);
            ProtocolSwitch { client, protocol, slot, remote, idle_timeout: self.route.tunnel_idle_timeout }
        });
        let (mut head, body) = request.into_parts();
        let set_by_proxy = self.route.rewrite(&mut head);
        announce_body(&mut head, &body);
        if let Some(switch) = &switch {
            tunnel::set_upgrade(&mut head.headers, switch.protocol.clone());
        }
        let body = ProxyBody::new(body, set_by_proxy, self.route.removed.clone());
        ProxyFuture { inner: self.inner.call(Request::from_parts(head, body)), switch }
    }
}

/// A request to switch protocols.
struct ProtocolSwitch {
    client: OnUpgrade,
    /// The requested protocols, in order of preference.
    protocol: HeaderValue,
    slot: Option<TunnelSlot>,
    remote: Option<SocketAddr>,
    idle_timeout: Option<Duration>,
}

impl ProtocolSwitch {
    /// Connects the client with the upstream.
    fn connect<R>(self, response: &mut Response<R>) {
        let guard = response.extensions_mut().remove::<TunnelGuard>();
        let upstream = hyper::upgrade::on(response);
        let tunnel = Tunnel::new(self.client, upstream, guard, self.idle_timeout, self.remote);
        match self.slot {
            Some(slot) => slot.put(tunnel),
            None => tunnel.spawn(),
        }
    }
}

pin_project! {
    /// Response future of [`ReverseProxy`].
    ///
    /// Panics if it is polled after completion, as the inner future does.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use std::{convert::Infallible, future::{Ready, ready}};
    /// use http::{Request, Response};
    /// use tower::{Service, service_fn};
    /// use tower_mtls::proxy::{ProxyBody, ProxyFuture, ReverseProxy};
    ///
    /// let client = service_fn(|_: Request<ProxyBody<String>>| ready(Ok::<_, Infallible>(Response::new("orders"))));
    /// let mut proxy = ReverseProxy::new(client, "/", "https://orders.internal".parse()?);
    /// let future: ProxyFuture<Ready<_>> = proxy.call(Request::new(String::new()));
    /// assert_eq!(future.await?.into_body(), "orders");
    /// # Ok(())
    /// # }
    /// ```
    pub struct ProxyFuture<F> {
        #[pin]
        inner: F,
        switch: Option<ProtocolSwitch>,
    }
}

impl<F, R, E> Future for ProxyFuture<F>
where
    F: Future<Output = Result<Response<R>, E>>,
{
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let mut response = ready!(this.inner.poll(cx))?;
        *response.version_mut() = Version::HTTP_11;
        let protocol = response.headers().get(header::UPGRADE).cloned();
        remove_hop_by_hop(response.headers_mut());
        if response.status() == StatusCode::SWITCHING_PROTOCOLS {
            match (this.switch.take(), protocol) {
                (Some(switch), Some(protocol)) if tunnel::contains_all(&protocol, &switch.protocol) => {
                    tunnel::set_upgrade(response.headers_mut(), protocol);
                    switch.connect(&mut response);
                }
                (_, protocol) => {
                    tracing::warn!(?protocol, "the upstream switched to a protocol that was not requested");
                    *response.status_mut() = StatusCode::BAD_GATEWAY;
                    response.headers_mut().clear();
                    response.extensions_mut().remove::<ReasonPhrase>();
                }
            }
        }
        Poll::Ready(Ok(response))
    }
}

impl<F> fmt::Debug for ProxyFuture<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProxyFuture").finish_non_exhaustive()
    }
}
