//! The state of a connection, and the watch that ends a connection without progress.

use std::{
    fmt,
    future::{Future, poll_fn},
    pin::pin,
    sync::{
        Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
    },
    task::{Poll, ready},
    time::Duration,
};

use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{Instant, sleep_until},
};

use super::{bounds::TunnelPermit, delivery::Expire, flush::Flush};

/// Limited requests of a connection at a time. A request to an HTTP/1.1 upstream holds about 110 KiB of buffers.
const REQUESTS: usize = 64;

/// Interval at which a connection with a request in flight is checked.
const BUSY_INTERVAL: Duration = Duration::from_secs(1);

/// Minimum time with unread responses after which a connection counts as idle.
const STALLED: Duration = Duration::from_millis(100);

/// No limit, in milliseconds.
const UNLIMITED: u64 = u64::MAX;

/// Timeouts of a connection.
#[derive(Debug, Clone, Copy)]
pub(super) struct Timeouts {
    /// Without a request.
    pub(super) idle: Duration,
    /// From the first byte of a request's head to its last. None over HTTP/2.
    pub(super) head: Option<Duration>,
    /// Without progress of a response. None: unlimited. Routes may have another one.
    pub(super) body: Option<Duration>,
}

/// Shared by a connection's socket, its requests and its watch.
pub(super) struct Activity {
    start: Instant,
    in_flight: AtomicUsize,
    requests: Arc<Semaphore>,
    /// When the last request ended, in milliseconds since the start.
    idle_since: AtomicU64,
    /// When the first byte of a request's head arrived, in milliseconds since the start, plus 1; 0: none has.
    head_since: AtomicU64,
    responses: Mutex<Vec<Weak<dyn Expire>>>,
    /// Responses with bytes that the caller has not taken.
    unread: AtomicUsize,
    /// When the first of them became unread, in milliseconds since the start.
    unread_since: AtomicU64,
    /// When a connection whose responses are all unread is stalled, in milliseconds since the start.
    stalled_at: AtomicU64,
    /// When the socket stopped taking bytes, in milliseconds since the start, plus 1; 0: it takes them.
    write_blocked_since: AtomicU64,
    /// The listener's timeout of unread responses, in milliseconds.
    unread_limit: AtomicU64,
    tunnel: AtomicBool,
    /// Of the route, as long as anything of the connection is left.
    tunnel_place: OnceLock<TunnelPermit>,
    /// The listener's: whether it drains.
    is_draining: Arc<AtomicBool>,
    /// The next complete flush of its socket.
    pub(super) flush: Flush,
}

/// Why a connection should end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TimeoutKind {
    /// No request for too long.
    Idle,
    /// A head began and did not arrive whole.
    Head,
    /// The caller takes nothing of its responses.
    Unread,
}

impl TimeoutKind {
    /// Value of the metric's label.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Idle => "idle",
            Self::Head => "head",
            Self::Unread => "unread",
        }
    }
}

/// A request that is being answered; its end is the end of this.
pub(super) struct InFlight(
    Arc<Activity>,
    #[expect(dead_code, reason = "held, not read")] Option<OwnedSemaphorePermit>,
);

impl fmt::Debug for InFlight {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("InFlight")
    }
}

impl fmt::Debug for Activity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Activity").field("in_flight", &self.in_flight).finish_non_exhaustive()
    }
}

impl Activity {
    pub(super) fn new(is_draining: Arc<AtomicBool>) -> Arc<Self> {
        Arc::new(Self {
            start: Instant::now(),
            in_flight: AtomicUsize::new(0),
            requests: Arc::new(Semaphore::new(REQUESTS)),
            idle_since: AtomicU64::new(0),
            head_since: AtomicU64::new(0),
            responses: Mutex::default(),
            unread: AtomicUsize::new(0),
            unread_since: AtomicU64::new(0),
            stalled_at: AtomicU64::new(0),
            write_blocked_since: AtomicU64::new(0),
            unread_limit: AtomicU64::new(UNLIMITED),
            tunnel: AtomicBool::new(false),
            tunnel_place: OnceLock::new(),
            is_draining,
            flush: Flush::default(),
        })
    }

    /// The connection changes to another protocol: what comes from now on is nobody's business but the upstream's.
    ///
    /// To be called before 101 is sent to the caller, whose next bytes are no HTTP.
    pub(super) fn tunnel(&self, place: Option<TunnelPermit>) {
        if let Some(place) = place {
            // A connection switches once.
            let _ = self.tunnel_place.set(place);
        }
        self.tunnel.store(true, Ordering::Release);
    }

    pub(super) fn is_tunnel(&self) -> bool {
        self.tunnel.load(Ordering::Acquire)
    }

    fn elapsed(&self) -> u64 {
        u64::try_from(self.start.elapsed().as_millis()).unwrap_or(u64::MAX - 1)
    }

    /// Bytes arrived: outside of a request they begin one.
    pub(super) fn received(&self) {
        if self.in_flight.load(Ordering::Relaxed) == 0 && self.head_since.load(Ordering::Relaxed) == 0 {
            self.head_since.store(self.elapsed() + 1, Ordering::Relaxed);
        }
    }

    /// A request's head is complete. None: it is limited, and there are [`REQUESTS`] already.
    pub(super) fn begin(self: &Arc<Self>, is_limited: bool) -> Option<InFlight> {
        let place = if is_limited { Some(self.requests.clone().try_acquire_owned().ok()?) } else { None };
        Some(self.begin_with(place))
    }

    /// Waits until a limited request can begin.
    pub(super) async fn begin_later(self: &Arc<Self>) -> InFlight {
        // Never closed.
        let place = self.requests.clone().acquire_owned().await.ok();
        self.begin_with(place)
    }

    fn begin_with(self: &Arc<Self>, place: Option<OwnedSemaphorePermit>) -> InFlight {
        let responses = self.responses();
        if self.in_flight.fetch_add(1, Ordering::Relaxed) == 0 {
            // Timeouts of earlier responses do not apply to this one.
            self.stalled_at.store(0, Ordering::Relaxed);
        }
        drop(responses);
        self.head_since.store(0, Ordering::Relaxed);
        InFlight(self.clone(), place)
    }

    /// Counts as idle since now at the earliest.
    pub(super) fn idle_from_now(&self) {
        self.idle_since.store(self.elapsed(), Ordering::Relaxed);
    }

    /// Sets the timeout of unread responses for those whose route does not state one. None: unlimited.
    pub(super) fn limit_unread(&self, timeout: Option<Duration>) {
        self.unread_limit.store(millis(timeout), Ordering::Relaxed);
    }

    /// The socket has taken bytes, or has none left to take.
    pub(super) fn written(&self) {
        if self.write_blocked_since.load(Ordering::Relaxed) != 0 {
            self.write_blocked_since.store(0, Ordering::Relaxed);
        }
    }

    /// The socket takes no more bytes.
    pub(super) fn write_blocked(&self) {
        if self.write_blocked_since.load(Ordering::Relaxed) == 0 {
            self.write_blocked_since.store(self.elapsed() + 1, Ordering::Relaxed);
        }
    }

    /// Time without a request, or with unread responses only; None while there is another request. Progress does not
    /// count: a caller that takes a byte now and then must not keep its place when places run short.
    pub(super) fn idle_for(&self) -> Option<Duration> {
        let for_since = |since: u64| Duration::from_millis(self.elapsed().saturating_sub(since));
        if self.in_flight.load(Ordering::Relaxed) == 0 {
            return Some(for_since(self.idle_since.load(Ordering::Relaxed)));
        }
        let stalled = self.is_unread().then(|| for_since(self.unread_since.load(Ordering::Relaxed)));
        stalled.filter(|stalled| *stalled >= STALLED)
    }

    /// Whether each request in flight has a response with unread bytes.
    fn is_unread(&self) -> bool {
        let unread = self.unread.load(Ordering::Relaxed);
        unread > 0 && unread >= self.in_flight.load(Ordering::Relaxed)
    }

    /// The end of a connection whose caller takes nothing, unless it takes something before.
    fn unread_until(&self, body: Option<Duration>) -> Option<Instant> {
        let stalled_at = self.stalled_at.load(Ordering::Relaxed);
        let responses = (self.is_unread() && stalled_at != UNLIMITED).then(|| self.at(stalled_at));
        let blocked_since = self.write_blocked_since.load(Ordering::Relaxed);
        let socket = body.filter(|_| blocked_since > 0).map(|body| self.at(blocked_since - 1) + body);
        responses.into_iter().chain(socket).min()
    }

    /// The next end of the connection if its state does not change.
    fn ends(&self, timeouts: Timeouts) -> Option<(Instant, TimeoutKind)> {
        let head_since = self.head_since.load(Ordering::Relaxed);
        let quiet = match timeouts.head {
            _ if self.in_flight.load(Ordering::Relaxed) > 0 => None,
            Some(head) if head_since > 0 => Some((self.at(head_since - 1) + head, TimeoutKind::Head)),
            _ => Some((self.at(self.idle_since.load(Ordering::Relaxed)) + timeouts.idle, TimeoutKind::Idle)),
        };
        let unread = self.unread_until(timeouts.body).map(|at| (at, TimeoutKind::Unread));
        quiet.into_iter().chain(unread).min_by_key(|(at, _)| *at)
    }

    /// Drops the responses that are not read, and forgets those that have ended.
    fn expire_responses(&self) {
        let (now, mut open) = (self.elapsed(), Vec::new());
        self.responses().retain(|response| response.upgrade().map(|response| open.push(response)).is_some());
        for response in open {
            response.expire(now);
        }
    }

    fn responses(&self) -> MutexGuard<'_, Vec<Weak<dyn Expire>>> {
        self.responses.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_busy(&self) -> bool {
        self.in_flight.load(Ordering::Relaxed) > 0 || self.write_blocked_since.load(Ordering::Relaxed) > 0
    }

    fn at(&self, millis: u64) -> Instant {
        self.start + Duration::from_millis(millis)
    }

    /// Waits for the end of a timeout.
    ///
    /// To be polled by the connection's own task: each poll sees whether a request began.
    pub(super) async fn overdue(&self, timeouts: Timeouts) -> TimeoutKind {
        let mut timer = pin!(sleep_until(Instant::now()));
        let mut is_frequent = false;
        poll_fn(|cx| {
            loop {
                if !is_frequent && self.is_busy() {
                    is_frequent = true;
                    let next = Instant::now() + BUSY_INTERVAL;
                    if next < timer.deadline() {
                        timer.as_mut().reset(next);
                    }
                }
                ready!(timer.as_mut().poll(cx));
                let (now, ends) = (Instant::now(), self.ends(timeouts));
                if let Some((_, overdue)) = ends.filter(|(at, _)| *at <= now) {
                    return Poll::Ready(overdue);
                }
                self.expire_responses();
                is_frequent = self.is_busy();
                // A head that begins meanwhile is due no later than this.
                let most = if is_frequent { BUSY_INTERVAL } else { timeouts.head.unwrap_or(timeouts.idle) };
                let next = ends.map_or(now + most, |(at, _)| at.min(now + most));
                timer.as_mut().reset(next);
            }
        })
        .await
    }
}

impl InFlight {
    /// See [`Activity::tunnel`].
    pub(super) fn tunnel(&self, place: Option<TunnelPermit>) {
        self.0.tunnel(place);
    }

    /// Requests in flight on the connection.
    pub(super) fn on_connection(&self) -> usize {
        self.0.in_flight.load(Ordering::Relaxed)
    }

    /// The listener's timeout of unread responses. None: unlimited.
    pub(super) fn unread_limit(&self) -> Option<Duration> {
        let limit = self.0.unread_limit.load(Ordering::Relaxed);
        (limit != UNLIMITED).then(|| Duration::from_millis(limit))
    }

    /// The connection's socket.
    pub(super) fn socket_flush(&self) -> &Flush {
        &self.0.flush
    }

    /// This response is to be dropped if its caller does not read it.
    pub(super) fn responds(&self, response: &Arc<dyn Expire>) {
        let mut responses = self.0.responses();
        // Bounds the list by the responses that are open.
        if responses.len() == responses.capacity() {
            responses.retain(|response| response.strong_count() > 0);
        }
        responses.push(Arc::downgrade(response));
    }

    /// The response has unread bytes.
    pub(super) fn unread_begins(&self) {
        if self.0.unread.fetch_add(1, Ordering::Relaxed) == 0 {
            self.0.unread_since.store(self.0.elapsed(), Ordering::Relaxed);
        }
    }

    /// The response has no unread bytes any more.
    pub(super) fn unread_ends(&self) {
        self.0.unread.fetch_sub(1, Ordering::Relaxed);
    }

    /// The caller took bytes of the response, or more are ready; `timeout` is how long none may be taken from now on.
    /// Returns its end, in milliseconds since the start of the connection.
    pub(super) fn unread_progress(&self, timeout: Option<Duration>) -> u64 {
        let now = self.0.elapsed();
        let end = now.saturating_add(millis(timeout));
        self.0.stalled_at.fetch_max(end, Ordering::Relaxed);
        end
    }

    /// Whether the listener drains.
    pub(super) fn is_draining(&self) -> bool {
        self.0.is_draining.load(Ordering::Acquire)
    }
}

/// None: unlimited.
fn millis(timeout: Option<Duration>) -> u64 {
    timeout.map_or(UNLIMITED, |timeout| u64::try_from(timeout.as_millis()).unwrap_or(UNLIMITED))
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.idle_since.store(self.0.elapsed(), Ordering::Relaxed);
        self.0.in_flight.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests;
