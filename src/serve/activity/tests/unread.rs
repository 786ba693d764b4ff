//! Responses that their callers do not read.

use super::{super::owed_uploads::PROGRESS, *};
use crate::{
    acceptor::{Occupancy, Occupied},
    serve::{ProgressClock, TimeoutKind},
};

/// Response of which nothing is read.
struct UnreadResponse {
    in_flight: InFlight,
    since: Instant,
    clock: Mutex<ProgressClock>,
    cut: Mutex<Option<Cut>>,
}

impl UnreadResponse {
    fn begin(activity: &Arc<Activity>, limits: ProgressLimits) -> Arc<Self> {
        let in_flight = activity.begin(false, false).unwrap();
        in_flight.unread_begins(Instant::now());
        let mut clock = ProgressClock::new(limits);
        let since = Instant::now();
        clock.start(since);
        let response = Arc::new(Self { in_flight, since, clock: Mutex::new(clock), cut: Mutex::default() });
        let expiring: Arc<dyn Expire> = response.clone();
        response.in_flight.register_response(&expiring);
        response
    }

    fn stalled(activity: &Arc<Activity>) -> Arc<Self> {
        Self::begin(activity, ProgressLimits::new(Some(BODY), 0))
    }

    fn read(&self) {
        let now = Instant::now();
        self.in_flight.taken(PROGRESS, now);
        lock(&self.clock).record(PROGRESS, now);
    }
}

impl Expire for UnreadResponse {
    fn expire(&self, now: Instant) -> Option<Cut> {
        let mut cut = lock(&self.cut);
        if cut.is_none() {
            let clock = lock(&self.clock);
            *cut = clock.lapse(now).map(|lapse| {
                self.in_flight.cut();
                Cut { lapse, since: clock.silent_since().unwrap_or(self.since), at: now }
            });
        }
        *cut
    }
}

/// Unread response that ends as soon as it is cut.
struct EndsWhenCut(Mutex<Option<Arc<UnreadResponse>>>);

impl Expire for EndsWhenCut {
    fn expire(&self, now: Instant) -> Option<Cut> {
        let mut response = lock(&self.0);
        let cut = response.as_ref()?.expire(now)?;
        response.as_ref()?.in_flight.unread_ends();
        *response = None;
        Some(cut)
    }
}

/// Returns the step and its time in seconds, between checks rounded down.
async fn expiry(activity: &Activity, timeouts: Timeouts, start: Instant) -> (Expiry, u64) {
    (activity.timed_out(timeouts).await, start.elapsed().as_secs())
}

#[tokio::test(start_paused = true)]
async fn connection_closes_once_all_its_responses_are_cut() {
    let activity = new_activity();
    let start = Instant::now();
    let responses = async {
        tokio::time::sleep(Duration::from_secs(5)).await;
        let [first, second] = [(); 2].map(|()| UnreadResponse::stalled(&activity));
        tokio::time::sleep(Duration::from_millis(29_800)).await;
        first.read();
        // Reset at its timeout, although the first makes progress.
        tokio::time::sleep(Duration::from_millis(600)).await;
        assert!(lock(&second.cut).is_some());
        drop(second);
        first
    };
    let (expiry, _responses) = tokio::join!(activity.timed_out(timeouts()), responses);
    assert_eq!(expiry, close(TimeoutKind::Unread));
    assert!((64..=66).contains(&start.elapsed().as_secs()), "{:?}", start.elapsed());
}

#[tokio::test(start_paused = true)]
async fn connection_closes_as_unread_if_its_response_ends_as_soon_as_it_is_cut() {
    let activity = new_activity();
    let response = UnreadResponse::stalled(&activity);
    // Not registered as such.
    activity.responses().clear();
    let ends: Arc<dyn Expire> = Arc::new(EndsWhenCut(Mutex::new(Some(response))));
    activity.responses().push(Arc::downgrade(&ends));
    let (expiry, at) = expiry(&activity, timeouts(), Instant::now()).await;
    assert_eq!(expiry, close(TimeoutKind::Unread));
    assert!((30..=31).contains(&at), "{at}");
}

#[tokio::test(start_paused = true)]
async fn response_that_cannot_be_reset_gets_its_connection_go_away_and_then_an_end() {
    let activity = new_activity();
    let start = Instant::now();
    let _served = activity.begin(false, false).unwrap();
    let _stuck = UnreadResponse::stalled(&activity);
    let (step, at) = expiry(&activity, timeouts(), start).await;
    assert_eq!(step, Expiry::GoAway);
    assert!((31..=32).contains(&at), "{at}");
    let (step, at) = expiry(&activity, timeouts(), start).await;
    assert_eq!(step, close(TimeoutKind::Unread));
    assert!((60..=62).contains(&at), "{at}");
}

#[tokio::test(start_paused = true)]
async fn unread_response_does_not_close_a_connection_that_has_served_others_meanwhile() {
    let activity = new_activity();
    let unread = UnreadResponse::stalled(&activity);
    let others = async {
        tokio::time::sleep(Duration::from_secs(10)).await;
        drop(activity.begin(false, false).unwrap());
        tokio::time::sleep(BODY).await;
        assert!(lock(&unread.cut).is_some());
        unread.in_flight.unread_ends();
        drop(unread);
        Instant::now()
    };
    let (step, end) = tokio::join!(activity.timed_out(timeouts()), others);
    assert_eq!(step, Expiry::GoAway, "it was not reset");
    let step = activity.timed_out(timeouts()).await;
    assert_eq!((step, end.elapsed()), (close(TimeoutKind::Idle), IDLE));
}

#[tokio::test(start_paused = true)]
async fn connection_with_unread_responses_only_is_stalled() {
    let activity = new_activity();
    let unread = UnreadResponse::stalled(&activity);
    assert_eq!(activity.occupancy(), Occupancy::Stalled { since: Duration::ZERO, is_admitted: false });
    let request = activity.begin(false, false).unwrap();
    tokio::time::advance(Duration::from_secs(20)).await;
    assert!(matches!(activity.occupancy(), Occupancy::Busy { is_admitted: false, .. }));
    drop(request);
    unread.read();
    assert_eq!(
        activity.occupancy(),
        Occupancy::Stalled { since: Duration::from_secs(20), is_admitted: false },
        "progress"
    );
    unread.in_flight.unread_ends();
    drop(unread);
    assert_eq!(activity.occupancy(), Occupancy::Ending);
    tokio::time::advance(Duration::from_secs(1)).await;
    assert_eq!(activity.occupancy(), Occupancy::Idle(Duration::from_secs(1)));
}

#[tokio::test(start_paused = true)]
async fn reset_response_does_not_end_its_connection() {
    let activity = new_activity();
    let served = activity.begin(false, false).unwrap();
    let unread = UnreadResponse::stalled(&activity);
    let resetting = async {
        tokio::time::sleep(BODY + Duration::from_millis(100)).await;
        assert!(lock(&unread.cut).is_some());
        unread.in_flight.unread_ends();
        drop(unread);
        tokio::time::sleep(Duration::from_secs(300)).await;
        drop(served);
    };
    let start = Instant::now();
    let (step, ()) = tokio::join!(activity.timed_out(timeouts()), resetting);
    assert_eq!(step, close(TimeoutKind::Idle));
    assert!((390..=393).contains(&start.elapsed().as_secs()), "{:?}", start.elapsed());
}

#[tokio::test(start_paused = true)]
async fn unread_responses_use_limits_of_their_route() {
    for (limits, expected) in [
        (ProgressLimits::new(Some(Duration::from_secs(5)), 0), (close(TimeoutKind::Unread), 5)),
        (ProgressLimits::new(Some(Duration::from_secs(300)), 0), (close(TimeoutKind::Unread), 300)),
        (ProgressLimits::new(Some(Duration::from_secs(300)), 240), (close(TimeoutKind::Rate), 5)),
    ] {
        let activity = new_activity();
        let start = Instant::now();
        let _response = UnreadResponse::begin(&activity, limits);
        assert_eq!(expiry(&activity, timeouts(), start).await, expected);
    }
    let activity = new_activity();
    let _response = UnreadResponse::begin(&activity, ProgressLimits::new(None, 0));
    let kind = tokio::time::timeout(Duration::from_secs(3_600), activity.timed_out(timeouts()));
    assert!(kind.await.is_err(), "unlimited");
}
