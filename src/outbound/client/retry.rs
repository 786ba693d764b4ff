use std::future::{Ready, ready};

use http::{Method, Request, header};
use http_body::Body;
use tower::retry::Policy;

use crate::outbound::ClientError;

/// Retry policy for [`tower::retry::RetryLayer`], outside of an [`IdentityLayer`](super::IdentityLayer): repeats
/// requests that are safe to repeat.
///
/// A request is sent again if
/// 1. its method is idempotent (RFC 9110, section 9.2.2) and it has no body and requests no other protocol;
/// 2. its connection ended before any byte of a response arrived, and not by a TLS alert
///    ([`ClientError::may_repeat`]).
///
/// That happens when an upstream closes an idle connection while a request is sent on it. The identity is chosen again
/// for each repetition. Requests of which nothing was sent are dispatched again by [`MtlsClient`](super::MtlsClient),
/// whatever their method. Default: one repetition.
///
/// ```
/// # fn route(orders: tower_mtls::ClientIdentity) {
/// use http_body_util::Full;
/// use tower::{ServiceBuilder, retry::RetryLayer};
/// use tower_mtls::{IdentityLayer, MtlsClient, outbound::RetryIdempotent};
///
/// let client: MtlsClient<Full<bytes::Bytes>> = MtlsClient::builder().build();
/// let route = ServiceBuilder::new()
///     .layer(RetryLayer::new(RetryIdempotent::default()))
///     .layer(IdentityLayer::new(orders))
///     .service(client);
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct RetryIdempotent {
    left: usize,
}

impl RetryIdempotent {
    /// Repeats a request up to this number of times.
    ///
    /// ```
    /// use http::Request;
    /// use tower::retry::Policy;
    /// use tower_mtls::outbound::{ClientError, RetryIdempotent};
    ///
    /// # type Body = http_body_util::Full<bytes::Bytes>;
    /// fn is_repeatable(retry: RetryIdempotent, request: &Request<Body>) -> bool {
    ///     let mut retry = retry;
    ///     Policy::<_, (), ClientError>::clone_request(&mut retry, request).is_some()
    /// }
    ///
    /// let (get, post) = (Request::get("/").body(Body::default())?, Request::post("/").body(Body::default())?);
    /// assert!(is_repeatable(RetryIdempotent::new(2), &get));
    /// assert!(!is_repeatable(RetryIdempotent::new(2), &post) && !is_repeatable(RetryIdempotent::new(0), &get));
    /// # Ok::<(), http::Error>(())
    /// ```
    pub fn new(repetitions: usize) -> Self {
        Self { left: repetitions }
    }
}

impl Default for RetryIdempotent {
    fn default() -> Self {
        Self::new(1)
    }
}

impl<B, R> Policy<Request<B>, R, ClientError> for RetryIdempotent
where
    B: Body + Default,
{
    type Future = Ready<()>;

    fn retry(&mut self, _: &mut Request<B>, outcome: &mut Result<R, ClientError>) -> Option<Ready<()>> {
        let failed = outcome.as_ref().err()?;
        if !failed.may_repeat() {
            return None;
        }
        self.left = self.left.checked_sub(1)?;
        Some(ready(()))
    }

    fn clone_request(&mut self, request: &Request<B>) -> Option<Request<B>> {
        let method = request.method();
        let is_idempotent = method.is_idempotent() && *method != Method::CONNECT;
        let is_upgrade = request.headers().contains_key(header::UPGRADE);
        if self.left == 0 || !is_idempotent || is_upgrade || !request.body().is_end_stream() {
            return None;
        }
        let mut copy = Request::new(B::default());
        *copy.method_mut() = method.clone();
        *copy.uri_mut() = request.uri().clone();
        *copy.version_mut() = request.version();
        *copy.headers_mut() = request.headers().clone();
        *copy.extensions_mut() = request.extensions().clone();
        Some(copy)
    }
}
