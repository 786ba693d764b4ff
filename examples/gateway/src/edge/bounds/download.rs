//! Response bodies within [`Bounds`](super::Bounds).

use std::{
    io,
    pin::Pin,
    task::{Context, Poll},
};

use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;
use tokio::time::Instant;

use super::{
    deadline::{Deadline, DeadlineState},
    idle_timer::Progress,
    settings::Permit,
};

pin_project! {
    /// Response body that keeps the request's permit until its end or deadline.
    pub(crate) struct Download<B> {
        #[pin]
        kind: Kind<B>,
        progress: Option<Progress>,
    }
}

pin_project! {
    #[project = KindProjection]
    enum Kind<B> {
        Free { #[pin] body: B, permit: Option<Permit> },
        // Boxed, so that the deadline can drop it.
        Timed { deadline: Deadline<Pin<Box<B>>> },
    }
}

type Error = Box<dyn std::error::Error + Send + Sync>;

impl<B: Body + Send + 'static> Download<B> {
    /// A body whose permit is kept elsewhere.
    pub(super) fn without_permit(body: B) -> Self {
        Self { kind: Kind::Free { body, permit: None }, progress: None }
    }

    /// Each frame counts as `progress`.
    pub(super) fn new(
        body: B,
        permit: Permit,
        deadline: Option<Instant>,
        progress: Option<Progress>,
    ) -> Self {
        let kind = match deadline {
            None => Kind::Free { body, permit: Some(permit) },
            Some(at) => Kind::Timed { deadline: Deadline::new(Box::pin(body), permit, at) },
        };
        Self { kind, progress }
    }
}

impl<B> Body for Download<B>
where
    B: Body + Send + 'static,
    B::Error: Into<Error>,
{
    type Data = B::Data;
    type Error = Error;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<B::Data>, Error>>> {
        let this = self.project();
        let frame = match this.kind.project() {
            KindProjection::Free { body, .. } => body.poll_frame(cx),
            KindProjection::Timed { deadline } => {
                let mut state = deadline.state();
                let DeadlineState { body, waker, .. } = &mut *state;
                let Some(body) = body else {
                    let expired =
                        io::Error::new(io::ErrorKind::TimedOut, "request timed out (request_timeout)");
                    return Poll::Ready(Some(Err(expired.into())));
                };
                *waker = Some(cx.waker().clone());
                body.as_mut().poll_frame(cx)
            }
        };
        if let (Poll::Ready(Some(Ok(_))), Some(progress)) = (&frame, this.progress) {
            progress.record();
        }
        frame.map(|frame| frame.map(|frame| frame.map_err(Into::into)))
    }

    fn is_end_stream(&self) -> bool {
        match &self.kind {
            Kind::Free { body, .. } => body.is_end_stream(),
            Kind::Timed { deadline } => {
                deadline.state().body.as_ref().is_some_and(|body| body.is_end_stream())
            }
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.kind {
            Kind::Free { body, .. } => body.size_hint(),
            Kind::Timed { deadline } => {
                deadline.state().body.as_ref().map(|body| body.size_hint()).unwrap_or_default()
            }
        }
    }
}
