use std::future::{Ready, ready};

use http::{Method, Request, header};
use http_body::Body;
use tower::retry::Policy;

use super::ClientError;

/// For [`tower::retry::RetryLayer`], outside of an [`IdentityLayer`](super::IdentityLayer): sends a request once
/// more if that is sure to do no harm.
///
/// A request is sent again if
/// 1. its method is idempotent (RFC 9110, section 9.2.2) and it has no body, nor asks for another protocol;
/// 2. its connection died before any octet of an answer arrived, and not by a TLS alert
///    ([`ClientError::may_repeat`]).
///
/// That happens where an upstream closes a connection that has been idle in the moment in which a request is
/// sent on it. The identity is chosen anew. What was not sent at all [`MtlsClient`](super::MtlsClient) dispatches
/// again by itself, whatever its method. Default: one repetition.
///
/// ```
/// # fn route(orders: tower_mtls::ClientIdentity) {
/// use http_body_util::Full;
/// use tower::{ServiceBuilder, retry::RetryLayer};
/// use tower_mtls::{IdentityLayer, MtlsClient, RetryIdempotent};
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
    /// Sends a request up to this many times more.
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
