//! Bodies whose frames are inspected.

use std::{
    error::Error,
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::Buf;
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;

pub(crate) type BoxError = Box<dyn Error + Send + Sync>;

/// Inspection of a body.
pub(crate) trait Inspect {
    /// Inspects the bytes of a frame. An error takes the place of the frame.
    fn inspect(&mut self, bytes: usize) -> Result<(), BoxError> {
        let _ = bytes;
        Ok(())
    }

    /// Inspects the error of the body.
    fn inspect_error(&mut self, error: &BoxError) {
        let _ = error;
    }
}

pin_project! {
    /// Body that passes each frame by an inspection, which is dropped with it.
    #[derive(Debug)]
    pub(crate) struct InspectedBody<B, I> {
        #[pin]
        body: B,
        inspection: Option<I>,
    }
}

impl<B, I> InspectedBody<B, I> {
    /// None: the body passes unchanged.
    pub(crate) fn new(body: B, inspection: Option<I>) -> Self {
        Self { body, inspection }
    }
}

impl<B: Default, I> Default for InspectedBody<B, I> {
    fn default() -> Self {
        Self::new(B::default(), None)
    }
}

impl<B, I> Body for InspectedBody<B, I>
where
    B: Body,
    B::Error: Into<BoxError>,
    I: Inspect,
{
    type Data = B::Data;
    type Error = BoxError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, BoxError>>> {
        let this = self.project();
        let frame = ready!(this.body.poll_frame(cx)).map(|frame| frame.map_err(Into::into));
        if let Some(inspection) = this.inspection {
            match &frame {
                Some(Ok(frame)) => {
                    let bytes = frame.data_ref().map_or(0, Buf::remaining);
                    if let Err(error) = inspection.inspect(bytes) {
                        return Poll::Ready(Some(Err(error)));
                    }
                }
                Some(Err(error)) => inspection.inspect_error(error),
                None => {}
            }
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
