//! Use of a connection by one request.

use std::sync::Arc;

use http::{HeaderMap, HeaderValue, Request, Response, StatusCode, Uri, Version, header, uri};
use http_body::Body;
use hyper::body::Incoming;

use super::{
    Pool, UpstreamBody, body::ReturnToPool, connection::Http1, connection_guard::ConnectionGuard,
    connection_use::ConnectionUse, http2::Stream,
};
use crate::outbound::ClientError;

pub(in crate::outbound) struct Lease<B> {
    pool: Arc<Pool<B>>,
    kind: LeaseKind<B>,
}

enum LeaseKind<B> {
    Http1(Http1<B>),
    Http2(Stream<B>),
}

/// A request that failed.
pub(in crate::outbound) struct Unsent<B> {
    pub(in crate::outbound) error: ClientError,
    /// The unchanged request, if none of it was sent.
    pub(in crate::outbound) request: Option<Box<Request<B>>>,
}

impl<B> Unsent<B> {
    fn new(error: ClientError, request: Option<Box<Request<B>>>) -> Self {
        let error = if request.is_some() { error.before_the_request() } else { error };
        Self { error, request }
    }
}

/// Keeps the connection of a tunnel counted as open and as used by its share, and signals its forced end.
#[derive(Clone)]
pub(crate) struct TunnelGuard(
    #[cfg_attr(not(feature = "proxy"), allow(dead_code, reason = "owned until the tunnel ends"))]
    Arc<ConnectionGuard>,
);

#[cfg(feature = "proxy")]
impl TunnelGuard {
    pub(crate) async fn force_closed(&self) {
        self.0.force_closed().await;
    }
}

impl<B> Lease<B>
where
    B: Body + Send + 'static + Unpin,
    B::Data: Send,
{
    pub(super) fn http1(pool: Arc<Pool<B>>, connection: Http1<B>, used: ConnectionUse) -> Self {
        if pool.is_limited() {
            connection.guard.begin_use(used);
        }
        Self { pool, kind: LeaseKind::Http1(connection) }
    }

    pub(super) fn http2(pool: Arc<Pool<B>>, stream: Stream<B>) -> Self {
        Self { pool, kind: LeaseKind::Http2(stream) }
    }

    /// Returns an unused connection to the pool.
    pub(in crate::outbound) fn give_back(self) {
        if let LeaseKind::Http1(connection) = self.kind {
            self.pool.put(connection);
        }
    }

    /// Sends a request whose URI is absolute.
    pub(in crate::outbound) async fn send(
        self,
        mut request: Request<B>,
        allows_missing_close_notify: bool,
    ) -> Result<Response<UpstreamBody>, Unsent<B>> {
        let Self { pool, kind } = self;
        pool.meters.sent();
        match kind {
            LeaseKind::Http1(mut connection) => {
                let target = OriginalTarget::of(&request);
                to_http1(&mut request, &pool);
                connection.stats.allow_missing_close_notify(allows_missing_close_notify);
                let received = connection.stats.received();
                match connection.send(request).await {
                    Ok(response) if is_framed_once(response.headers()) => {
                        Ok(with_return(response, pool, connection))
                    }
                    // Dropping the response closes the connection.
                    Ok(_) => Err(Unsent { error: ClientError::framed_twice(), request: None }),
                    Err(mut failed) => {
                        let request = failed.take_message().map(|request| target.restore(request));
                        let is_silent = connection.stats.received() == received;
                        let error = ClientError::sending(failed.into_error(), &connection.stats, is_silent);
                        Err(Unsent::new(error, request))
                    }
                }
            }
            LeaseKind::Http2(stream) => {
                let target = OriginalTarget::of(&request);
                let is_sent = request.body().is_end_stream();
                to_http2(&mut request);
                match stream.send(request).await {
                    Ok(response) => {
                        let meters = pool.meters.clone();
                        Ok(response.map(|body| {
                            UpstreamBody::new(body, meters, Some(Box::new(stream))).ends_explicitly(is_sent)
                        }))
                    }
                    Err(mut failed) => {
                        let request = failed.take_message().map(|request| target.restore(request));
                        let error = ClientError::sending(failed.into_error(), stream.stats(), true);
                        Err(Unsent::new(error, request))
                    }
                }
            }
        }
    }
}

/// The target of a request before it was rewritten for one HTTP version.
struct OriginalTarget {
    uri: Uri,
    host: Option<HeaderValue>,
}

impl OriginalTarget {
    fn of<B>(request: &Request<B>) -> Self {
        Self { uri: request.uri().clone(), host: request.headers().get(header::HOST).cloned() }
    }

    fn restore<B>(self, mut request: Request<B>) -> Box<Request<B>> {
        *request.uri_mut() = self.uri;
        match self.host {
            Some(host) => request.headers_mut().insert(header::HOST, host),
            None => request.headers_mut().remove(header::HOST),
        };
        Box::new(request)
    }
}

/// Writes the target in origin form, and the authority to the Host field.
fn to_http1<B>(request: &mut Request<B>, pool: &Pool<B>) {
    request.headers_mut().entry(header::HOST).or_insert_with(|| pool.host.clone());
    // The version is negotiated with the upstream, not inherited from the caller.
    *request.version_mut() = Version::HTTP_11;
    *request.uri_mut() = request.uri().path_and_query().cloned().map(Uri::from).unwrap_or_default();
}

/// Moves the Host field to `:authority`, its only place in HTTP/2.
fn to_http2<B>(request: &mut Request<B>) {
    *request.version_mut() = Version::HTTP_2;
    if let Some(host) = request.headers_mut().remove(header::HOST)
        && let Ok(authority) = uri::Authority::try_from(host.as_bytes())
    {
        let mut parts = request.uri().clone().into_parts();
        parts.authority = Some(authority);
        if let Ok(uri) = Uri::from_parts(parts) {
            *request.uri_mut() = uri;
        }
    }
}

/// Returns true if a response is framed unambiguously (RFC 9112, section 6.3): by one length, or by `chunked` as the
/// only transfer coding.
fn is_framed_once(headers: &HeaderMap) -> bool {
    let only = |name| {
        let mut values = headers.get_all(name).iter();
        let value = values.next();
        values.next().is_none().then_some(value)
    };
    match (only(header::CONTENT_LENGTH), only(header::TRANSFER_ENCODING)) {
        (Some(None), Some(None)) => true,
        (Some(Some(length)), Some(None)) => length.as_bytes().iter().all(u8::is_ascii_digit),
        (Some(None), Some(Some(coding))) => coding.as_bytes().eq_ignore_ascii_case(b"chunked"),
        _ => false,
    }
}

/// Returns the response; the end of its body returns the connection to the pool.
fn with_return<B>(
    mut response: Response<Incoming>,
    pool: Arc<Pool<B>>,
    connection: Http1<B>,
) -> Response<UpstreamBody>
where
    B: Body + Send + 'static + Unpin,
    B::Data: Send,
{
    if response.status() == StatusCode::SWITCHING_PROTOCOLS {
        connection.stats.allow_missing_close_notify(false);
        response.extensions_mut().insert(TunnelGuard(connection.guard));
        return response.map(|body| UpstreamBody::new(body, pool.meters.clone(), None));
    }
    let meters = pool.meters.clone();
    response.map(|body| UpstreamBody::new(body, meters, Some(Box::new(Checkout { pool, connection }))))
}

struct Checkout<B> {
    pool: Arc<Pool<B>>,
    connection: Http1<B>,
}

impl<B> ReturnToPool for Checkout<B>
where
    B: Body + Send + 'static + Unpin,
    B::Data: Send,
{
    fn give_back(self: Box<Self>) {
        let Self { pool, mut connection } = *self;
        if connection.is_ready() {
            pool.put(connection);
        } else if !connection.is_closed()
            && let Ok(runtime) = tokio::runtime::Handle::try_current()
        {
            // The response is complete; the request may still be in transit, or the connection task has not run yet.
            runtime.spawn(async move {
                if connection.sender.ready().await.is_ok() {
                    pool.put(connection);
                }
            });
        }
    }
}

impl<B: Send + 'static> ReturnToPool for Stream<B> {
    fn give_back(self: Box<Self>) {}
}
