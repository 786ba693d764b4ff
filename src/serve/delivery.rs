//! Delivery of response bodies to the caller.
//!
//! hyper does not poll a body while the caller grants no HTTP/2 window or reads nothing from its socket, so a timeout
//! inside the body never fires. Each chunk therefore counts as unread until its last byte is written. The connection's
//! [`Activity`](super::activity) drops a body whose chunks make no progress, and closes the connection when all
//! responses in flight are unread and none makes progress.
//!
//! hyper aborts a response as soon as its body fails, and drops bytes that are not written yet. A body that the upstream
//! ended early therefore fails only once the received part is written: on HTTP/1.1 when the socket is flushed, on HTTP/2
//! when all chunks of the stream are written.

use std::{
    error::Error,
    io::{self, IoSlice},
    pin::Pin,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    task::{Context, Poll, Waker, ready},
    time::Duration,
};

use bytes::{Buf, Bytes};
use http_body::{Body, Frame, SizeHint};

use super::{
    activity::{Expire, InFlight},
    flush::Flush,
};

/// Number of requests in flight on an HTTP/2 connection above which each response buffers one chunk only.
const CROWDED: usize = 16;

type BoxError = Box<dyn Error + Send + Sync>;

/// Response body whose request is in flight until the caller has read all of it.
pub(super) struct DeliveredBody<B>(Arc<Delivery<B>>);

/// Delivery of one response.
struct Delivery<B> {
    progress: Arc<ReadProgress>,
    body: Mutex<PendingBody<B>>,
}

struct PendingBody<B> {
    /// None: expired.
    body: Option<Pin<Box<B>>>,
    /// Error of the body, kept until all earlier bytes are written.
    error: Option<BoxError>,
    waker: Option<Waker>,
}

/// Progress of one response.
#[derive(Debug)]
struct ReadProgress {
    in_flight: InFlight,
    /// Number of chunks with unread bytes.
    chunks: AtomicUsize,
    /// Expiry of the body without progress, in milliseconds since the start of the connection.
    expires: AtomicU64,
    /// Maximum time without progress. None: unlimited.
    timeout: Option<Duration>,
    /// HTTP/2 only: completes when there are no chunks.
    flush: Option<Flush>,
}

impl ReadProgress {
    fn flush(&self) -> &Flush {
        self.flush.as_ref().unwrap_or_else(|| self.in_flight.socket_flush())
    }

    /// Waits until everything is written, after [`Flush::begin`].
    fn poll_written(&self, cx: &mut Context<'_>) -> Poll<()> {
        let flushed = self.flush().poll(cx);
        let is_written = self.flush.is_some() && self.chunks.load(Ordering::Acquire) == 0;
        if is_written { Poll::Ready(()) } else { flushed }
    }

    /// Returns true if the response must not buffer another chunk.
    fn is_full(&self) -> bool {
        self.flush.is_some()
            && self.chunks.load(Ordering::Acquire) > 0
            && self.in_flight.on_connection() > CROWDED
    }

    fn record(&self) {
        self.expires.store(self.in_flight.unread_progress(self.timeout), Ordering::Relaxed);
    }
}

impl<B: Send> Expire for Delivery<B> {
    fn expire(&self, now: u64) {
        let ReadProgress { chunks, expires, .. } = &*self.progress;
        if chunks.load(Ordering::Relaxed) == 0 || now < expires.load(Ordering::Relaxed) {
            return;
        }
        let (body, waker) = {
            let mut pending = self.pending();
            (pending.body.take(), pending.waker.take())
        };
        drop(body);
        // hyper polls the body and resets the stream.
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

impl<B> Delivery<B> {
    fn pending(&self) -> MutexGuard<'_, PendingBody<B>> {
        self.body.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<B: Send + 'static> DeliveredBody<B> {
    /// `timeout` is the maximum time for which the caller reads nothing while bytes are ready. None: unlimited.
    pub(super) fn new(body: B, in_flight: InFlight, timeout: Option<Duration>, is_http2: bool) -> Self {
        let (chunks, expires) = (AtomicUsize::new(0), AtomicU64::new(0));
        let flush = is_http2.then(Flush::default);
        let progress = Arc::new(ReadProgress { in_flight, chunks, expires, timeout, flush });
        let body = Mutex::new(PendingBody { body: Some(Box::pin(body)), error: None, waker: None });
        let delivery = Arc::new(Delivery { progress, body });
        let response: Arc<dyn Expire> = delivery.clone();
        delivery.progress.in_flight.register_response(&response);
        Self(delivery)
    }
}

impl<B> Drop for DeliveredBody<B> {
    fn drop(&mut self) {
        // The activity can own another reference at this moment.
        let body = self.0.pending().body.take();
        drop(body);
    }
}

impl<B> Body for DeliveredBody<B>
where
    B: Body<Data = Bytes>,
    B::Error: Into<BoxError>,
{
    type Data = Chunk;
    type Error = BoxError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Chunk>, BoxError>>> {
        let Delivery { progress, .. } = &*self.0;
        let mut pending = self.0.pending();
        let PendingBody { body, error, waker } = &mut *pending;
        let Some(body) = body else {
            let expired = io::Error::new(io::ErrorKind::TimedOut, "response body timed out (body_timeout)");
            return Poll::Ready(Some(Err(expired.into())));
        };
        if waker.as_ref().is_none_or(|waker| !waker.will_wake(cx.waker())) {
            *waker = Some(cx.waker().clone());
        }
        if error.is_none() {
            if progress.is_full() {
                progress.flush().begin();
                ready!(progress.poll_written(cx));
            }
            match ready!(body.as_mut().poll_frame(cx)) {
                Some(Ok(frame)) => {
                    return Poll::Ready(Some(Ok(frame.map_data(|data| Chunk::new(data, progress)))));
                }
                None => return Poll::Ready(None),
                Some(Err(failed)) => {
                    progress.flush().begin();
                    *error = Some(failed.into());
                }
            }
        }
        ready!(progress.poll_written(cx));
        Poll::Ready(error.take().map(Err))
    }

    fn is_end_stream(&self) -> bool {
        let pending = self.0.pending();
        pending.error.is_none() && pending.body.as_ref().is_some_and(|body| body.is_end_stream())
    }

    fn size_hint(&self) -> SizeHint {
        self.0.pending().body.as_ref().map(|body| body.size_hint()).unwrap_or_default()
    }
}

/// Chunk of a response body, unread until it is dropped.
#[derive(Debug)]
pub(super) struct Chunk {
    data: Bytes,
    progress: Arc<ReadProgress>,
}

impl Chunk {
    fn new(data: Bytes, progress: &Arc<ReadProgress>) -> Self {
        progress.record();
        if progress.chunks.fetch_add(1, Ordering::Relaxed) == 0 {
            progress.in_flight.unread_begins();
        }
        Self { data, progress: progress.clone() }
    }
}

impl Buf for Chunk {
    fn remaining(&self) -> usize {
        self.data.remaining()
    }

    fn chunk(&self) -> &[u8] {
        self.data.chunk()
    }

    fn chunks_vectored<'a>(&'a self, slices: &mut [IoSlice<'a>]) -> usize {
        self.data.chunks_vectored(slices)
    }

    fn advance(&mut self, count: usize) {
        self.data.advance(count);
        self.progress.record();
    }

    fn copy_to_bytes(&mut self, count: usize) -> Bytes {
        self.progress.record();
        self.data.copy_to_bytes(count)
    }
}

impl Drop for Chunk {
    fn drop(&mut self) {
        if self.progress.chunks.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.progress.in_flight.unread_ends();
            if let Some(flush) = &self.progress.flush {
                flush.done();
            }
        }
    }
}
