//! Occupancy of a connection, for the admission of others.

use std::{sync::atomic::Ordering, time::Duration};

use super::Activity;
use crate::acceptor::{Occupancy, Occupied};

/// Time after the end of a request within which its response is flushed.
const ENDING: Duration = Duration::from_millis(100);

impl Occupied for Activity {
    fn occupancy(&self) -> Occupancy {
        if self.is_tunnel() {
            return Occupancy::Tunnel;
        }
        let for_since = |since: u64| Duration::from_millis(self.elapsed().saturating_sub(since));
        let in_flight = self.in_flight.load(Ordering::Relaxed);
        if in_flight == 0 {
            let idle_since = self.idle_since.load(Ordering::Relaxed);
            let idle = for_since(idle_since);
            return if idle_since > 0 && idle < ENDING { Occupancy::Ending } else { Occupancy::Idle(idle) };
        }
        let is_admitted = self.admitted.load(Ordering::Relaxed) > 0;
        let unread = self.unread.load(Ordering::Relaxed);
        let (owed, owed_since) = self.owed_uploads.state();
        if unread + owed >= in_flight {
            let unread_since = (unread > 0).then(|| self.unread_since.load(Ordering::Relaxed));
            let since = unread_since.into_iter().chain(owed_since.filter(|_| owed > 0)).max();
            let since = for_since(since.unwrap_or_else(|| self.elapsed()));
            return Occupancy::Stalled { since, is_admitted };
        }
        Occupancy::Busy { since: for_since(self.busy_since.load(Ordering::Relaxed)), is_admitted }
    }
}
