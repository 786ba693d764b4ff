//! Request bodies of callers.

use std::{
    error::Error,
    fmt,
    future::Future,
    io,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll, ready},
};

use bytes::Buf;
use http::Request;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use tokio::time::{Instant, Sleep, sleep_until};

use super::{StreamLimits, Upload, UploadError, activity::Activity, strict_http1::is_malformed_body};
use crate::request::is_grpc;

type BoxError = Box<dyn Error + Send + Sync>;

/// Request body of a caller. The part that a service does not read can be discarded after its response. Empty by
/// default, for retried requests.
///
/// Reading it fails with [`io::ErrorKind::TimedOut`] and the [`UploadError`] if the caller sends nothing of it in time,
/// or too little: [`HttpLimits::with_body_timeout`](super::HttpLimits::with_body_timeout). A service can replace the
/// limits: [`upload`](Self::upload).
#[derive(Debug)]
pub struct CallerBody<B = Incoming> {
    /// None: empty, dropped, or read to the end.
    incoming: Option<B>,
    /// None for requests without a body.
    progress: Option<BodyProgress<B>>,
}

/// Progress of a request body that is not empty.
struct BodyProgress<B> {
    rest: Rest<B>,
    /// None: the server is not this library's.
    activity: Option<Arc<Activity>>,
    upload: Upload,
    /// Fires at a deadline, or earlier.
    timer: Option<Pin<Box<Sleep>>>,
}

/// Unread rest of a request body, available once the body has been dropped.
#[derive(Debug)]
pub(super) struct Rest<B>(Arc<Mutex<Option<B>>>);

impl<B> Default for CallerBody<B> {
    fn default() -> Self {
        Self { incoming: None, progress: None }
    }
}

impl<B: Body> CallerBody<B> {
    /// Limits the body of a request, for servers other than [`serve`](super::serve()).
    pub fn bound(request: Request<B>, limits: StreamLimits) -> Request<Self> {
        Self::watch(request, None, limits).0
    }

    /// Wraps the body of a request. Returns `None` beside it if the body is empty.
    pub(super) fn watch(
        request: Request<B>,
        activity: Option<&Arc<Activity>>,
        limits: StreamLimits,
    ) -> (Request<Self>, Option<(Rest<B>, Upload)>) {
        if request.body().is_end_stream() {
            return (request.map(|incoming| Self { incoming: Some(incoming), progress: None }), None);
        }
        let (rest, upload) = (Rest(Arc::default()), Upload::new(limits, is_grpc(&request)));
        let progress = BodyProgress {
            rest: Rest(rest.0.clone()),
            activity: activity.cloned(),
            upload: upload.clone(),
            timer: None,
        };
        let request = request.map(|incoming| Self { incoming: Some(incoming), progress: Some(progress) });
        (request, Some((rest, upload)))
    }

    /// Returns the handle of the body. None: it is empty.
    pub fn upload(&self) -> Option<&Upload> {
        self.progress.as_ref().map(|progress| &progress.upload)
    }
}

impl<B> Drop for BodyProgress<B> {
    fn drop(&mut self) {
        self.end(Ok(()));
    }
}

impl<B> Drop for CallerBody<B> {
    fn drop(&mut self) {
        if let (Some(incoming), Some(progress)) = (self.incoming.take(), &self.progress)
            && Arc::strong_count(&progress.rest.0) > 1
        {
            *progress.rest.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(incoming);
        }
    }
}

impl<B> BodyProgress<B> {
    /// The service waits; ready at a deadline.
    fn poll_deadline(&mut self, cx: &mut Context<'_>) -> Poll<UploadError> {
        if self.upload.begin_wait()
            && let Some(activity) = &self.activity
        {
            activity.upload_owed();
        }
        loop {
            let Some((at, error)) = self.upload.deadline() else { return Poll::Pending };
            if at <= Instant::now() {
                return Poll::Ready(error);
            }
            let timer = self.timer.get_or_insert_with(|| Box::pin(sleep_until(at)));
            // Set again only if it fires too late, or has fired: each frame moves the deadline.
            if timer.deadline() > at {
                timer.as_mut().reset(at);
            }
            ready!(timer.as_mut().poll(cx));
            timer.as_mut().reset(at);
        }
    }

    fn record(&self, bytes: usize) {
        if self.upload.record(bytes)
            && let Some(activity) = &self.activity
        {
            activity.upload_arrived(bytes);
        }
    }

    fn end(&self, end: Result<(), UploadError>) {
        if self.upload.end(end)
            && let Some(activity) = &self.activity
        {
            activity.upload_arrived(0);
        }
    }
}

impl<B> fmt::Debug for BodyProgress<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BodyProgress").field("upload", &self.upload).finish_non_exhaustive()
    }
}

impl<B: Body> Rest<B> {
    /// Takes the rest, if the body was dropped before its end.
    pub(super) fn take(&self) -> Option<B> {
        let rest = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        rest.filter(|rest| !rest.is_end_stream())
    }
}

impl<B> Body for CallerBody<B>
where
    B: Body + Unpin,
    B::Error: Into<BoxError>,
{
    type Data = B::Data;
    type Error = BoxError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, BoxError>>> {
        let this = self.get_mut();
        if let Some(progress) = &this.progress
            && progress.upload.poll_cut(cx).is_ready()
        {
            this.incoming = None;
            let error = UploadError::NotAdmitted;
            progress.end(Err(error));
            return Poll::Ready(Some(Err(io::Error::new(io::ErrorKind::PermissionDenied, error).into())));
        }
        let Some(incoming) = &mut this.incoming else { return Poll::Ready(None) };
        let Poll::Ready(frame) = Pin::new(incoming).poll_frame(cx) else {
            let Some(progress) = &mut this.progress else { return Poll::Pending };
            let error = ready!(progress.poll_deadline(cx));
            progress.end(Err(error));
            return Poll::Ready(Some(Err(io::Error::new(io::ErrorKind::TimedOut, error).into())));
        };
        let frame = frame.map(|frame| frame.map_err(Into::into));
        if let Some(progress) = &this.progress {
            match &frame {
                Some(Ok(frame)) if frame.is_data() => {
                    progress.record(frame.data_ref().map_or(0, Buf::remaining));
                }
                Some(Err(error)) if is_malformed_body(&**error) => progress.end(Err(UploadError::Malformed)),
                Some(Err(_)) => progress.end(Err(UploadError::Disconnected)),
                // Trailers are the last frame; HTTP/1.1 clients do not poll again after them.
                Some(Ok(_)) | None => progress.end(Ok(())),
            }
        }
        if !matches!(&frame, Some(Ok(frame)) if frame.is_data()) {
            this.incoming = None;
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.incoming.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.incoming.as_ref().map_or_else(|| SizeHint::with_exact(0), Body::size_hint)
    }
}
