//! Request bodies of callers.

use std::{
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;

/// Request body of a caller. The part that a service does not read can be [discarded](Rest). Empty by default, for
/// retried requests.
#[derive(Debug, Default)]
pub struct CallerBody {
    /// None: empty, dropped, or read to the end.
    incoming: Option<Incoming>,
    /// None for requests without a body.
    rest: Option<Rest>,
}

/// Unread rest of a request body, available once the body has been dropped.
#[derive(Debug, Clone, Default)]
pub(super) struct Rest(Arc<Mutex<Option<Incoming>>>);

impl CallerBody {
    pub(super) fn new(incoming: Incoming) -> (Self, Option<Rest>) {
        let rest = (!incoming.is_end_stream()).then(Rest::default);
        (Self { incoming: Some(incoming), rest: rest.clone() }, rest)
    }
}

impl Drop for CallerBody {
    fn drop(&mut self) {
        if let (Some(incoming), Some(Rest(rest))) = (self.incoming.take(), &self.rest)
            && !incoming.is_end_stream()
            && Arc::strong_count(rest) > 1
        {
            *rest.lock().unwrap_or_else(PoisonError::into_inner) = Some(incoming);
        }
    }
}

impl Rest {
    /// Takes the rest, if the body was dropped before its end.
    pub(super) fn take(&self) -> Option<Incoming> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl Body for CallerBody {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let this = self.get_mut();
        let Some(incoming) = &mut this.incoming else { return Poll::Ready(None) };
        let frame = ready!(Pin::new(incoming).poll_frame(cx));
        // Trailers are the last frame; HTTP/1.1 clients do not poll again after them.
        if !matches!(&frame, Some(Ok(frame)) if frame.is_data()) {
            this.incoming = None;
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.incoming.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.incoming.as_ref().map_or_else(|| SizeHint::with_exact(0), Body::size_hint)
    }
}
