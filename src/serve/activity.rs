//! Activity of one connection, and the timeouts that close it.

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

use http::Extensions;

use super::{ReleasedOnClose, TimeoutKind, admission::RequestAdmission, flush::Flush};
use crate::{
    acceptor::{ConnectionState, Occupancy, Occupied},
    request::captured::observe_admission,
};

/// Maximum number of concurrent limited requests of a connection. A request to an HTTP/1.1 upstream buffers about
/// 110 KiB.
const MAX_REQUESTS: usize = 64;

/// Interval at which the timeouts of a connection with a request in flight are checked.
const BUSY_INTERVAL: Duration = Duration::from_secs(1);

/// No limit, in milliseconds.
const UNLIMITED: u64 = u64::MAX;

/// Timeouts of a connection.
#[derive(Debug, Clone, Copy)]
pub(super) struct Timeouts {
    /// Without a request.
    pub(super) idle: Duration,
    /// From the first to the last byte of a request's head. None over HTTP/2.
    pub(super) head: Option<Duration>,
    /// Without progress of a response. None: unlimited. A route can override it.
    pub(super) body: Option<Duration>,
}

/// State shared by the socket, the requests and the timeouts of a connection.
pub(super) struct Activity {
    start: Instant,
    in_flight: AtomicUsize,
    /// Number of requests in flight that a layer admitted.
    admitted: AtomicUsize,
    requests: Arc<Semaphore>,
    /// End of the last request, in milliseconds since the start.
    idle_since: AtomicU64,
    /// Arrival of the first byte of a request's head, in milliseconds since the start, plus 1. 0: no head has begun.
    head_since: AtomicU64,
    responses: Mutex<Vec<Weak<dyn Expire>>>,
    /// Number of responses with unread bytes.
    unread: AtomicUsize,
    /// Time at which the first of them became unread, in milliseconds since the start.
    unread_since: AtomicU64,
    /// End of a connection whose responses are all unread, in milliseconds since the start.
    stalled_at: AtomicU64,
    /// Time at which the socket stopped accepting bytes, in milliseconds since the start, plus 1. 0: it accepts them.
    write_blocked_since: AtomicU64,
    /// The listener's timeout of unread responses, in milliseconds.
    unread_limit: AtomicU64,
    tunnel: AtomicBool,
    /// Value of the response that switched protocols, released with the connection.
    released_on_close: OnceLock<ReleasedOnClose>,
    /// True while the listener drains.
    is_draining: Arc<AtomicBool>,
    /// The next complete flush of the socket.
    pub(super) flush: Flush,
}

/// Response that is dropped at its timeout.
pub(super) trait Expire: Send + Sync {
    /// Drops the body if the caller has read nothing until its timeout. `now` is in milliseconds since the start of the
    /// connection.
    fn expire(&self, now: u64);
}

/// A request in flight; it ends when this is dropped.
pub(super) struct InFlight {
    activity: Arc<Activity>,
    admission: Option<Arc<RequestAdmission>>,
    /// Released on drop.
    _permit: Option<OwnedSemaphorePermit>,
}

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
            admitted: AtomicUsize::new(0),
            requests: Arc::new(Semaphore::new(MAX_REQUESTS)),
            idle_since: AtomicU64::new(0),
            head_since: AtomicU64::new(0),
            responses: Mutex::default(),
            unread: AtomicUsize::new(0),
            unread_since: AtomicU64::new(0),
            stalled_at: AtomicU64::new(0),
            write_blocked_since: AtomicU64::new(0),
            unread_limit: AtomicU64::new(UNLIMITED),
            tunnel: AtomicBool::new(false),
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
        u64::try_from(self.start.elapsed().as_millis()).unwrap_or(u64::MAX - 1)
    }

    /// Records that bytes arrived. Between requests they begin a head.
    pub(super) fn received(&self) {
        if self.in_flight.load(Ordering::Relaxed) == 0 && self.head_since.load(Ordering::Relaxed) == 0 {
            self.head_since.store(self.elapsed() + 1, Ordering::Relaxed);
        }
    }

    /// Begins a request whose head is complete. None: it is limited, and [`MAX_REQUESTS`] are in flight.
    pub(super) fn begin(self: &Arc<Self>, is_limited: bool) -> Option<InFlight> {
        let permit = if is_limited { Some(self.requests.clone().try_acquire_owned().ok()?) } else { None };
        Some(self.begin_with(permit))
    }

    /// Begins a limited request once fewer than [`MAX_REQUESTS`] are in flight.
    pub(super) async fn begin_when_free(self: &Arc<Self>) -> InFlight {
        // Never closed.
        let permit = self.requests.clone().acquire_owned().await.ok();
        self.begin_with(permit)
    }

    fn begin_with(self: &Arc<Self>, permit: Option<OwnedSemaphorePermit>) -> InFlight {
        let responses = self.responses();
        if self.in_flight.fetch_add(1, Ordering::Relaxed) == 0 {
            // Timeouts of earlier responses do not apply to this one.
            self.stalled_at.store(0, Ordering::Relaxed);
        }
        drop(responses);
        self.head_since.store(0, Ordering::Relaxed);
        InFlight { activity: self.clone(), admission: None, _permit: permit }
    }

    /// Restarts the idle timeout.
    pub(super) fn restart_idle_timeout(&self) {
        self.idle_since.store(self.elapsed(), Ordering::Relaxed);
    }

    /// Sets the timeout of unread responses whose route does not set one. None: unlimited.
    pub(super) fn limit_unread(&self, timeout: Option<Duration>) {
        self.unread_limit.store(millis(timeout), Ordering::Relaxed);
    }

    /// Records that the socket accepted bytes.
    pub(super) fn written(&self) {
        if self.write_blocked_since.load(Ordering::Relaxed) != 0 {
            self.write_blocked_since.store(0, Ordering::Relaxed);
        }
    }

    /// Records that the socket does not accept bytes.
    pub(super) fn write_blocked(&self) {
        if self.write_blocked_since.load(Ordering::Relaxed) == 0 {
            self.write_blocked_since.store(self.elapsed() + 1, Ordering::Relaxed);
        }
    }

    /// Records that a layer admitted a request in flight.
    pub(super) fn admitted_begins(&self) {
        self.admitted.fetch_add(1, Ordering::Relaxed);
    }

    /// Records the end of an admitted request.
    pub(super) fn admitted_ends(&self) {
        self.admitted.fetch_sub(1, Ordering::Relaxed);
    }

    /// Returns true if all requests in flight have responses with unread bytes.
    fn is_unread(&self) -> bool {
        let unread = self.unread.load(Ordering::Relaxed);
        unread > 0 && unread >= self.in_flight.load(Ordering::Relaxed)
    }

    /// Returns the end of a connection whose caller reads nothing until then.
    fn unread_until(&self, body: Option<Duration>) -> Option<Instant> {
        let stalled_at = self.stalled_at.load(Ordering::Relaxed);
        let responses = (self.is_unread() && stalled_at != UNLIMITED).then(|| self.at(stalled_at));
        let blocked_since = self.write_blocked_since.load(Ordering::Relaxed);
        let socket = body.filter(|_| blocked_since > 0).map(|body| self.at(blocked_since - 1) + body);
        responses.into_iter().chain(socket).min()
    }

    /// Returns the next timeout if the state does not change until then.
    fn next_timeout(&self, timeouts: Timeouts) -> Option<(Instant, TimeoutKind)> {
        let head_since = self.head_since.load(Ordering::Relaxed);
        let quiet = match timeouts.head {
            _ if self.in_flight.load(Ordering::Relaxed) > 0 => None,
            Some(head) if head_since > 0 => Some((self.at(head_since - 1) + head, TimeoutKind::Head)),
            _ => Some((self.at(self.idle_since.load(Ordering::Relaxed)) + timeouts.idle, TimeoutKind::Idle)),
        };
        let unread = self.unread_until(timeouts.body).map(|at| (at, TimeoutKind::Unread));
        quiet.into_iter().chain(unread).min_by_key(|(at, _)| *at)
    }

    /// Drops unread responses after their timeout, and removes completed ones from the list.
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

    /// Waits until the connection times out.
    ///
    /// Must be polled by the connection's own task: each poll observes whether a request began.
    pub(super) async fn timed_out(&self, timeouts: Timeouts) -> TimeoutKind {
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
                let (now, end) = (Instant::now(), self.next_timeout(timeouts));
                if let Some((_, kind)) = end.filter(|(at, _)| *at <= now) {
                    return Poll::Ready(kind);
                }
                self.expire_responses();
                is_frequent = self.is_busy();
                // A head that begins meanwhile times out no earlier.
                let interval =
                    if is_frequent { BUSY_INTERVAL } else { timeouts.head.unwrap_or(timeouts.idle) };
                let next = end.map_or(now + interval, |(at, _)| at.min(now + interval));
                timer.as_mut().reset(next);
            }
        })
        .await
    }
}

impl Occupied for Activity {
    /// Progress of unread responses does not count: a caller that reads a byte now and then must not keep its
    /// connection when connections are scarce.
    fn occupancy(&self) -> Occupancy {
        let for_since = |since: u64| Duration::from_millis(self.elapsed().saturating_sub(since));
        if self.in_flight.load(Ordering::Relaxed) == 0 {
            return Occupancy::Idle(for_since(self.idle_since.load(Ordering::Relaxed)));
        }
        if self.is_unread() {
            return Occupancy::Stalled(for_since(self.unread_since.load(Ordering::Relaxed)));
        }
        Occupancy::Busy { is_admitted: self.admitted.load(Ordering::Relaxed) > 0 }
    }
}

impl InFlight {
    /// Observes the admission of the request, which ends with it.
    pub(super) fn observe_admission(
        &mut self,
        extensions: &mut Extensions,
        connection: &Arc<ConnectionState>,
    ) {
        let admission = RequestAdmission::new(self.activity.clone(), connection.clone());
        self.admission = Some(admission.clone());
        observe_admission(extensions, admission);
    }

    /// See [`Activity::switch_to_tunnel`].
    pub(super) fn switch_to_tunnel(&self, value: Option<ReleasedOnClose>) {
        self.activity.switch_to_tunnel(value);
    }

    /// Returns the number of requests in flight on the connection.
    pub(super) fn on_connection(&self) -> usize {
        self.activity.in_flight.load(Ordering::Relaxed)
    }

    /// Returns the listener's timeout of unread responses. None: unlimited.
    pub(super) fn unread_limit(&self) -> Option<Duration> {
        let limit = self.activity.unread_limit.load(Ordering::Relaxed);
        (limit != UNLIMITED).then(|| Duration::from_millis(limit))
    }

    /// Returns the flush of the connection's socket.
    pub(super) fn socket_flush(&self) -> &Flush {
        &self.activity.flush
    }

    /// Registers a response, which expires if the caller does not read it.
    pub(super) fn register_response(&self, response: &Arc<dyn Expire>) {
        let mut responses = self.activity.responses();
        // Bounds the list by the number of open responses.
        if responses.len() == responses.capacity() {
            responses.retain(|response| response.strong_count() > 0);
        }
        responses.push(Arc::downgrade(response));
    }

    /// Records that a response has unread bytes.
    pub(super) fn unread_begins(&self) {
        if self.activity.unread.fetch_add(1, Ordering::Relaxed) == 0 {
            self.activity.unread_since.store(self.activity.elapsed(), Ordering::Relaxed);
        }
    }

    /// Records that a response has no more unread bytes.
    pub(super) fn unread_ends(&self) {
        self.activity.unread.fetch_sub(1, Ordering::Relaxed);
    }

    /// Records progress of a response: bytes were read, or more are ready. `timeout` is the maximum time without
    /// further progress. Returns its end, in milliseconds since the start of the connection.
    pub(super) fn unread_progress(&self, timeout: Option<Duration>) -> u64 {
        let now = self.activity.elapsed();
        let end = now.saturating_add(millis(timeout));
        self.activity.stalled_at.fetch_max(end, Ordering::Relaxed);
        end
    }

    /// Returns true if the listener drains.
    pub(super) fn is_draining(&self) -> bool {
        self.activity.is_draining.load(Ordering::Acquire)
    }
}

/// Converts a timeout to milliseconds. None: unlimited.
fn millis(timeout: Option<Duration>) -> u64 {
    timeout.map_or(UNLIMITED, |timeout| u64::try_from(timeout.as_millis()).unwrap_or(UNLIMITED))
}

impl Drop for InFlight {
    fn drop(&mut self) {
        if let Some(admission) = &self.admission {
            admission.end();
        }
        self.activity.idle_since.store(self.activity.elapsed(), Ordering::Relaxed);
        self.activity.in_flight.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests;
