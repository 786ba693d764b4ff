//! Truncated responses: every byte that arrived is delivered, then the response is aborted.
//!
//! hyper aborts a response as soon as its body fails, and drops what it has not written yet. So a body that its
//! upstream ended early fails only once the caller's connection has taken the rest: on HTTP/1.1 when its socket is
//! flushed, on HTTP/2 when all frames of the stream are written.

use std::{
    error::Error,
    pin::Pin,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    task::{Context, Poll, Waker, ready},
    time::Duration,
};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;
use tokio::time::{Sleep, sleep};
use tower_mtls::{ClientError, ClientErrorKind};

use super::activity::Activity;

/// How long a caller may take to read what arrived of a truncated response.
const TIMEOUT: Duration = Duration::from_secs(60);

type BoxError = Box<dyn Error + Send + Sync>;

pin_project! {
    /// A response's body that fails behind its last byte.
    pub(super) struct DeliveredBody<B> {
        #[pin]
        body: B,
        connection: Connection,
        failed: Option<(BoxError, Pin<Box<Sleep>>)>,
    }
}

enum Connection {
    Http1(Arc<Activity>),
    Http2(Arc<Unwritten>),
}

impl<B> DeliveredBody<B> {
    /// `http1`: the connection, unless it is one of HTTP/2.
    pub(super) fn new(body: B, http1: Option<Arc<Activity>>) -> Self {
        let connection = http1.map_or_else(|| Connection::Http2(Arc::default()), Connection::Http1);
        Self { body, connection, failed: None }
    }
}

impl<B> Body for DeliveredBody<B>
where
    B: Body<Data = Bytes>,
    B::Error: Into<BoxError>,
{
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let mut this = self.project();
        if this.failed.is_none() {
            match ready!(this.body.as_mut().poll_frame(cx)).map(|frame| frame.map_err(Into::into)) {
                Some(Err(error)) if is_truncated(&*error) => {
                    if let Connection::Http1(activity) = &this.connection {
                        activity.flush.begin();
                    }
                    *this.failed = Some((error, Box::pin(sleep(TIMEOUT))));
                }
                Some(Ok(frame)) if !this.body.is_end_stream() => {
                    return Poll::Ready(Some(Ok(match &this.connection {
                        Connection::Http1(_) => frame,
                        Connection::Http2(unwritten) => frame.map_data(|data| unwritten.add(data)),
                    })));
                }
                frame => return Poll::Ready(frame),
            }
        }
        let is_written = match &this.connection {
            Connection::Http1(activity) => activity.flush.poll(cx).is_ready(),
            Connection::Http2(unwritten) => unwritten.poll(cx).is_ready(),
        };
        match this.failed.take() {
            Some((error, mut timer)) => {
                if is_written || timer.as_mut().poll(cx).is_ready() {
                    return Poll::Ready(Some(Err(error)));
                }
                *this.failed = Some((error, timer));
                Poll::Pending
            }
            None => Poll::Pending,
        }
    }

    fn is_end_stream(&self) -> bool {
        self.failed.is_none() && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

fn is_truncated(error: &(dyn Error + 'static)) -> bool {
    let mut causes = std::iter::successors(Some(error), |error| (*error).source());
    let error = causes.find_map(|cause| cause.downcast_ref::<ClientError>());
    error.is_some_and(|error| error.kind() == ClientErrorKind::Truncated)
}

/// Reports when all that was written to a socket has left.
#[derive(Debug, Default)]
pub(super) struct Flush {
    is_awaited: AtomicBool,
    waker: Mutex<Option<Waker>>,
}

impl Flush {
    /// Waits from now on for the next complete flush.
    fn begin(&self) {
        self.is_awaited.store(true, Ordering::Release);
    }

    fn poll(&self, cx: &mut Context<'_>) -> Poll<()> {
        set(&self.waker, Some(cx.waker().clone()));
        if self.is_awaited.load(Ordering::Acquire) { Poll::Pending } else { Poll::Ready(()) }
    }

    /// The socket is flushed.
    pub(super) fn done(&self) {
        if self.is_awaited.load(Ordering::Acquire) {
            self.is_awaited.store(false, Ordering::Release);
            wake(&self.waker);
        }
    }
}

/// Frames of one HTTP/2 stream that are not written yet.
#[derive(Default)]
struct Unwritten {
    frames: AtomicUsize,
    waker: Mutex<Option<Waker>>,
}

impl Unwritten {
    /// Counts the data as not written until it is dropped.
    fn add(self: &Arc<Self>, data: Bytes) -> Bytes {
        self.frames.fetch_add(1, Ordering::AcqRel);
        Bytes::from_owner(Counted { data, unwritten: self.clone() })
    }

    fn poll(&self, cx: &mut Context<'_>) -> Poll<()> {
        set(&self.waker, Some(cx.waker().clone()));
        if self.frames.load(Ordering::Acquire) > 0 { Poll::Pending } else { Poll::Ready(()) }
    }
}

struct Counted {
    data: Bytes,
    unwritten: Arc<Unwritten>,
}

impl AsRef<[u8]> for Counted {
    fn as_ref(&self) -> &[u8] {
        &self.data
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        if self.unwritten.frames.fetch_sub(1, Ordering::AcqRel) == 1 {
            wake(&self.unwritten.waker);
        }
    }
}

fn set(waker: &Mutex<Option<Waker>>, new: Option<Waker>) -> Option<Waker> {
    std::mem::replace(&mut *waker.lock().unwrap_or_else(PoisonError::into_inner), new)
}

fn wake(waker: &Mutex<Option<Waker>>) {
    if let Some(waker) = set(waker, None) {
        waker.wake();
    }
}
