use std::{
    fmt,
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use pin_project_lite::pin_project;

pin_project! {
    /// The body of a back end's answer. At its end the connection serves the next request; dropped before, it
    /// ends the exchange: on HTTP/1.1 the connection is closed, on HTTP/2 the stream is reset.
    pub struct BackEndBody {
        #[pin]
        body: Incoming,
        lent: Option<Box<dyn Lent>>,
    }
}

/// What an answer has borrowed until its body ends.
pub(super) trait Lent: Send + Sync {
    fn give_back(self: Box<Self>);
}

impl BackEndBody {
    pub(super) fn new(body: Incoming, lent: Option<Box<dyn Lent>>) -> Self {
        let mut body = Self { body, lent };
        if body.body.is_end_stream() {
            give_back(&mut body.lent);
        }
        body
    }
}

fn give_back(lent: &mut Option<Box<dyn Lent>>) {
    if let Some(lent) = lent.take() {
        lent.give_back();
    }
}

impl Body for BackEndBody {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let mut this = self.project();
        let frame = ready!(this.body.as_mut().poll_frame(cx));
        let is_end = match &frame {
            None => true,
            Some(Ok(_)) => this.body.is_end_stream(),
            Some(Err(_)) => false,
        };
        if is_end {
            give_back(this.lent);
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

impl fmt::Debug for BackEndBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BackEndBody").field("body", &self.body).finish_non_exhaustive()
    }
}
