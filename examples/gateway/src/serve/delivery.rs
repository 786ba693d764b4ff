//! Delivery of response bodies: how much of them the caller has taken.
//!
//! hyper does not poll a body while the caller grants no HTTP/2 window or takes nothing from its socket, so a timeout
//! inside the body never fires. Each chunk therefore counts as unread until its last byte has been written. The
//! [watch](super::activity) of the connection drops a body whose chunks make no progress, and closes the connection
//! when every response in flight is unread and none of them progresses.
//!
//! hyper aborts a response as soon as its body fails, and drops what it has not written yet. A body that its upstream
//! ended early therefore fails only once the connection has taken what arrived: on HTTP/1.1 when its socket is flushed,
//! on HTTP/2 when all chunks of the stream are written.

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

use super::{activity::InFlight, flush::Flush};

/// Requests in flight on an HTTP/2 connection from which on each response buffers one chunk only.
const CROWDED: usize = 16;

type BoxError = Box<dyn Error + Send + Sync>;

/// A response body whose request is in flight until the caller has taken all of it.
pub(super) struct DeliveredBody<B>(Arc<Delivery<B>>);

/// One response on its way to the caller.
struct Delivery<B> {
    unread: Arc<Unread>,
    body: Mutex<Undelivered<B>>,
}

struct Undelivered<B> {
    /// None: expired.
    body: Option<Pin<Box<B>>>,
    /// The body's, until what came before it is written.
    error: Option<BoxError>,
    waker: Option<Waker>,
}

/// Progress of one response.
#[derive(Debug)]
struct Unread {
    in_flight: InFlight,
    /// Chunks of which the caller has not taken every byte.
    chunks: AtomicUsize,
    /// When the body expires without progress, in milliseconds since the start of the connection.
    expires: AtomicU64,
    /// Longest time without progress. None: unlimited.
    timeout: Option<Duration>,
    /// HTTP/2: done when there are no chunks.
    flush: Option<Flush>,
}

impl Unread {
    fn flush(&self) -> &Flush {
        self.flush.as_ref().unwrap_or_else(|| self.in_flight.socket_flush())
    }

    /// Waits until everything is written, after [`Flush::begin`].
    fn poll_written(&self, cx: &mut Context<'_>) -> Poll<()> {
        let flushed = self.flush().poll(cx);
        let is_written = self.flush.is_some() && self.chunks.load(Ordering::Acquire) == 0;
        if is_written { Poll::Ready(()) } else { flushed }
    }

    /// Whether the connection has no room for another chunk of this response.
    fn is_full(&self) -> bool {
        self.flush.is_some()
            && self.chunks.load(Ordering::Acquire) > 0
            && self.in_flight.on_connection() > CROWDED
    }

    fn progress(&self) {
        self.expires.store(self.in_flight.unread_progress(self.timeout), Ordering::Relaxed);
    }
}

/// A response that can be dropped at its timeout.
pub(super) trait Expire: Send + Sync {
    /// Drops the body if the caller has taken nothing of it for too long.
    fn expire(&self, now: u64);
}

impl<B: Send> Expire for Delivery<B> {
    fn expire(&self, now: u64) {
        let Unread { chunks, expires, .. } = &*self.unread;
        if chunks.load(Ordering::Relaxed) == 0 || now < expires.load(Ordering::Relaxed) {
            return;
        }
        let (body, waker) = {
            let mut undelivered = self.undelivered();
            (undelivered.body.take(), undelivered.waker.take())
        };
        drop(body);
        // Where hyper still polls the body, it resets the stream.
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

impl<B> Delivery<B> {
    fn undelivered(&self) -> MutexGuard<'_, Undelivered<B>> {
        self.body.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<B: Send + 'static> DeliveredBody<B> {
    /// `timeout` is the longest time that the caller may take nothing while bytes are ready.
    pub(super) fn new(body: B, in_flight: InFlight, timeout: Option<Duration>, is_http2: bool) -> Self {
        let (chunks, expires) = (AtomicUsize::new(0), AtomicU64::new(0));
        let flush = is_http2.then(Flush::default);
        let unread = Arc::new(Unread { in_flight, chunks, expires, timeout, flush });
        let body = Mutex::new(Undelivered { body: Some(Box::pin(body)), error: None, waker: None });
        let delivery = Arc::new(Delivery { unread, body });
        let response: Arc<dyn Expire> = delivery.clone();
        delivery.unread.in_flight.responds(&response);
        Self(delivery)
    }
}

impl<B> Drop for DeliveredBody<B> {
    fn drop(&mut self) {
        // The watch may have the response in its hands for a moment.
        let body = self.0.undelivered().body.take();
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
        let Delivery { unread, .. } = &*self.0;
        let mut undelivered = self.0.undelivered();
        let Undelivered { body, error, waker } = &mut *undelivered;
        let Some(body) = body else {
            let expired = io::Error::new(io::ErrorKind::TimedOut, "the caller did not read the response");
            return Poll::Ready(Some(Err(expired.into())));
        };
        if waker.as_ref().is_none_or(|waker| !waker.will_wake(cx.waker())) {
            *waker = Some(cx.waker().clone());
        }
        if error.is_none() {
            if unread.is_full() {
                unread.flush().begin();
                ready!(unread.poll_written(cx));
            }
            match ready!(body.as_mut().poll_frame(cx)) {
                Some(Ok(frame)) => {
                    return Poll::Ready(Some(Ok(frame.map_data(|data| Chunk::new(data, unread)))));
                }
                None => return Poll::Ready(None),
                Some(Err(failed)) => {
                    unread.flush().begin();
                    *error = Some(failed.into());
                }
            }
        }
        ready!(unread.poll_written(cx));
        Poll::Ready(error.take().map(Err))
    }

    fn is_end_stream(&self) -> bool {
        let undelivered = self.0.undelivered();
        undelivered.error.is_none() && undelivered.body.as_ref().is_some_and(|body| body.is_end_stream())
    }

    fn size_hint(&self) -> SizeHint {
        self.0.undelivered().body.as_ref().map(|body| body.size_hint()).unwrap_or_default()
    }
}

/// A part of a response body, unread until it is dropped.
#[derive(Debug)]
pub(super) struct Chunk {
    data: Bytes,
    unread: Arc<Unread>,
}

impl Chunk {
    fn new(data: Bytes, unread: &Arc<Unread>) -> Self {
        unread.progress();
        if unread.chunks.fetch_add(1, Ordering::Relaxed) == 0 {
            unread.in_flight.unread_begins();
        }
        Self { data, unread: unread.clone() }
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
        self.unread.progress();
    }

    fn copy_to_bytes(&mut self, count: usize) -> Bytes {
        self.unread.progress();
        self.data.copy_to_bytes(count)
    }
}

impl Drop for Chunk {
    fn drop(&mut self) {
        if self.unread.chunks.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.unread.in_flight.unread_ends();
            if let Some(flush) = &self.unread.flush {
                flush.done();
            }
        }
    }
}
