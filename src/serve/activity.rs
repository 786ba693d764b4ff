//! Activity of one connection, and the timeouts that close it.

mod expiry;
mod in_flight;
mod occupied;
mod owed_uploads;
mod rechecks;
mod socket_clock;

use std::{
    fmt,
    future::{Future, poll_fn},
    pin::pin,
    sync::{
        Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering, fence},
    },
    task::{Poll, ready},
    time::Duration,
};

use atomic_waker::AtomicWaker;
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{Instant, sleep_until},
};

use self::expiry::kind_of;
pub(super) use self::expiry::{Cut, Expire, Expiry};
pub(super) use self::in_flight::InFlight;
use self::owed_uploads::OwedUploads;
use self::socket_clock::SocketClock;
use super::{
    BufferBudget, ProgressLimits, ReleasedOnClose, StreamLimits, TimeoutKind, admission::RequestAdmission,
    flush::Flush, input_state::InputState, stream_limits::AtomicStreamLimits,
};

/// Maximum number of concurrent requests of an HTTP/2 connection, quiet gRPC exchanges apart. Each occupies about 110 KiB
/// while its response is not read.
const MAX_REQUESTS: usize = 20;

/// Interval at which the timeouts of a connection with a request in flight are checked, and its requests judged again.
pub(super) const BUSY_INTERVAL: Duration = Duration::from_secs(1);

/// Time for a caller to read the status with which its gRPC response was cut. With [`BUSY_INTERVAL`] it is well below the
/// two seconds within which requests are cut.
const STATUS_TIMEOUT: Duration = Duration::from_millis(500);

/// Default time for which a connection with unread responses that cannot be reset stays open after a GOAWAY.
const GO_AWAY_TIMEOUT: Duration = Duration::from_secs(60);

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

    /// Returns the next timeout if the state does not change until then.
    fn next_timeout(&self, timeouts: Timeouts) -> Option<(Instant, TimeoutKind)> {
        let is_quiet = self.in_flight.load(Ordering::Relaxed) == 0;
        let head_since = self.head_since.load(Ordering::Relaxed).checked_sub(1).filter(|_| is_quiet);
        let head = self.input.block_since().or_else(|| head_since.map(|since| self.at(since)));
        let mut idle_at = self.at(self.idle_since.load(Ordering::Relaxed)) + timeouts.idle;
        if head.is_some() {
            // A head that begins in time can be completed; incomplete frames without a request do not extend the time.
            idle_at += timeouts.head;
        }
        let head = head.map(|since| (since + timeouts.head, TimeoutKind::Head));
        let idle = is_quiet.then_some((idle_at, TimeoutKind::Idle));
        let blocked = lock(&self.socket).clock.deadline().map(|(at, lapse)| (at, kind_of(lapse)));
        let flood = self.input.flood_deadline().map(|at| (at, TimeoutKind::Flood));
        head.into_iter().chain(idle).chain(flood).chain(blocked).min_by_key(|(at, _)| *at)
    }

    /// Cuts responses whose callers exceed a limit. Returns the step that follows for the connection, which closes if it
    /// has been used for nothing else.
    fn expire_responses(&self, now: Instant, timeouts: Timeouts) -> Option<Expiry> {
        let mut open = Vec::new();
        self.responses().retain(|response| response.upgrade().map(|response| open.push(response)).is_some());
        // Before the cuts: another thread can end a cut response at once.
        let is_unread = self.is_unread();
        let cuts: Vec<Cut> = open.iter().filter_map(|response| response.expire(now)).collect();
        let first = cuts.iter().min_by_key(|cut| cut.at)?;
        let served_at = self.start + Duration::from_micros(self.served_at.load(Ordering::Relaxed));
        if served_at <= first.since && is_unread {
            return Some(Expiry::Close(kind_of(first.lapse)));
        }
        // A reset response is gone by the next check; the others cannot be reset.
        if now < first.at + BUSY_INTERVAL / 2 {
            return None;
        }
        if !self.is_going_away.swap(true, Ordering::Relaxed) {
            return Some(Expiry::GoAway);
        }
        let end = first.at + timeouts.read.stall().unwrap_or(GO_AWAY_TIMEOUT);
        (now >= end).then_some(Expiry::Close(kind_of(first.lapse)))
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

    /// Waits until a step is due on the connection.
    ///
    /// Must be polled by the connection's own task, which a beginning request wakes.
    pub(super) async fn timed_out(&self, timeouts: Timeouts) -> Expiry {
        let mut timer = pin!(sleep_until(Instant::now()));
        self.is_checked.store(false, Ordering::Relaxed);
        poll_fn(|cx| {
            self.task.register(cx.waker());
            loop {
                if !self.is_checked.load(Ordering::Relaxed) && self.is_busy() {
                    self.is_checked.store(true, Ordering::Relaxed);
                    let next = Instant::now() + BUSY_INTERVAL;
                    if next < timer.deadline() {
                        timer.as_mut().reset(next);
                    }
                }
                ready!(timer.as_mut().poll(cx));
                let (now, end) = (Instant::now(), self.next_timeout(timeouts));
                if let Some((_, kind)) = end.filter(|(at, _)| *at <= now) {
                    return Poll::Ready(Expiry::Close(kind));
                }
                let has_status_due = self.recheck();
                if let Some(expiry) = self.expire_responses(now, timeouts) {
                    return Poll::Ready(expiry);
                }
                // In this order: a request that begins meanwhile is observed here, or wakes the task.
                self.is_checked.store(false, Ordering::SeqCst);
                fence(Ordering::SeqCst);
                let is_busy = self.is_busy();
                self.is_checked.store(is_busy, Ordering::Relaxed);
                // A head that begins meanwhile times out no earlier.
                let interval = match is_busy {
                    true if has_status_due => STATUS_TIMEOUT,
                    true => BUSY_INTERVAL,
                    false => timeouts.head,
                };
                let next = end.map_or(now + interval, |(at, _)| at.min(now + interval));
                timer.as_mut().reset(next);
            }
        })
        .await
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
