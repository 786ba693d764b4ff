//! Activity of one connection, and the timeouts that close it.

mod expiry;
mod in_flight;
mod occupied;
mod owed_uploads;
mod rechecks;
mod socket_clock;

use std::{
    fmt,
    sync::{
        Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
    },
    time::Duration,
};

use atomic_waker::AtomicWaker;
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::Instant,
};

pub(super) use self::expiry::{Cut, Expire, Expiry};
pub(super) use self::in_flight::InFlight;
use self::owed_uploads::OwedUploads;
use self::socket_clock::SocketClock;
use super::{
    BufferBudget, ProgressLimits, ReleasedOnClose, StreamLimits, admission::RequestAdmission, flush::Flush,
    input_state::InputState, stream_limits::AtomicStreamLimits,
};

/// Maximum number of concurrent requests of an HTTP/2 connection, quiet gRPC exchanges apart. Each occupies at most 200 KiB
/// while its response is not read.
const MAX_REQUESTS: usize = 20;

/// Interval at which the timeouts of a connection with a request in flight are checked, and its requests judged again.
pub(super) const BUSY_INTERVAL: Duration = Duration::from_secs(1);

/// Timeouts of a connection.
#[derive(Debug, Clone, Copy)]
pub(super) struct Timeouts {
    /// Without a request.
    pub(super) idle: Duration,
    /// From the first to the last byte of a request's head.
    pub(super) head: Duration,
    /// Of reading responses. A response can have its own.
    pub(super) read: ProgressLimits,
}

/// State shared by the socket, the requests and the timeouts of a connection.
pub(super) struct Activity {
    start: Instant,
    in_flight: AtomicUsize,
    /// Number of requests in flight that a layer admitted.
    admitted: AtomicUsize,
    requests: Arc<Semaphore>,
    /// Time at which the caller last took a part of a response, or a request ended, in microseconds since the start.
    served_at: AtomicU64,
    /// End of the last request, in milliseconds since the start.
    idle_since: AtomicU64,
    /// Begin of the requests in flight, in milliseconds since the start.
    busy_since: AtomicU64,
    /// Request bodies of which the service waits for bytes.
    owed_uploads: OwedUploads,
    /// Limits of streams without their own.
    stream_limits: AtomicStreamLimits,
    /// Arrival of the first byte of a request's head over HTTP/1.1, in milliseconds since the start, plus 1. 0: no head
    /// has begun.
    head_since: AtomicU64,
    /// True if a part of a head has arrived over HTTP/1.1.
    has_partial_head: AtomicBool,
    /// True if a part of a request has arrived over HTTP/1.1, and after an invalid one.
    has_partial_request: AtomicBool,
    /// True if an HTTP/1.1 request without a body has begun since the connection was last due to be parked.
    parks_when_idle: AtomicBool,
    pub(super) input: InputState,
    responses: Mutex<Vec<Weak<dyn Expire>>>,
    /// Requests in flight that are judged again.
    rechecked: Mutex<Vec<Weak<RequestAdmission>>>,
    /// Number of responses with unread bytes.
    unread: AtomicUsize,
    /// Time at which the first of them became unread, in milliseconds since the start.
    unread_since: AtomicU64,
    /// Response bytes that the caller has not taken.
    unread_bytes: AtomicUsize,
    buffers: BufferBudget,
    /// Runs while the socket accepts no bytes.
    socket: Mutex<SocketClock>,
    is_write_blocked: AtomicBool,
    /// True once a GOAWAY was due because of unread responses that cannot be reset.
    is_going_away: AtomicBool,
    /// True once the connection closes after its requests in flight.
    is_finishing: AtomicBool,
    tunnel: AtomicBool,
    /// True while the timeouts are checked at [`BUSY_INTERVAL`].
    is_checked: AtomicBool,
    /// Task of the connection.
    task: AtomicWaker,
    /// Value of the response that switched protocols, released with the connection.
    released_on_close: OnceLock<ReleasedOnClose>,
    /// True while the listener drains.
    is_draining: Arc<AtomicBool>,
    /// The next complete flush of the socket.
    pub(super) flush: Flush,
}

impl fmt::Debug for Activity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Activity").field("in_flight", &self.in_flight).finish_non_exhaustive()
    }
}

impl Activity {
    /// `buffers` is the budget of all connections.
    pub(super) fn new(is_draining: Arc<AtomicBool>, buffers: BufferBudget) -> Arc<Self> {
        let start = Instant::now();
        Arc::new(Self {
            start,
            in_flight: AtomicUsize::new(0),
            admitted: AtomicUsize::new(0),
            requests: Arc::new(Semaphore::new(MAX_REQUESTS)),
            served_at: AtomicU64::new(0),
            idle_since: AtomicU64::new(0),
            busy_since: AtomicU64::new(0),
            owed_uploads: OwedUploads::default(),
            stream_limits: AtomicStreamLimits::default(),
            head_since: AtomicU64::new(0),
            has_partial_head: AtomicBool::new(false),
            has_partial_request: AtomicBool::new(false),
            parks_when_idle: AtomicBool::new(false),
            input: InputState::new(start),
            responses: Mutex::default(),
            rechecked: Mutex::default(),
            unread: AtomicUsize::new(0),
            unread_since: AtomicU64::new(0),
            unread_bytes: AtomicUsize::new(0),
            buffers,
            socket: Mutex::new(SocketClock::new()),
            is_write_blocked: AtomicBool::new(false),
            is_going_away: AtomicBool::new(false),
            is_finishing: AtomicBool::new(false),
            tunnel: AtomicBool::new(false),
            is_checked: AtomicBool::new(false),
            task: AtomicWaker::new(),
            released_on_close: OnceLock::new(),
            is_draining,
            flush: Flush::default(),
        })
    }

    /// Marks the connection as a tunnel, whose bytes are no longer HTTP.
    ///
    /// Must be called before 101 is sent to the caller.
    pub(super) fn switch_to_tunnel(&self, value: Option<ReleasedOnClose>) {
        if let Some(value) = value {
            // Cannot fail: a connection switches once.
            let _ = self.released_on_close.set(value);
        }
        self.tunnel.store(true, Ordering::Release);
    }

    pub(super) fn is_tunnel(&self) -> bool {
        self.tunnel.load(Ordering::Acquire)
    }

    fn elapsed(&self) -> u64 {
        self.millis(Instant::now())
    }

    /// Returns a time in milliseconds since the start.
    fn millis(&self, now: Instant) -> u64 {
        u64::try_from(now.saturating_duration_since(self.start).as_millis()).unwrap_or(u64::MAX - 1)
    }

    /// Sets whether the connection is parked once it is idle: not after a request with a body, which the service can still
    /// read.
    pub(super) fn park_when_idle(&self, parks: bool) {
        self.parks_when_idle.store(parks, Ordering::Relaxed);
    }

    /// Records that bytes arrived. Between requests they begin a head.
    pub(super) fn received(&self) {
        if self.in_flight.load(Ordering::Relaxed) == 0 && self.head_since.load(Ordering::Relaxed) == 0 {
            self.head_since.store(self.elapsed() + 1, Ordering::Relaxed);
        }
    }

    /// Records whether a part of a head has arrived. Behind a request in flight, its time begins with the end of that
    /// request.
    pub(super) fn set_partial_head(&self, is_partial: bool) {
        self.has_partial_head.store(is_partial, Ordering::Relaxed);
    }

    /// Records whether a part of a request has arrived, or an invalid one.
    pub(super) fn set_partial_request(&self, is_partial: bool) {
        self.has_partial_request.store(is_partial, Ordering::Relaxed);
    }

    /// Returns true if an HTTP/1.1 connection has read whole requests only and none of them is in flight.
    pub(super) fn is_between_requests(&self) -> bool {
        !self.is_busy() && !self.is_tunnel() && !self.has_partial_request.load(Ordering::Relaxed)
    }

    /// Begins a request whose head is complete. None: it is limited, and [`MAX_REQUESTS`] are in flight.
    pub(super) fn begin(self: &Arc<Self>, is_limited: bool, is_grpc: bool) -> Option<InFlight> {
        let permit = if is_limited { Some(self.requests.clone().try_acquire_owned().ok()?) } else { None };
        Some(self.begin_with(permit, is_grpc))
    }

    /// Begins a limited request once fewer than [`MAX_REQUESTS`] are in flight.
    pub(super) async fn begin_when_free(self: &Arc<Self>, is_grpc: bool) -> InFlight {
        // Never closed.
        let permit = self.requests.clone().acquire_owned().await.ok();
        self.begin_with(permit, is_grpc)
    }

    fn begin_with(self: &Arc<Self>, permit: Option<OwnedSemaphorePermit>, is_grpc: bool) -> InFlight {
        if self.in_flight.fetch_add(1, Ordering::SeqCst) == 0 {
            self.busy_since.store(self.elapsed(), Ordering::Relaxed);
            // Over HTTP/2 the request begins in another task.
            if !self.is_checked.load(Ordering::SeqCst) {
                self.task.wake();
            }
        }
        self.head_since.store(0, Ordering::Relaxed);
        InFlight {
            activity: self.clone(),
            admission: None,
            permit: Mutex::new(permit),
            is_grpc,
            is_cut: AtomicBool::new(false),
        }
    }

    /// Closes the connection after its requests in flight.
    pub(super) fn finish(&self) {
        self.is_finishing.store(true, Ordering::Release);
    }

    /// Restarts the idle timeout.
    pub(super) fn restart_idle_timeout(&self) {
        self.idle_since.store(self.elapsed(), Ordering::Relaxed);
    }

    /// Sets the limits of the socket, and of streams without their own.
    pub(super) fn set_stream_limits(&self, limits: StreamLimits) {
        lock(&self.socket).clock.set_limits(limits.progress, Instant::now());
        self.stream_limits.store(limits);
    }

    /// Returns the limits of a stream without its own.
    pub(super) fn stream_limits(&self) -> StreamLimits {
        self.stream_limits.load()
    }

    /// The service waits for bytes of a request's body.
    pub(super) fn upload_owed(&self) {
        self.owed_uploads.begin(self.elapsed());
    }

    /// This number of bytes of such a body has arrived, or it is not awaited any more.
    pub(super) fn upload_arrived(&self, bytes: usize) {
        self.owed_uploads.end(bytes);
    }

    /// Records that the socket has accepted this number of bytes.
    pub(super) fn written(&self, accepted: u64) {
        if self.is_write_blocked.swap(false, Ordering::Relaxed) {
            let mut socket = lock(&self.socket);
            let now = socket.record(accepted);
            socket.clock.stop(now);
        }
    }

    /// Records that the socket accepts no bytes beyond this number.
    pub(super) fn write_blocked(&self, accepted: u64) {
        let mut socket = lock(&self.socket);
        let now = socket.record(accepted);
        socket.clock.start(now);
        self.is_write_blocked.store(true, Ordering::Relaxed);
    }

    /// Records that a layer admitted a request in flight.
    pub(super) fn admitted_begins(&self) {
        self.admitted.fetch_add(1, Ordering::Relaxed);
    }

    /// Records the end of an admitted request.
    pub(super) fn admitted_ends(&self) {
        self.admitted.fetch_sub(1, Ordering::Relaxed);
    }

    /// Records that the caller took a part of a response, or that a request ended.
    fn served(&self, now: Instant) {
        let micros = now.saturating_duration_since(self.start).as_micros();
        self.served_at.store(u64::try_from(micros).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    /// Returns true if all requests in flight have responses with unread bytes.
    fn is_unread(&self) -> bool {
        let unread = self.unread.load(Ordering::Relaxed);
        unread > 0 && unread >= self.in_flight.load(Ordering::Relaxed)
    }

    fn responses(&self) -> MutexGuard<'_, Vec<Weak<dyn Expire>>> {
        lock(&self.responses)
    }

    fn is_busy(&self) -> bool {
        self.in_flight.load(Ordering::Relaxed) > 0
            || self.is_write_blocked.load(Ordering::Relaxed)
            || self.input.is_flooded()
    }

    fn at(&self, millis: u64) -> Instant {
        self.start + Duration::from_millis(millis)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
