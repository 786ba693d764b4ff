//! A request's body that tells when it has ended.

use std::{
    convert::Infallible,
    pin::Pin,
    task::{Context, Poll, ready},
};

use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;
use tokio::sync::oneshot;

pin_project! {
    /// Drops its end of the channel when it has ended, or is dropped: the back end may not want all of it.
    #[derive(Debug, Default)]
    pub(crate) struct Upload<B> {
        #[pin]
        body: B,
        open: Option<oneshot::Sender<Infallible>>,
    }
}

/// When a request's body ends.
#[derive(Debug)]
pub(super) enum Ended {
    /// It has.
    Already,
    /// When the other end is dropped.
    When(oneshot::Receiver<Infallible>),
}

impl<B: Body> Upload<B> {
    /// `is_watched` says whether anybody wants to know.
    pub(super) fn new(body: B, is_watched: bool) -> (Self, Ended) {
        if !is_watched || body.is_end_stream() {
            return (Self { body, open: None }, Ended::Already);
        }
        let (open, ended) = oneshot::channel();
        (Self { body, open: Some(open) }, Ended::When(ended))
    }
}

impl<B: Body> Body for Upload<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        let this = self.project();
        let body = this.body;
        let frame = ready!(body.poll_frame(cx));
        if !matches!(frame, Some(Ok(_))) {
            *this.open = None;
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
