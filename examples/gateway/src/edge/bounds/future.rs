use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use http::{Response, StatusCode};
use http_body::Body;
use pin_project_lite::pin_project;
use tokio::time::{Instant, Sleep, sleep_until};
use tower_mtls::serve::{ProgressLimits, ReleasedOnClose, Upload, UploadError};

use super::{
    super::forward_error::ForwardError,
    download::{Download, DownloadClock},
    lazy_timer::LazyTimer,
    settings::{Bounds, Permit},
};

pin_project! {
    /// Future of [`Bounded`](super::Bounded).
    pub(crate) struct BoundedFuture<F> {
        #[pin]
        response: Option<F>,
        // None: rejected, or completed.
        permit: Option<Permit>,
        // None: the request has no body.
        upload: Option<Upload>,
        is_uploaded: bool,
        first_byte_timeout: Option<Duration>,
        first_byte_deadline: Option<Instant>,
        // Of the upload, then of the first byte, then of the response.
        timer: LazyTimer,
        deadline: Option<Instant>,
        // None: those of the listener.
        read_limits: Option<ProgressLimits>,
        stream_idle_timeout: Option<Duration>,
        #[pin]
        deadline_timer: Option<Sleep>,
    }
}

impl<F> BoundedFuture<F> {
    pub(super) fn new(response: F, permit: Permit, upload: Option<Upload>, bounds: &Bounds) -> Self {
        let deadline = bounds.limits.request_timeout.and_then(|timeout| Instant::now().checked_add(timeout));
        Self {
            response: Some(response),
            permit: Some(permit),
            is_uploaded: upload.is_none(),
            upload,
            first_byte_timeout: bounds.limits.first_byte_timeout,
            first_byte_deadline: None,
            timer: LazyTimer::default(),
            deadline,
            read_limits: bounds.read_limits(),
            stream_idle_timeout: bounds.limits.stream_idle_timeout,
            deadline_timer: deadline.map(sleep_until),
        }
    }

    pub(super) fn rejected() -> Self {
        Self {
            response: None,
            permit: None,
            upload: None,
            is_uploaded: true,
            first_byte_timeout: None,
            first_byte_deadline: None,
            timer: LazyTimer::default(),
            deadline: None,
            read_limits: None,
            stream_idle_timeout: None,
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
        // Before the response: the failure of the body is the cause of the upstream's.
        if let Some(upload) = this.upload
            && !*this.is_uploaded
            && let Poll::Ready(end) = upload.poll_end(cx)
        {
            if let Err(error) = end {
                return Poll::Ready(Err(ForwardError::Upload(error)));
            }
            *this.is_uploaded = true;
        }
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
                    if let Some(limits) = this.read_limits.filter(|_| !body.is_end_stream()) {
                        head.extensions.insert(limits);
                    }
                    let (upload, timer) = (this.upload.take(), std::mem::take(this.timer));
                    let clock = this.stream_idle_timeout;
                    let clock = clock.map(|timeout| DownloadClock::new(timeout, upload, timer));
                    let body = Download::new(body, permit, *this.deadline, clock);
                    Ok(Response::from_parts(head, body))
                }
                Err(error) => match this.upload.as_ref().map(|upload| upload.poll_end(cx)) {
                    Some(Poll::Ready(Err(error))) => Err(ForwardError::Upload(error)),
                    _ => Err(error.into()),
                },
            });
        }
        if let Some(deadline_timer) = this.deadline_timer.as_pin_mut()
            && deadline_timer.poll(cx).is_ready()
        {
            return Poll::Ready(Err(ForwardError::RequestTimeout));
        }
        if let Some(upload) = this.upload
            && !*this.is_uploaded
        {
            // The upstream reads nothing.
            while let Some(deadline) = upload.unread_deadline() {
                if deadline <= Instant::now() {
                    return Poll::Ready(Err(ForwardError::Upload(UploadError::Idle)));
                }
                ready!(this.timer.poll_until(deadline, cx));
            }
            return Poll::Pending;
        }
        let Some(first_byte_timeout) = *this.first_byte_timeout else { return Poll::Pending };
        if this.first_byte_deadline.is_none() {
            *this.first_byte_deadline = Instant::now().checked_add(first_byte_timeout);
        }
        let Some(deadline) = *this.first_byte_deadline else { return Poll::Pending };
        this.timer.poll_until(deadline, cx).map(|()| Err(ForwardError::FirstByteTimeout))
    }
}
