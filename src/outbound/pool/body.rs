use std::{
    fmt,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use pin_project_lite::pin_project;

use super::meters::Meters;
use crate::outbound::ClientError;

pin_project! {
    /// Response body of an upstream.
    ///
    /// At its end the connection serves the next request. Dropping it before closes an HTTP/1.1 connection, and resets
    /// an HTTP/2 stream.
    ///
    /// A truncated response yields every byte that arrived, and then an error of the kind
    /// [`Truncated`](crate::outbound::ClientErrorKind::Truncated).
    ///
    /// ```
    /// use http::Response;
    /// use http_body_util::{BodyExt, Limited};
    /// use tower_mtls::outbound::UpstreamBody;
    ///
    /// /// Reads at most 64 KiB.
    /// async fn text(response: Response<UpstreamBody>) -> Result<String, Box<dyn std::error::Error + Send + Sync>> {
    ///     let body = Limited::new(response.into_body(), 64 * 1024).collect().await?;
    ///     Ok(String::from_utf8(body.to_bytes().into())?)
    /// }
    /// ```
    pub struct UpstreamBody {
        #[pin]
        body: Incoming,
        meters: Arc<Meters>,
        lease: Option<Box<dyn ReturnToPool>>,
        is_explicit: bool,
    }
}

/// A connection or stream that is in use until the end of a response body.
pub(super) trait ReturnToPool: Send + Sync {
    fn give_back(self: Box<Self>);
}

impl UpstreamBody {
    pub(super) fn new(body: Incoming, meters: Arc<Meters>, lease: Option<Box<dyn ReturnToPool>>) -> Self {
        let mut body = Self { body, meters, lease, is_explicit: false };
        if body.body.is_end_stream() {
            give_back(&mut body.lease);
        }
        body
    }

    /// Accepts only the end of the HTTP/2 stream, not a reset, as the end of a body without a length. For requests
    /// without a body: a response to a request that is still being sent may be followed by a reset without an error
    /// (RFC 9113, section 8.1).
    pub(super) fn ends_explicitly(mut self, is_explicit: bool) -> Self {
        self.is_explicit = is_explicit;
        self
    }
}

fn give_back(lease: &mut Option<Box<dyn ReturnToPool>>) {
    if let Some(lease) = lease.take() {
        lease.give_back();
    }
}

/// Returns true if a body that has ended lacks announced bytes, or, with `is_explicit`, its end.
fn is_short(body: &Incoming, is_explicit: bool) -> bool {
    !body.is_end_stream() && body.size_hint().exact().map_or(is_explicit, |missing| missing > 0)
}

impl Body for UpstreamBody {
    type Data = Bytes;
    type Error = ClientError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, ClientError>>> {
        let mut this = self.project();
        let error = match ready!(this.body.as_mut().poll_frame(cx)) {
            // hyper reports an HTTP/2 stream that was reset without an error as complete.
            None if is_short(&this.body, *this.is_explicit) => ClientError::short(),
            None => {
                give_back(this.lease);
                return Poll::Ready(None);
            }
            Some(Ok(frame)) => {
                if this.body.is_end_stream() {
                    give_back(this.lease);
                }
                return Poll::Ready(Some(Ok(frame)));
            }
            Some(Err(error)) => ClientError::receiving(error),
        };
        // Dropping the lease closes the connection, or resets the stream.
        if this.lease.take().is_some() {
            this.meters.unfinished(&error);
        }
        Poll::Ready(Some(Err(error)))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl fmt::Debug for UpstreamBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UpstreamBody").field("body", &self.body).finish_non_exhaustive()
    }
}
