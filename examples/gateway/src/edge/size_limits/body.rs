use std::{
    error::Error,
    fmt,
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::Buf;
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;
use tokio::sync::oneshot;

type BoxError = Box<dyn Error + Send + Sync>;

pin_project! {
    /// Request body that fails when it passes its maximum size.
    #[derive(Debug, Default)]
    pub(crate) struct LimitedBody<B> {
        #[pin]
        body: B,
        limit: Option<Limit>,
    }
}

#[derive(Debug)]
struct Limit {
    /// Number of further bytes.
    remaining: u64,
    /// None: exceeded.
    exceeded_tx: Option<oneshot::Sender<Exceeded>>,
}

/// The body passed its maximum size.
#[derive(Debug)]
pub(super) struct Exceeded;

impl fmt::Display for Exceeded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("request body is too large (max_body_size)")
    }
}

impl Error for Exceeded {}

impl<B> LimitedBody<B> {
    /// Limits a body of unknown size. The receiver fails if the body ends within the limit.
    pub(super) fn new(body: B, max_body_size: Option<u64>) -> (Self, Option<oneshot::Receiver<Exceeded>>) {
        let Some(max_body_size) = max_body_size else { return (Self { body, limit: None }, None) };
        let (exceeded_tx, exceeded) = oneshot::channel();
        let limit = Limit { remaining: max_body_size, exceeded_tx: Some(exceeded_tx) };
        (Self { body, limit: Some(limit) }, Some(exceeded))
    }
}

impl Limit {
    /// Subtracts the bytes of a frame.
    fn take(&mut self, length: usize) -> Result<(), Exceeded> {
        let remaining = self.remaining.checked_sub(length as u64).filter(|_| self.exceeded_tx.is_some());
        match remaining {
            Some(remaining) => {
                self.remaining = remaining;
                Ok(())
            }
            None => {
                if let Some(exceeded_tx) = self.exceeded_tx.take() {
                    // An error means that the response has begun.
                    let _ = exceeded_tx.send(Exceeded);
                }
                Err(Exceeded)
            }
        }
    }
}

impl<B> Body for LimitedBody<B>
where
    B: Body,
    B::Error: Into<BoxError>,
{
    type Data = B::Data;
    type Error = BoxError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, BoxError>>> {
        let this = self.project();
        let frame = ready!(this.body.poll_frame(cx));
        if let (Some(limit), Some(Ok(frame))) = (this.limit, &frame)
            && let Err(exceeded) = limit.take(frame.data_ref().map_or(0, Buf::remaining))
        {
            return Poll::Ready(Some(Err(exceeded.into())));
        }
        Poll::Ready(frame.map(|frame| frame.map_err(Into::into)))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
