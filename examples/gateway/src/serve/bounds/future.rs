use std::{
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use http::{Response, StatusCode};
use http_body::Body;
use pin_project_lite::pin_project;
use tokio::time::{Instant, Sleep, sleep, sleep_until};

use super::{
    Bounds, Download, Permit, ReadTimeout, TunnelPermit,
    idle_timer::Progress,
    upload::{Ended, Stalled},
};
use crate::serve::answer::Failure;

pin_project! {
    /// Future of [`Bounded`](super::Bounded).
    pub(crate) struct BoundedFuture<F> {
        #[pin]
        answer: Option<F>,
        // None: refused, or done.
        place: Option<Permit>,
        ended: Ended,
        first_byte: Option<Duration>,
        #[pin]
        until_first_byte: Option<Sleep>,
        deadline: Option<Instant>,
        read_timeout: Option<Duration>,
        progress: Option<Progress>,
        #[pin]
        until_deadline: Option<Sleep>,
    }
}

impl<F> BoundedFuture<F> {
    pub(super) fn new(
        answer: F,
        place: Permit,
        ended: Ended,
        bounds: &Bounds,
        progress: Option<Progress>,
    ) -> Self {
        let deadline = bounds.whole.and_then(|whole| Instant::now().checked_add(whole));
        Self {
            answer: Some(answer),
            place: Some(place),
            ended,
            first_byte: bounds.first_byte,
            until_first_byte: None,
            deadline,
            read_timeout: bounds.body.into_iter().chain(bounds.whole).min(),
            progress,
            until_deadline: deadline.map(sleep_until),
        }
    }

    pub(super) fn refused() -> Self {
        Self {
            answer: None,
            place: None,
            ended: Ended::Already,
            first_byte: None,
            until_first_byte: None,
            deadline: None,
            read_timeout: None,
            progress: None,
            until_deadline: None,
        }
    }
}

impl<F, R, E> Future for BoundedFuture<F>
where
    F: Future<Output = Result<Response<R>, E>>,
    E: Into<Failure>,
    R: Body + Send + 'static,
{
    type Output = Result<Response<Download<R>>, Failure>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        let (Some(answer), true) = (this.answer.as_mut().as_pin_mut(), this.place.is_some()) else {
            return Poll::Ready(Err(Failure::TooManyRequests));
        };
        if let Poll::Ready(answered) = answer.poll(cx) {
            let Some(place) = this.place.take() else {
                return Poll::Ready(Err(Failure::TooManyRequests));
            };
            return Poll::Ready(match answered {
                Ok(response) => {
                    let (mut head, body) = response.into_parts();
                    if head.status == StatusCode::SWITCHING_PROTOCOLS {
                        // The answer ends here, what was asked for does not.
                        head.extensions.insert(TunnelPermit { place: Arc::new(place) });
                        return Poll::Ready(Ok(Response::from_parts(head, Download::without_place(body))));
                    }
                    if !body.is_end_stream() {
                        head.extensions.insert(ReadTimeout(*this.read_timeout));
                    }
                    let progress = this.progress.take();
                    if let Some(progress) = &progress {
                        progress.made();
                    }
                    let body = Download::new(body, place, *this.deadline, progress);
                    Ok(Response::from_parts(head, body))
                }
                // The error is what came of it.
                Err(_) if this.ended.is_stalled() => Err(Failure::BodyTimeout),
                Err(error) => Err(error.into()),
            });
        }
        if let Some(until_deadline) = this.until_deadline.as_pin_mut()
            && until_deadline.poll(cx).is_ready()
        {
            return Poll::Ready(Err(Failure::RequestTimeout));
        }
        if let Ended::When(ended) = this.ended {
            // An error means that the body has ended.
            if let Ok(Stalled) = ready!(Pin::new(ended).poll(cx)) {
                return Poll::Ready(Err(Failure::BodyTimeout));
            }
            *this.ended = Ended::Already;
        }
        let Some(first_byte) = *this.first_byte else { return Poll::Pending };
        if this.until_first_byte.is_none() {
            this.until_first_byte.set(Some(sleep(first_byte)));
        }
        match this.until_first_byte.as_pin_mut() {
            Some(until_first_byte) => until_first_byte.poll(cx).map(|()| Err(Failure::FirstByteTimeout)),
            None => Poll::Pending,
        }
    }
}
