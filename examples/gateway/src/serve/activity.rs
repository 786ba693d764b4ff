//! What a connection is doing, so that one that does nothing can be closed.

use std::{
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
    },
    time::Duration,
};

use tokio::time::{Instant, sleep_until};

use super::{bounds::TunnelPlace, delivery::Flush};

/// Shared by a connection's socket, its requests and its watch.
#[derive(Debug)]
pub(super) struct Activity {
    start: Instant,
    in_flight: AtomicUsize,
    /// When the last request ended, in milliseconds since the start.
    idle_since: AtomicU64,
    /// When the first byte of a request's head arrived, in milliseconds since the start, plus 1; 0: none has.
    head_since: AtomicU64,
    tunnel: AtomicBool,
    /// Of the route, as long as anything of the connection is left.
    tunnel_place: OnceLock<TunnelPlace>,
    /// The listener's: whether it drains.
    is_draining: Arc<AtomicBool>,
    /// Of its socket.
    pub(super) flush: Flush,
}

/// Why a connection should end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Overdue {
    /// No request for too long.
    Idle,
    /// A head began and did not arrive whole.
    Head,
}

/// A request that is being answered; its end is the end of this.
#[derive(Debug)]
pub(super) struct InFlight(Arc<Activity>);

impl Activity {
    pub(super) fn new(is_draining: Arc<AtomicBool>) -> Arc<Self> {
        Arc::new(Self {
            start: Instant::now(),
            in_flight: AtomicUsize::new(0),
            idle_since: AtomicU64::new(0),
            head_since: AtomicU64::new(0),
            tunnel: AtomicBool::new(false),
            tunnel_place: OnceLock::new(),
            is_draining,
            flush: Flush::default(),
        })
    }

    /// The connection changes to another protocol: what comes from now on is nobody's business but the back end's.
    ///
    /// To be called before 101 is sent to the caller, whose next bytes are no HTTP.
    pub(super) fn tunnel(&self, place: Option<TunnelPlace>) {
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

    /// A request's head is complete.
    pub(super) fn begin(self: &Arc<Self>) -> InFlight {
        self.in_flight.fetch_add(1, Ordering::Relaxed);
        self.head_since.store(0, Ordering::Relaxed);
        InFlight(self.clone())
    }

    /// Counts as idle since now at the earliest.
    pub(super) fn idle_from_now(&self) {
        self.idle_since.store(self.elapsed(), Ordering::Relaxed);
    }

    /// For how long nothing was asked; None while something is.
    pub(super) fn idle_for(&self) -> Option<Duration> {
        let is_idle = self.in_flight.load(Ordering::Relaxed) == 0;
        let since = self.idle_since.load(Ordering::Relaxed);
        is_idle.then(|| Duration::from_millis(self.elapsed().saturating_sub(since)))
    }

    /// Waits until nothing was asked for `idle`, or, if `head` is given, a head took longer than that.
    pub(super) async fn overdue(&self, idle: Duration, head: Option<Duration>) -> Overdue {
        loop {
            let since = |millis| self.start + Duration::from_millis(millis);
            let busy = self.in_flight.load(Ordering::Relaxed) > 0;
            let head_since = self.head_since.load(Ordering::Relaxed);
            let now = Instant::now();
            let (due, overdue) = match head {
                _ if busy => (now + head.unwrap_or(idle).min(idle), None),
                Some(head) if head_since > 0 => (since(head_since - 1) + head, Some(Overdue::Head)),
                _ => (since(self.idle_since.load(Ordering::Relaxed)) + idle, Some(Overdue::Idle)),
            };
            if let Some(overdue) = overdue.filter(|_| due <= now) {
                return overdue;
            }
            // A head that begins meanwhile is due no later than this.
            sleep_until(due.min(now + head.unwrap_or(idle))).await;
        }
    }
}

impl InFlight {
    /// See [`Activity::tunnel`].
    pub(super) fn tunnel(&self, place: Option<TunnelPlace>) {
        self.0.tunnel(place);
    }

    /// Whether the listener drains.
    pub(super) fn is_draining(&self) -> bool {
        self.0.is_draining.load(Ordering::Acquire)
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.idle_since.store(self.0.elapsed(), Ordering::Relaxed);
        self.0.in_flight.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const IDLE: Duration = Duration::from_secs(60);
    const HEAD: Option<Duration> = Some(Duration::from_secs(10));

    #[tokio::test(start_paused = true)]
    async fn a_connection_without_a_request_is_idle_after_the_idle_timeout() {
        let activity = Activity::new(Arc::default());
        let start = Instant::now();
        assert_eq!(activity.overdue(IDLE, HEAD).await, Overdue::Idle);
        assert_eq!(start.elapsed(), IDLE);
    }

    #[tokio::test(start_paused = true)]
    async fn a_head_that_does_not_arrive_whole_is_overdue_after_the_head_timeout() {
        let activity = Activity::new(Arc::default());
        let start = Instant::now();
        tokio::time::advance(Duration::from_secs(5)).await;
        activity.received();
        tokio::time::advance(Duration::from_secs(1)).await;
        activity.received();
        assert_eq!(activity.overdue(IDLE, HEAD).await, Overdue::Head);
        assert_eq!(start.elapsed(), Duration::from_secs(15));
    }

    #[tokio::test(start_paused = true)]
    async fn a_request_in_flight_is_neither_and_idleness_counts_from_its_end() {
        let activity = Activity::new(Arc::default());
        let start = Instant::now();
        activity.received();
        let request = activity.begin();
        let ended = async {
            tokio::time::sleep(Duration::from_secs(300)).await;
            activity.received();
            drop(request);
        };
        let (overdue, ()) = tokio::join!(activity.overdue(IDLE, HEAD), ended);
        assert_eq!(overdue, Overdue::Idle);
        let elapsed = start.elapsed();
        assert!((360..=371).contains(&elapsed.as_secs()), "{elapsed:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn idleness_can_count_from_now() {
        let activity = Activity::new(Arc::default());
        tokio::time::advance(Duration::from_secs(50)).await;
        let start = Instant::now();
        activity.idle_from_now();
        assert_eq!(activity.overdue(Duration::from_secs(1), HEAD).await, Overdue::Idle);
        assert_eq!(start.elapsed(), Duration::from_secs(1));
    }

    #[tokio::test(start_paused = true)]
    async fn http_2_has_no_head_timeout_between_requests() {
        let activity = Activity::new(Arc::default());
        activity.received();
        assert_eq!(activity.overdue(IDLE, None).await, Overdue::Idle);
    }
}
