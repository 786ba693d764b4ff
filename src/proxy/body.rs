use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use http::header;
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;

use super::{
    HeaderPattern,
    headers::{remove_claims, remove_folded, remove_hop_by_hop},
};

pin_project! {
    /// A request's body on its way to the upstream: untouched, but for trailers that claim what the caller may
    /// not claim or what the gateway has said itself, which some servers merge into the header fields.
    #[derive(Debug, Default)]
    pub struct ProxyBody<B> {
        #[pin]
        inner: B,
        // Fields that the gateway has set itself, folded: no trailer takes their place. Hardly ever any.
        ours: Vec<String>,
        // Removed in addition to the identity headers.
        removed: Arc<[HeaderPattern]>,
    }
}

impl<B> ProxyBody<B> {
    pub(super) fn new(inner: B, ours: Vec<String>, removed: Arc<[HeaderPattern]>) -> Self {
        Self { inner, ours, removed }
    }
}

impl<B: Body> Body for ProxyBody<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        let this = self.project();
        let frame = ready!(this.inner.poll_frame(cx)?);
        Poll::Ready(frame.map(|mut frame| {
            if let Some(trailers) = frame.trailers_mut() {
                remove_hop_by_hop(trailers);
                remove_claims(trailers, this.removed);
                remove_folded(trailers, this.ours);
                // What addresses, frames or authorises a message may not come behind it (RFC 9110, section 6.5.1).
                for name in [
                    header::AUTHORIZATION,
                    header::CONTENT_LENGTH,
                    header::COOKIE,
                    header::HOST,
                    header::TE,
                    header::TRAILER,
                ] {
                    trailers.remove(name);
                }
            }
            Ok(frame)
        }))
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}
