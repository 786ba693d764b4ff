//! Request bodies of callers.

use std::{
    error::Error,
    fmt,
    future::Future,
    io,
    pin::Pin,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, ready},
};

use atomic_waker::AtomicWaker;
use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use tokio::time::{Instant, Sleep, sleep_until};

use super::{Lapse, ProgressClock, ProgressLimits, activity::Activity};

/// Request body of a caller. The part that a service does not read can be discarded after its response. Empty by
/// default, for retried requests.
///
/// Reading it fails with [`io::ErrorKind::TimedOut`] if the caller sends nothing of it in time, or too little:
/// [`HttpLimits::with_body_timeout`](super::HttpLimits::with_body_timeout).
#[derive(Debug, Default)]
pub struct CallerBody {
    /// None: empty, dropped, or read to the end.
    incoming: Option<Incoming>,
    /// None for requests without a body.
    upload: Option<Box<Upload>>,
}

/// State of a request body that is not empty.
struct Upload {
    rest: Rest,
    activity: Arc<Activity>,
    /// True while the service waits for bytes.
    is_owed: bool,
    clock: ProgressClock,
    /// Fires at a deadline of the clock, or earlier.
    timer: Option<Pin<Box<Sleep>>>,
}

/// Unread rest of a request body, available once the body has been dropped.
#[derive(Debug, Clone, Default)]
pub(super) struct Rest(Arc<Mutex<Option<Incoming>>>, Arc<UploadCut>);

/// Cut of a request body, whose reader can outlive the request's task.
#[derive(Debug, Default)]
pub(super) struct UploadCut {
    is_cut: AtomicBool,
    /// Task that reads the body.
    reader: AtomicWaker,
}

impl UploadCut {
    /// Fails the body.
    pub(super) fn cut(&self) {
        self.is_cut.store(true, Ordering::Release);
        self.reader.wake();
    }

    /// Ready once the body is cut. Registers the task otherwise.
    fn poll(&self, cx: &mut Context<'_>) -> Poll<()> {
        self.reader.register(cx.waker());
        if self.is_cut.load(Ordering::Acquire) { Poll::Ready(()) } else { Poll::Pending }
    }
}

impl CallerBody {
    pub(super) fn new(
        incoming: Incoming,
        activity: &Arc<Activity>,
        limits: ProgressLimits,
    ) -> (Self, Option<Rest>) {
        if incoming.is_end_stream() {
            return (Self { incoming: Some(incoming), upload: None }, None);
        }
        let (rest, activity, clock) = (Rest::default(), activity.clone(), ProgressClock::new(limits));
        let upload = Box::new(Upload { rest: rest.clone(), activity, is_owed: false, clock, timer: None });
        (Self { incoming: Some(incoming), upload: Some(upload) }, Some(rest))
    }
}

impl Drop for CallerBody {
    fn drop(&mut self) {
        let Some(upload) = &mut self.upload else { return };
        upload.arrived(0);
        if let Some(incoming) = self.incoming.take()
            && !incoming.is_end_stream()
            && Arc::strong_count(&upload.rest.0) > 1
        {
            *upload.rest.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(incoming);
        }
    }
}

impl Upload {
    /// The service waits; ready at a deadline.
    fn poll_owed(&mut self, cx: &mut Context<'_>) -> Poll<Lapse> {
        if !self.is_owed {
            self.is_owed = true;
            self.activity.upload_owed();
            self.clock.start(Instant::now());
        }
        loop {
            let Some((at, lapse)) = self.clock.deadline() else { return Poll::Pending };
            if at <= Instant::now() {
                return Poll::Ready(lapse);
            }
            let timer = self.timer.get_or_insert_with(|| Box::pin(sleep_until(at)));
            // Re-armed only once it fires: each frame moves the deadline.
            ready!(timer.as_mut().poll(cx));
            timer.as_mut().reset(at);
        }
    }

    /// Records bytes, which end the wait.
    fn arrived(&mut self, bytes: usize) {
        if std::mem::take(&mut self.is_owed) {
            let now = Instant::now();
            self.clock.record(bytes, now);
            self.clock.stop(now);
            self.activity.upload_arrived(bytes);
        }
    }
}

impl fmt::Debug for Upload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Upload").field("is_owed", &self.is_owed).finish_non_exhaustive()
    }
}

impl Rest {
    /// Takes the rest, if the body was dropped before its end.
    pub(super) fn take(&self) -> Option<Incoming> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// Returns the cut of the body.
    pub(super) fn upload_cut(&self) -> Arc<UploadCut> {
        self.1.clone()
    }
}

impl Body for CallerBody {
    type Data = Bytes;
    type Error = Box<dyn Error + Send + Sync>;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let this = self.get_mut();
        if let Some(upload) = &this.upload
            && upload.rest.1.poll(cx).is_ready()
        {
            this.incoming = None;
            let message = "request cut: its caller is not admitted any more";
            return Poll::Ready(Some(Err(io::Error::new(io::ErrorKind::PermissionDenied, message).into())));
        }
        let Some(incoming) = &mut this.incoming else { return Poll::Ready(None) };
        let Poll::Ready(frame) = Pin::new(incoming).poll_frame(cx) else {
            let Some(upload) = &mut this.upload else { return Poll::Pending };
            let lapse = ready!(upload.poll_owed(cx));
            let message = match lapse {
                Lapse::Stall => "request body timed out",
                Lapse::Rate => "request body too slow",
            };
            return Poll::Ready(Some(Err(io::Error::new(io::ErrorKind::TimedOut, message).into())));
        };
        if let Some(upload) = &mut this.upload {
            let bytes =
                frame.as_ref().and_then(|frame| frame.as_ref().ok()?.data_ref()).map_or(0, Bytes::len);
            upload.arrived(bytes);
        }
        // Trailers are the last frame; HTTP/1.1 clients do not poll again after them.
        if !matches!(&frame, Some(Ok(frame)) if frame.is_data()) {
            this.incoming = None;
        }
        Poll::Ready(frame.map(|frame| frame.map_err(Into::into)))
    }

    fn is_end_stream(&self) -> bool {
        self.incoming.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.incoming.as_ref().map_or_else(|| SizeHint::with_exact(0), Body::size_hint)
    }
}
