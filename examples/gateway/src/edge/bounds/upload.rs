//! Request bodies that report their end, and fail if the caller stalls.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Buf;
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;
use tokio::sync::oneshot;

use super::idle_timer::IdleTimer;

type Error = Box<dyn std::error::Error + Send + Sync>;

pin_project! {
    /// Request body that closes its channel when it ends or is dropped: upstreams need not read all of it.
    #[derive(Debug, Default)]
    pub(crate) struct Upload<B> {
        #[pin]
        body: B,
        end_tx: Option<oneshot::Sender<Stalled>>,
        idle_timer: Option<IdleTimer>,
    }
}

/// The caller sent nothing in time while the upstream waited for more of the body.
#[derive(Debug)]
pub(super) struct Stalled;

/// End of a request's body.
#[derive(Debug)]
pub(super) enum UploadEnd {
    Reached,
    /// Reached when the channel closes, or receives [`Stalled`].
    Pending(oneshot::Receiver<Stalled>),
}

impl UploadEnd {
    /// Returns true if the upload stalled.
    pub(super) fn is_stalled(&mut self) -> bool {
        match self {
            Self::Pending(end) => end.try_recv().is_ok(),
            Self::Reached => false,
        }
    }
}

impl<B: Body> Upload<B> {
    /// Wraps a body. The end is reported if `is_watched`, or if there is an `idle_timer`.
    pub(super) fn new(body: B, is_watched: bool, idle_timer: Option<IdleTimer>) -> (Self, UploadEnd) {
        if body.is_end_stream() || (!is_watched && idle_timer.is_none()) {
            return (Self { body, end_tx: None, idle_timer: None }, UploadEnd::Reached);
        }
        let (end_tx, end) = oneshot::channel();
        (Self { body, end_tx: Some(end_tx), idle_timer }, UploadEnd::Pending(end))
    }
}

impl<B> Body for Upload<B>
where
    B: Body,
    B::Error: Into<Error>,
{
    type Data = B::Data;
    type Error = Error;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<B::Data>, Error>>> {
        let this = self.project();
        match (this.body.poll_frame(cx), this.idle_timer) {
            (Poll::Ready(frame), idle_timer) => {
                match &frame {
                    Some(Ok(frame)) => {
                        // An empty data frame is not progress.
                        let is_progress = frame.data_ref().is_none_or(Buf::has_remaining);
                        if let Some(idle_timer) = idle_timer.as_mut().filter(|_| is_progress) {
                            idle_timer.reset();
                        }
                    }
                    _ => *this.end_tx = None,
                }
                Poll::Ready(frame.map(|frame| frame.map_err(Into::into)))
            }
            (Poll::Pending, Some(idle_timer)) => idle_timer.poll_timeout(cx).map(|()| {
                if let Some(end_tx) = this.end_tx.take() {
                    // An error means that the receiver has been dropped.
                    let _ = end_tx.send(Stalled);
                }
                let stalled =
                    io::Error::new(io::ErrorKind::TimedOut, "request body timed out (body_timeout)");
                Some(Err(stalled.into()))
            }),
            (Poll::Pending, None) => Poll::Pending,
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
