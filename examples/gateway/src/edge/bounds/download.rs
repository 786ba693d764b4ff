//! Response bodies within [`Bounds`](super::Bounds).

use std::{
    error, fmt, io,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;
use tokio::time::Instant;
use tower_mtls::serve::Upload;

use super::{
    deadline::{Deadline, DeadlineState},
    lazy_timer::LazyTimer,
    settings::Permit,
};

pin_project! {
    /// Response body that keeps the request's permit until its end or deadline.
    pub(crate) struct Download<B> {
        #[pin]
        kind: Kind<B>,
        clock: Option<DownloadClock>,
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

type Error = Box<dyn error::Error + Send + Sync>;

/// Error of a response whose exchange had no bytes for `stream_idle_timeout`.
#[derive(Debug)]
pub(crate) struct StreamIdleTimeout;

impl StreamIdleTimeout {
    /// Stable code of the error.
    pub(crate) const CODE: &str = "stream_idle_timeout";
}

impl fmt::Display for StreamIdleTimeout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("response without bytes timed out (stream_idle_timeout)")
    }
}

impl error::Error for StreamIdleTimeout {}

/// Deadline of a response body without bytes.
pub(super) struct DownloadClock {
    timeout: Duration,
    /// None: the request has no body.
    upload: Option<Upload>,
    /// Time from which the upstream is awaited.
    since: Option<Instant>,
    timer: LazyTimer,
}

impl DownloadClock {
    pub(super) fn new(timeout: Duration, upload: Option<Upload>, timer: LazyTimer) -> Self {
        Self { timeout, upload, since: None, timer }
    }

    /// The caller waits for bytes; ready at the deadline.
    fn poll_timeout(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let since = *self.since.get_or_insert_with(Instant::now);
        loop {
            let last = self.upload.as_ref().map_or(since, |upload| upload.last_byte().max(since));
            let Some(deadline) = last.checked_add(self.timeout) else { return Poll::Pending };
            if deadline <= Instant::now() {
                return Poll::Ready(());
            }
            ready!(self.timer.poll_until(deadline, cx));
        }
    }
}

impl<B: Body + Send + 'static> Download<B> {
    /// A body whose permit is kept elsewhere.
    pub(super) fn without_permit(body: B) -> Self {
        Self { kind: Kind::Free { body, permit: None }, clock: None }
    }

    pub(super) fn new(
        body: B,
        permit: Permit,
        deadline: Option<Instant>,
        clock: Option<DownloadClock>,
    ) -> Self {
        let kind = match deadline {
            None => Kind::Free { body, permit: Some(permit) },
            Some(at) => Kind::Timed { deadline: Deadline::new(Box::pin(body), permit, at) },
        };
        Self { kind, clock }
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
        match (frame, this.clock) {
            (Poll::Ready(frame), clock) => {
                if let (Some(Ok(_)), Some(clock)) = (&frame, clock) {
                    clock.since = None;
                }
                Poll::Ready(frame.map(|frame| frame.map_err(Into::into)))
            }
            (Poll::Pending, Some(clock)) => {
                clock.poll_timeout(cx).map(|()| Some(Err(StreamIdleTimeout.into())))
            }
            (Poll::Pending, None) => Poll::Pending,
        }
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
