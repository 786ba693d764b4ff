//! Timeouts that are due on a connection.

use std::{
    future::{Future, poll_fn},
    pin::pin,
    sync::atomic::{Ordering, fence},
    task::{Poll, ready},
    time::Duration,
};

use tokio::time::{Instant, sleep_until};

use super::{Activity, BUSY_INTERVAL, Timeouts, lock};
use crate::serve::{Lapse, TimeoutKind};

/// Time without a request after which an HTTP/1.1 connection releases its buffers.
const PARK_AFTER: Duration = Duration::from_millis(250);

/// Time for a caller to read the status with which its gRPC response was cut. With [`BUSY_INTERVAL`] it is well below the
/// two seconds within which requests are cut.
const STATUS_TIMEOUT: Duration = Duration::from_millis(500);

/// Default time for which a connection with unread responses that cannot be reset stays open after a GOAWAY.
const GO_AWAY_TIMEOUT: Duration = Duration::from_secs(60);

/// Response that is cut if its caller does not read it.
pub(in crate::serve) trait Expire: Send + Sync {
    /// Cuts the response if its caller exceeds a limit. Returns the cut, also an earlier one.
    fn expire(&self, now: Instant) -> Option<Cut>;
}

/// End of a response that was not read.
#[derive(Debug, Clone, Copy)]
pub(in crate::serve) struct Cut {
    pub(in crate::serve) lapse: Lapse,
    /// Time from which the response had unread bytes.
    pub(in crate::serve) since: Instant,
    pub(in crate::serve) at: Instant,
}

/// Step that is due on a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::serve) enum Expiry {
    Close(TimeoutKind),
    /// Responses that cannot be reset are unread: the connection ends with the others.
    GoAway,
    /// An HTTP/1.1 connection is idle: its buffers are released.
    Park,
}

/// Timeout of a connection by what its caller exceeded.
pub(super) fn kind_of(lapse: Lapse) -> TimeoutKind {
    match lapse {
        Lapse::Stall => TimeoutKind::Unread,
        Lapse::Rate => TimeoutKind::Rate,
    }
}

impl Activity {
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

    /// Waits until a step is due on the connection.
    ///
    /// Must be polled by the connection's own task, which a beginning request wakes.
    pub(in crate::serve) async fn timed_out(&self, timeouts: Timeouts) -> Expiry {
        let mut timer = pin!(sleep_until(Instant::now()));
        self.is_checked.store(false, Ordering::Relaxed);
        poll_fn(|cx| {
            self.task.register(cx.waker());
            loop {
                if !self.is_checked.load(Ordering::Relaxed) && self.is_busy() {
                    self.is_checked.store(true, Ordering::Relaxed);
                    // Most requests end before.
                    let is_parked_soon = self.parks_when_idle.load(Ordering::Relaxed);
                    let next = Instant::now() + if is_parked_soon { PARK_AFTER } else { BUSY_INTERVAL };
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
                let mut next = end.map_or(now + interval, |(at, _)| at.min(now + interval));
                if !is_busy && self.parks_when_idle.load(Ordering::Relaxed) {
                    let park_at = self.at(self.idle_since.load(Ordering::Relaxed)) + PARK_AFTER;
                    if park_at <= now {
                        self.parks_when_idle.store(false, Ordering::Relaxed);
                        return Poll::Ready(Expiry::Park);
                    }
                    next = next.min(park_at);
                }
                timer.as_mut().reset(next);
            }
        })
        .await
    }
}
