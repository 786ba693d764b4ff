//! A request's body that tells when it has ended, and ends early if its caller sends no more of it.

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
    /// Drops its end of the channel when it has ended, or is dropped: the upstream may not want all of it.
    #[derive(Debug, Default)]
    pub(crate) struct Upload<B> {
        #[pin]
        body: B,
        open: Option<oneshot::Sender<Stalled>>,
        patience: Option<IdleTimer>,
    }
}

/// The upstream wanted more of the body, and none came.
#[derive(Debug)]
pub(super) struct Stalled;

/// When a request's body ends.
#[derive(Debug)]
pub(super) enum Ended {
    /// It has.
    Already,
    /// When the other end is dropped, or says that it stalled.
    When(oneshot::Receiver<Stalled>),
}

impl Ended {
    /// Whether it did because its caller sent no more.
    pub(super) fn is_stalled(&mut self) -> bool {
        match self {
            Self::When(ended) => ended.try_recv().is_ok(),
            Self::Already => false,
        }
    }
}

impl<B: Body> Upload<B> {
    /// `is_watched` says whether anybody wants to know of its end; `patience` how long to wait for more of it.
    pub(super) fn new(body: B, is_watched: bool, patience: Option<IdleTimer>) -> (Self, Ended) {
        if body.is_end_stream() || (!is_watched && patience.is_none()) {
            return (Self { body, open: None, patience: None }, Ended::Already);
        }
        let (open, ended) = oneshot::channel();
        (Self { body, open: Some(open), patience }, Ended::When(ended))
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
        match (this.body.poll_frame(cx), this.patience) {
            (Poll::Ready(frame), patience) => {
                match &frame {
                    Some(Ok(frame)) => {
                        // A frame without any octet is none.
                        let is_more = frame.data_ref().is_none_or(Buf::has_remaining);
                        if let Some(patience) = patience.as_mut().filter(|_| is_more) {
                            patience.arrived();
                        }
                    }
                    _ => *this.open = None,
                }
                Poll::Ready(frame.map(|frame| frame.map_err(Into::into)))
            }
            (Poll::Pending, Some(patience)) => patience.poll_waiting(cx).map(|()| {
                if let Some(open) = this.open.take() {
                    // Whoever waited for it may have left.
                    let _ = open.send(Stalled);
                }
                let stalled = io::Error::new(io::ErrorKind::TimedOut, "the caller sent no more of the body");
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
