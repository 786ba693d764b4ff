use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use http::{Response, StatusCode};
use http_body::Body;
use pin_project_lite::pin_project;
use tokio::time::{Instant, Sleep, sleep, sleep_until};
use tower_mtls::serve::{ReadTimeout, ReleasedOnClose};

use super::{
    super::forward_error::ForwardError,
    download::Download,
    idle_timer::Progress,
    settings::{Bounds, Permit},
    upload::{Stalled, UploadEnd},
};

pin_project! {
    /// Future of [`Bounded`](super::Bounded).
    pub(crate) struct BoundedFuture<F> {
        #[pin]
        response: Option<F>,
        // None: rejected, or completed.
        permit: Option<Permit>,
        upload_end: UploadEnd,
        first_byte_timeout: Option<Duration>,
        #[pin]
        first_byte_timer: Option<Sleep>,
        deadline: Option<Instant>,
        read_timeout: Option<Duration>,
        progress: Option<Progress>,
        #[pin]
        deadline_timer: Option<Sleep>,
    }
}

impl<F> BoundedFuture<F> {
    pub(super) fn new(
        response: F,
        permit: Permit,
        upload_end: UploadEnd,
        bounds: &Bounds,
        progress: Option<Progress>,
    ) -> Self {
        let deadline = bounds.limits.request_timeout.and_then(|timeout| Instant::now().checked_add(timeout));
        Self {
            response: Some(response),
            permit: Some(permit),
            upload_end,
            first_byte_timeout: bounds.limits.first_byte_timeout,
            first_byte_timer: None,
            deadline,
            read_timeout: bounds.limits.body_timeout.into_iter().chain(bounds.limits.request_timeout).min(),
            progress,
            deadline_timer: deadline.map(sleep_until),
        }
    }

    pub(super) fn rejected() -> Self {
        Self {
            response: None,
            permit: None,
            upload_end: UploadEnd::Reached,
            first_byte_timeout: None,
            first_byte_timer: None,
            deadline: None,
            read_timeout: None,
            progress: None,
            deadline_timer: None,
        }
    }
}

impl<F, R, E> Future for BoundedFuture<F>
where
    F: Future<Output = Result<Response<R>, E>>,
    E: Into<ForwardError>,
    R: Body + Send + 'static,
{
    type Output = Result<Response<Download<R>>, ForwardError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        let (Some(response), true) = (this.response.as_mut().as_pin_mut(), this.permit.is_some()) else {
            return Poll::Ready(Err(ForwardError::TooManyRequests));
        };
        if let Poll::Ready(result) = response.poll(cx) {
            let Some(permit) = this.permit.take() else {
                return Poll::Ready(Err(ForwardError::TooManyRequests));
            };
            return Poll::Ready(match result {
                Ok(response) => {
                    let (mut head, body) = response.into_parts();
                    if head.status == StatusCode::SWITCHING_PROTOCOLS {
                        // The exchange continues as a tunnel.
                        head.extensions.insert(ReleasedOnClose::new(permit));
                        return Poll::Ready(Ok(Response::from_parts(head, Download::without_permit(body))));
                    }
                    if !body.is_end_stream() {
                        head.extensions.insert(ReadTimeout(*this.read_timeout));
                    }
                    let progress = this.progress.take();
                    if let Some(progress) = &progress {
                        progress.record();
                    }
                    let body = Download::new(body, permit, *this.deadline, progress);
                    Ok(Response::from_parts(head, body))
                }
                // The stalled upload caused the error.
                Err(_) if this.upload_end.is_stalled() => Err(ForwardError::BodyTimeout),
                Err(error) => Err(error.into()),
            });
        }
        if let Some(deadline_timer) = this.deadline_timer.as_pin_mut()
            && deadline_timer.poll(cx).is_ready()
        {
            return Poll::Ready(Err(ForwardError::RequestTimeout));
        }
        if let UploadEnd::Pending(end) = this.upload_end {
            // A receive error means that the body has ended.
            if let Ok(Stalled) = ready!(Pin::new(end).poll(cx)) {
                return Poll::Ready(Err(ForwardError::BodyTimeout));
            }
            *this.upload_end = UploadEnd::Reached;
        }
        let Some(first_byte_timeout) = *this.first_byte_timeout else { return Poll::Pending };
        if this.first_byte_timer.is_none() {
            this.first_byte_timer.set(Some(sleep(first_byte_timeout)));
        }
        match this.first_byte_timer.as_pin_mut() {
            Some(first_byte_timer) => first_byte_timer.poll(cx).map(|()| Err(ForwardError::FirstByteTimeout)),
            None => Poll::Pending,
        }
    }
}
