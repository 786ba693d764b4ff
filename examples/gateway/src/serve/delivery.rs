//! Delivery of response bodies: how much of them the caller has taken.
//!
//! hyper does not poll a body while the caller grants no HTTP/2 window or takes nothing from its socket, so a timeout
//! inside the body never fires. Each chunk therefore counts as unread until its last byte has been written. The
//! [watch](super::activity) of the connection drops a body whose chunks make no progress, and closes the connection
//! when every response in flight is unread and none of them progresses.

use std::{
    error::Error,
    io::{self, IoSlice},
    pin::Pin,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    task::{Context, Poll, Waker},
    time::Duration,
};

use bytes::{Buf, Bytes};
use http_body::{Body, Frame, SizeHint};

use super::activity::InFlight;

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
}

impl Unread {
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
    pub(super) fn new(body: B, in_flight: InFlight, timeout: Option<Duration>) -> Self {
        let (chunks, expires) = (AtomicUsize::new(0), AtomicU64::new(0));
        let unread = Arc::new(Unread { in_flight, chunks, expires, timeout });
        let body = Mutex::new(Undelivered { body: Some(Box::pin(body)), waker: None });
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
        let Undelivered { body, waker } = &mut *undelivered;
        let Some(body) = body else {
            let expired = io::Error::new(io::ErrorKind::TimedOut, "the caller did not read the response");
            return Poll::Ready(Some(Err(expired.into())));
        };
        let frame = body.as_mut().poll_frame(cx);
        if frame.is_pending() && waker.as_ref().is_none_or(|waker| !waker.will_wake(cx.waker())) {
            *waker = Some(cx.waker().clone());
        }
        drop(undelivered);
        frame.map(|frame| {
            frame.map(|frame| match frame {
                Ok(frame) => Ok(frame.map_data(|data| Chunk::new(data, unread))),
                Err(error) => Err(error.into()),
            })
        })
    }

    fn is_end_stream(&self) -> bool {
        self.0.undelivered().body.as_ref().is_some_and(|body| body.is_end_stream())
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
        if self.unread.chunks.fetch_sub(1, Ordering::Relaxed) == 1 {
            self.unread.in_flight.unread_ends();
        }
    }
}
