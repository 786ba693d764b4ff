//! Delivery of response bodies to the caller.
//!
//! hyper does not poll a body while the caller grants no HTTP/2 window or reads nothing from its socket, so a timeout
//! inside the body never fires. Each chunk therefore counts as unread until its last byte is written, and the clock of
//! its response runs meanwhile. A response that exceeds a limit is cut: its body is dropped, which releases the upstream,
//! and its stream is reset. The connection's [`Activity`](super::activity) closes the connection if no other request is
//! in flight.
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
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, ready},
};

use atomic_waker::AtomicWaker;
use bytes::{Buf, Bytes};
use http::{HeaderMap, HeaderValue, StatusCode, header::CONTENT_TYPE};
use http_body::{Body, Frame, SizeHint};
use tokio::time::Instant;

use super::{
    Lapse, ProgressClock, ProgressLimits, Upload,
    activity::{Cut, Expire, InFlight},
    admission::GrpcResponse,
    flush::Flush,
    stream_task::StreamTask,
};
use crate::request::grpc_error;

/// Unread bytes of a connection above which each response buffers one chunk only. Upstreams' chunks have at most 64 KiB.
const MAX_UNREAD: usize = 512 * 1024;

type BoxError = Box<dyn Error + Send + Sync>;

/// Response body whose request is in flight until the caller has read all of it.
pub(super) struct DeliveredBody<B> {
    progress: Arc<DeliveryProgress<Mutex<PendingBody<B>>>>,
    /// The request's body, which can be silent while response bytes move.
    upload: Option<Upload>,
}

/// Body of a response that can be dropped before its end.
trait DropBody: Send + Sync {
    fn drop_body(&self);
}

struct PendingBody<B> {
    /// None: failed or cut.
    body: Option<Pin<Box<B>>>,
    /// Error of the body, kept until all earlier bytes are written.
    error: Option<BoxError>,
}

/// Progress of one response, which its chunks share.
struct DeliveryProgress<T: ?Sized = dyn DropBody> {
    in_flight: InFlight,
    unread: Mutex<Unread>,
    /// HTTP/2 only: completes when there are no chunks.
    flush: Option<Flush>,
    task: Option<StreamTask>,
    /// None: not gRPC.
    denial: Option<Denial>,
    /// The body, until the response is dropped.
    body: T,
}

/// End of a gRPC response whose caller is not admitted any more.
#[derive(Debug, Default)]
struct Denial {
    is_denied: AtomicBool,
    /// Task that polls the body.
    waker: AtomicWaker,
}

impl Denial {
    /// Returns the trailers of the response once it is denied. Registers the task otherwise.
    fn trailers(&self, cx: &mut Context<'_>) -> Option<HeaderMap> {
        self.waker.register(cx.waker());
        self.is_denied.load(Ordering::Acquire).then(|| {
            let message = HeaderValue::from_static("the client certificate is not admitted any more");
            let mut trailers = std::mem::take(grpc_error(StatusCode::FORBIDDEN, message).headers_mut());
            trailers.remove(CONTENT_TYPE);
            trailers
        })
    }
}

/// Bytes of a response that its caller has not taken.
#[derive(Debug)]
struct Unread {
    /// Number of chunks with unread bytes.
    chunks: usize,
    /// True if there were none at the last check.
    is_quiet: bool,
    /// Time from which there are such chunks.
    since: Instant,
    /// Runs while there are such chunks.
    clock: ProgressClock,
    cut: Option<Cut>,
}

impl<T: ?Sized> DeliveryProgress<T> {
    fn unread(&self) -> MutexGuard<'_, Unread> {
        lock(&self.unread)
    }

    fn has_chunks(&self) -> bool {
        self.unread().chunks > 0
    }

    fn flush(&self) -> &Flush {
        self.flush.as_ref().unwrap_or_else(|| self.in_flight.socket_flush())
    }

    /// Waits until everything is written, after [`Flush::begin`].
    fn poll_written(&self, cx: &mut Context<'_>) -> Poll<()> {
        let flushed = self.flush().poll(cx);
        let is_written = self.flush.is_some() && !self.has_chunks();
        if is_written { Poll::Ready(()) } else { flushed }
    }

    /// Returns true if the response must not buffer another chunk.
    fn is_full(&self) -> bool {
        self.flush.is_some() && self.in_flight.unread_bytes() >= MAX_UNREAD && self.has_chunks()
    }

    /// Records a chunk that is ready.
    fn chunk_begins(&self, bytes: usize) {
        self.in_flight.add_unread_bytes(bytes);
        let mut unread = self.unread();
        unread.chunks += 1;
        if unread.chunks == 1 {
            unread.is_quiet = false;
            let now = Instant::now();
            unread.since = now;
            unread.clock.start(now);
            self.in_flight.unread_begins(now);
        }
    }

    /// Records bytes that the caller took.
    fn taken(&self, bytes: usize) {
        self.in_flight.remove_unread_bytes(bytes);
        let now = Instant::now();
        self.in_flight.taken(bytes, now);
        self.unread().clock.record(bytes, now);
    }

    /// Records the end of a chunk, of which `bytes` were not taken.
    fn chunk_ends(&self, bytes: usize) {
        self.in_flight.remove_unread_bytes(bytes);
        let mut unread = self.unread();
        unread.chunks -= 1;
        if unread.chunks == 0 {
            // Nothing is owed after the last byte.
            let last = unread.clock.silent_since().filter(|_| bytes == 0);
            unread.clock.stop(last.unwrap_or_else(Instant::now));
            self.in_flight.unread_ends();
            drop(unread);
            if let Some(flush) = &self.flush {
                flush.done();
            }
        }
    }
}

impl<T: DropBody + ?Sized> Expire for DeliveryProgress<T> {
    fn expire(&self, now: Instant) -> Option<Cut> {
        let mut unread = self.unread();
        if unread.cut.is_some() {
            return unread.cut;
        }
        if unread.chunks == 0 && std::mem::replace(&mut unread.is_quiet, true) {
            self.in_flight.response_is_quiet();
        }
        let lapse = unread.clock.lapse(now)?;
        // A response below the rate has made progress of its own.
        let silent_since = unread.clock.silent_since().filter(|_| lapse == Lapse::Stall);
        let cut = Cut { lapse, since: silent_since.unwrap_or(unread.since), at: now };
        unread.cut = Some(cut);
        self.in_flight.cut();
        drop(unread);
        self.body.drop_body();
        if let Some(task) = &self.task {
            task.reset();
        }
        Some(cut)
    }
}

impl<T: DropBody + ?Sized> GrpcResponse for DeliveryProgress<T> {
    fn deny(&self) {
        let Some(denial) = &self.denial else { return };
        denial.is_denied.store(true, Ordering::Release);
        self.body.drop_body();
        denial.waker.wake();
    }
}

impl<B: Send> DropBody for Mutex<PendingBody<B>> {
    fn drop_body(&self) {
        let body = lock(self).body.take();
        drop(body);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl<T: ?Sized> DeliveryProgress<T> {
    /// Returns the error of a body that was dropped before its end.
    fn expired(&self) -> BoxError {
        let message = match self.unread().cut {
            Some(Cut { lapse: Lapse::Rate, .. }) => "response body read too slowly (min_data_rate)",
            _ => "response body timed out (body_timeout)",
        };
        io::Error::new(io::ErrorKind::TimedOut, message).into()
    }
}

impl<B: Send + 'static> DeliveredBody<B> {
    pub(super) fn new(
        body: B,
        in_flight: InFlight,
        limits: ProgressLimits,
        is_http2: bool,
        upload: Option<Upload>,
    ) -> Self {
        if let Some(upload) = &upload {
            upload.record_response();
        }
        let clock = ProgressClock::new(limits);
        let unread =
            Mutex::new(Unread { chunks: 0, is_quiet: false, since: Instant::now(), clock, cut: None });
        let flush = is_http2.then(Flush::default);
        let task = if is_http2 { StreamTask::current() } else { None };
        let body = Mutex::new(PendingBody { body: Some(Box::pin(body)), error: None });
        let denial = (is_http2 && in_flight.is_grpc()).then(Denial::default);
        let progress = Arc::new(DeliveryProgress { in_flight, unread, flush, task, denial, body });
        let response: Arc<dyn Expire> = progress.clone();
        progress.in_flight.register_response(&response);
        if progress.denial.is_some() {
            let response: Arc<dyn GrpcResponse> = progress.clone();
            progress.in_flight.set_grpc_response(Arc::downgrade(&response));
        }
        Self { progress, upload }
    }
}

impl<B> Drop for DeliveredBody<B> {
    fn drop(&mut self) {
        // Chunks and the activity can own other references.
        let body = lock(&self.progress.body).body.take();
        drop(body);
    }
}

impl<B> Body for DeliveredBody<B>
where
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    type Data = Chunk;
    type Error = BoxError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Chunk>, BoxError>>> {
        let progress = &self.progress;
        let denied = progress.denial.as_ref().and_then(|denial| denial.trailers(cx));
        if let Some(trailers) = denied {
            return Poll::Ready(Some(Ok(Frame::trailers(trailers))));
        }
        let mut pending = lock(&progress.body);
        let PendingBody { body, error } = &mut *pending;
        if error.is_none() {
            let Some(open) = body else { return Poll::Ready(Some(Err(progress.expired()))) };
            if progress.is_full() {
                progress.flush().begin();
                ready!(progress.poll_written(cx));
            }
            match open.as_mut().poll_frame(cx) {
                Poll::Ready(Some(Ok(frame))) => {
                    if let Some(upload) = &self.upload {
                        upload.record_response();
                    }
                    return Poll::Ready(Some(Ok(frame.map_data(|data| Chunk::new(data, progress.clone())))));
                }
                Poll::Ready(None) => return Poll::Ready(None),
                Poll::Ready(Some(Err(failed))) => {
                    progress.flush().begin();
                    *error = Some(failed.into());
                    // Releases the upstream.
                    *body = None;
                }
                Poll::Pending => return Poll::Pending,
            }
        }
        ready!(progress.poll_written(cx));
        Poll::Ready(error.take().map(Err))
    }

    fn is_end_stream(&self) -> bool {
        let pending = lock(&self.progress.body);
        pending.error.is_none() && pending.body.as_ref().is_some_and(|body| body.is_end_stream())
    }

    fn size_hint(&self) -> SizeHint {
        lock(&self.progress.body).body.as_ref().map(|body| body.size_hint()).unwrap_or_default()
    }
}

/// Chunk of a response body, unread until it is dropped.
pub(super) struct Chunk {
    data: Bytes,
    progress: Arc<DeliveryProgress>,
}

impl Chunk {
    fn new(data: Bytes, progress: Arc<DeliveryProgress>) -> Self {
        progress.chunk_begins(data.len());
        Self { data, progress }
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
        self.progress.taken(count);
    }

    fn copy_to_bytes(&mut self, count: usize) -> Bytes {
        self.progress.taken(count);
        self.data.copy_to_bytes(count)
    }
}

impl Drop for Chunk {
    fn drop(&mut self) {
        self.progress.chunk_ends(self.data.len());
    }
}
