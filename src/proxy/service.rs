use std::{
    fmt,
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
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
    target::rest_of,
    tunnel::{self, Tunnel, TunnelSlot},
};
use crate::{inbound::remote_addr, outbound::TunnelGuard};

/// Layer of [`ReverseProxy`]. See the [module](super) for what it changes.
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
}

impl ReverseProxyLayer {
    /// Sends requests below the path `prefix` to `upstream`, whose path replaces the prefix: with the prefix
    /// `/orders` and the upstream `https://host/api`, `/orders/42` becomes `https://host/api/42`.
    pub fn new(prefix: &str, upstream: Upstream) -> Self {
        let prefix = prefix.trim_end_matches('/').into();
        let (forwarded, removed) = (Forwarded::default(), Arc::default());
        Self { route: Route { prefix, upstream, preserve_host: false, forwarded, removed } }
    }

    /// Sends the caller's Host instead of the upstream's. Default: off.
    ///
    /// On HTTP/2 it becomes the `:authority`, while the connection goes to the upstream all the same.
    #[must_use]
    pub fn preserve_host(mut self) -> Self {
        self.route.preserve_host = true;
        self
    }

    /// Tells the upstream where requests came from. Default: [`Forwarded::Nothing`].
    ///
    /// The caller's address is the one that the acceptor captured; without one it is left out.
    #[must_use]
    pub fn forwarded(mut self, forwarded: Forwarded) -> Self {
        self.route.forwarded = forwarded;
        self
    }

    /// Removes these headers, and trailers, from requests besides the list that is always removed, before the proxy
    /// sets its own. Default: none.
    #[must_use]
    pub fn remove_request_headers(mut self, patterns: impl IntoIterator<Item = HeaderPattern>) -> Self {
        self.route.removed = patterns.into_iter().collect();
        self
    }
}

impl<S> Layer<S> for ReverseProxyLayer {
    type Service = ReverseProxy<S>;

    fn layer(&self, inner: S) -> Self::Service {
        ReverseProxy { inner, route: Arc::new(self.route.clone()) }
    }
}

/// Service made by [`ReverseProxyLayer`].
#[derive(Debug, Clone)]
pub struct ReverseProxy<S> {
    inner: S,
    route: Arc<Route>,
}

impl Route {
    /// Rewrites the head of a request for the upstream. Returns the fields that no trailer may take the place of.
    fn rewrite(&self, head: &mut Parts) -> Vec<String> {
        let host = caller_host(head);
        let rest = rest_of(&self.prefix, head.uri.path());
        // A path that is elsewhere or too long for a URI leaves a relative one, which the client refuses: never
        // the caller's own, whose authority the caller chose.
        let rewrite: Rewrite = head.extensions.remove().unwrap_or_default();
        head.uri =
            rest.and_then(|rest| rewrite.uri(&self.upstream, rest, head.uri.query())).unwrap_or_default();
        remove_hop_by_hop(&mut head.headers);
        remove_claims(&mut head.headers, &self.removed);
        let remote = remote_addr(&head.extensions);
        self.forwarded.set(&mut head.headers, remote, host.as_ref());
        let ours = rewrite.set(&mut head.headers);
        remove_expectation(&mut head.headers);
        join_cookies(&mut head.headers);
        match host.filter(|_| self.preserve_host) {
            Some(host) => head.headers.insert(header::HOST, host),
            None => head.headers.remove(header::HOST),
        };
        ours
    }
}

/// A body of unknown length behind GET and HEAD is sent only if the head says so; HTTP/2 drops the field again.
fn announce_body<B: Body>(head: &mut Parts, body: &B) {
    let is_usually_without = matches!(head.method, Method::GET | Method::HEAD);
    if is_usually_without && !body.is_end_stream() && body.size_hint().exact().is_none() {
        head.headers.insert(header::TRANSFER_ENCODING, HeaderValue::from_static("chunked"));
    }
}

/// The authority the caller asked for: HTTP/2 has it in the URI.
fn caller_host(head: &Parts) -> Option<HeaderValue> {
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
        let switch = tunnel::wanted(&request).map(|protocol| {
            let slot = request.extensions_mut().remove::<TunnelSlot>();
            Switch { caller: hyper::upgrade::on(&mut request), protocol, slot }
        });
        let (mut head, body) = request.into_parts();
        let ours = self.route.rewrite(&mut head);
        announce_body(&mut head, &body);
        if let Some(switch) = &switch {
            tunnel::announce(&mut head.headers, switch.protocol.clone());
        }
        let body = ProxyBody::new(body, ours, self.route.removed.clone());
        ProxyFuture { inner: self.inner.call(Request::from_parts(head, body)), switch }
    }
}

/// A request that asked to switch protocols.
struct Switch {
    caller: OnUpgrade,
    /// What it asked for: one, or several in order of preference.
    protocol: HeaderValue,
    slot: Option<TunnelSlot>,
}

impl Switch {
    /// Connects both sides.
    fn connect<R>(self, response: &mut Response<R>) {
        let guard = response.extensions_mut().remove::<TunnelGuard>();
        let tunnel = Tunnel::new(self.caller, hyper::upgrade::on(response), guard);
        match self.slot {
            Some(slot) => slot.put(tunnel),
            None => {
                tokio::spawn(async {
                    if let Err(error) = tunnel.run().await {
                        tracing::debug!(%error, "a tunnel ended early");
                    }
                });
            }
        }
    }
}

pin_project! {
    /// Response future of [`ReverseProxy`].
    pub struct ProxyFuture<F> {
        #[pin]
        inner: F,
        switch: Option<Switch>,
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
                (Some(switch), Some(protocol)) if tunnel::is_among(&protocol, &switch.protocol) => {
                    tunnel::announce(response.headers_mut(), protocol);
                    switch.connect(&mut response);
                }
                (_, protocol) => {
                    tracing::warn!(?protocol, "an upstream switched to a protocol that was not asked for");
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
