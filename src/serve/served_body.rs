//! Response bodies of the service or of the server.

use std::{
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;

pin_project! {
    /// Response body of the service, or of a response in its place.
    #[project = ServedBodyProjection]
    pub(super) enum ServedBody<B> {
        Service { #[pin] body: B },
        Server { body: Bytes },
    }
}

impl<B: Body<Data = Bytes>> Body for ServedBody<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        match self.project() {
            ServedBodyProjection::Service { body } => body.poll_frame(cx),
            ServedBodyProjection::Server { body } if body.is_empty() => Poll::Ready(None),
            ServedBodyProjection::Server { body } => Poll::Ready(Some(Ok(Frame::data(std::mem::take(body))))),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Service { body } => body.is_end_stream(),
            Self::Server { body } => body.is_empty(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Service { body } => body.size_hint(),
            Self::Server { body } => SizeHint::with_exact(body.len() as u64),
        }
    }
}
