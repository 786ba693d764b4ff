use super::{super::http2_frames::FloodKind, owed_uploads::PROGRESS, *};
use crate::{
    acceptor::{Occupancy, Occupied},
    serve::ProgressClock,
};

const IDLE: Duration = Duration::from_secs(60);
const BODY: Duration = Duration::from_secs(30);

fn timeouts() -> Timeouts {
    let read = ProgressLimits::new(Some(BODY), 0);
    Timeouts { idle: IDLE, head: Duration::from_secs(10), read }
}

fn new_activity() -> Arc<Activity> {
    Activity::new(Arc::default(), BufferBudget::new(usize::MAX))
}

const fn close(kind: TimeoutKind) -> Expiry {
    Expiry::Close(kind)
}

#[tokio::test(start_paused = true)]
async fn connection_without_request_times_out_after_idle_timeout() {
    let activity = new_activity();
    let start = Instant::now();
    assert_eq!(activity.timed_out(timeouts()).await, close(TimeoutKind::Idle));
    assert_eq!(start.elapsed(), IDLE);
}

#[tokio::test(start_paused = true)]
async fn incomplete_head_times_out_after_head_timeout() {
    let activity = new_activity();
    let start = Instant::now();
    tokio::time::advance(Duration::from_secs(5)).await;
    activity.received();
    tokio::time::advance(Duration::from_secs(1)).await;
    activity.received();
    assert_eq!(activity.timed_out(timeouts()).await, close(TimeoutKind::Head));
    assert_eq!(start.elapsed(), Duration::from_secs(15));
}

#[tokio::test(start_paused = true)]
async fn head_behind_a_request_times_out_after_the_request() {
    for (is_partial, expected) in [(true, (TimeoutKind::Head, 15)), (false, (TimeoutKind::Idle, 65))] {
        let activity = new_activity();
        let start = Instant::now();
        let request = activity.begin(false, false).unwrap();
        activity.set_partial_head(is_partial);
        tokio::time::advance(Duration::from_secs(5)).await;
        drop(request);
        let expiry = activity.timed_out(timeouts()).await;
        assert_eq!((expiry, start.elapsed().as_secs()), (close(expected.0), expected.1));
    }
}

#[tokio::test(start_paused = true)]
async fn incomplete_header_block_times_out_beside_requests_in_flight() {
    let activity = new_activity();
    let start = Instant::now();
    let _request = activity.begin(false, false).unwrap();
    tokio::time::advance(Duration::from_secs(5)).await;
    activity.input.set_block_since(Some(Instant::now().into_std()));
    // Another request does not restart the time.
    let _other = activity.begin(false, false).unwrap();
    assert_eq!(activity.timed_out(timeouts()).await, close(TimeoutKind::Head));
    assert_eq!(start.elapsed(), Duration::from_secs(15));
}

#[tokio::test(start_paused = true)]
async fn complete_header_block_does_not_time_out() {
    let activity = new_activity();
    let start = Instant::now();
    activity.input.set_block_since(Some(start.into_std()));
    tokio::time::advance(Duration::from_secs(9)).await;
    activity.input.set_block_since(None);
    assert_eq!(activity.timed_out(timeouts()).await, close(TimeoutKind::Idle));
    assert_eq!(start.elapsed(), IDLE);
}

#[tokio::test(start_paused = true)]
async fn incomplete_frames_do_not_extend_the_idle_timeout() {
    let activity = new_activity();
    let start = Instant::now();
    let frames = async {
        loop {
            activity.input.set_block_since(Some(Instant::now().into_std()));
            tokio::time::sleep(Duration::from_secs(6)).await;
        }
    };
    let kind = tokio::select! {
        kind = activity.timed_out(timeouts()) => kind,
        () = frames => unreachable!(),
    };
    assert_eq!(kind, close(TimeoutKind::Idle));
    assert_eq!(start.elapsed(), IDLE + timeouts().head);
}

#[tokio::test]
async fn quiet_exchange_is_limited_again_unless_its_response_is_grpc() {
    let activity = new_activity();
    let mut quiet: Vec<_> = (0..MAX_REQUESTS).map(|_| activity.begin(true, true).unwrap()).collect();
    assert!(activity.begin(true, true).is_none());
    for in_flight in &quiet {
        in_flight.response_is_quiet();
    }
    let mut others: Vec<_> = (0..MAX_REQUESTS).map(|_| activity.begin(true, false).unwrap()).collect();
    let response = |content_type| {
        http::HeaderMap::from_iter([(
            http::header::CONTENT_TYPE,
            http::HeaderValue::from_static(content_type),
        )])
    };
    assert!(quiet[0].limit_unless_grpc(&response("application/grpc+proto")));
    assert!(!quiet[0].limit_unless_grpc(&response("text/html")), "the others are limited");
    others.pop();
    assert!(quiet[1].limit_unless_grpc(&response("text/html")));
    quiet[1].response_is_quiet();
    assert!(activity.begin(true, false).is_none(), "it stays limited");
}

#[tokio::test(start_paused = true)]
async fn flood_ends_the_connection_within_a_second() {
    let activity = new_activity();
    let _request = activity.begin(false, false).unwrap();
    let start = Instant::now();
    let flood = async {
        tokio::time::sleep(Duration::from_millis(400)).await;
        activity.input.flood_begins(FloodKind::Ping);
        activity.input.flood_begins(FloodKind::Settings);
    };
    let (kind, ()) = tokio::join!(activity.timed_out(timeouts()), flood);
    assert_eq!(kind, close(TimeoutKind::Flood));
    assert_eq!(start.elapsed(), Duration::from_millis(1_400));
}

#[tokio::test(start_paused = true)]
async fn idle_timeout_starts_at_the_end_of_the_request_in_flight() {
    let activity = new_activity();
    let start = Instant::now();
    activity.received();
    let request = activity.begin(false, false).unwrap();
    let ended = async {
        tokio::time::sleep(Duration::from_secs(300)).await;
        activity.received();
        drop(request);
    };
    let (kind, ()) = tokio::join!(activity.timed_out(timeouts()), ended);
    assert_eq!(kind, close(TimeoutKind::Idle));
    let elapsed = start.elapsed();
    assert!((360..=371).contains(&elapsed.as_secs()), "{elapsed:?}");
}

#[tokio::test(start_paused = true)]
async fn idle_timeout_can_be_restarted() {
    let activity = new_activity();
    tokio::time::advance(Duration::from_secs(50)).await;
    let start = Instant::now();
    activity.restart_idle_timeout();
    assert_eq!(
        activity.timed_out(Timeouts { idle: Duration::from_secs(1), ..timeouts() }).await,
        close(TimeoutKind::Idle)
    );
    assert_eq!(start.elapsed(), Duration::from_secs(1));
}

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

#[tokio::test(start_paused = true)]
async fn blocked_socket_times_out_after_body_timeout() {
    let activity = new_activity();
    activity.set_stream_limits(StreamLimits::new(timeouts().read, None));
    let start = Instant::now();
    let blocked = async {
        tokio::time::sleep(Duration::from_secs(1)).await;
        activity.write_blocked(100);
        tokio::time::sleep(Duration::from_secs(20)).await;
        activity.written(101);
        activity.write_blocked(101);
        activity.write_blocked(101);
    };
    let request = activity.begin(false, false).unwrap();
    let (kind, ()) = tokio::join!(activity.timed_out(timeouts()), blocked);
    assert_eq!((kind, start.elapsed().as_secs()), (close(TimeoutKind::Unread), 51));
    drop(request);
}

#[tokio::test(start_paused = true)]
async fn socket_that_accepts_a_byte_a_second_is_too_slow() {
    let activity = new_activity();
    activity.set_stream_limits(StreamLimits::new(ProgressLimits::new(Some(BODY), 240), None));
    let start = Instant::now();
    let trickle = async {
        for accepted in 1_200.. {
            activity.write_blocked(accepted);
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    };
    let _request = activity.begin(false, false).unwrap();
    let step = tokio::select! {
        step = activity.timed_out(timeouts()) => step,
        () = trickle => unreachable!("endless"),
    };
    assert_eq!((step, start.elapsed().as_secs()), (close(TimeoutKind::Rate), 10), "1,200 bytes buy 5 s");
}

#[tokio::test(start_paused = true)]
async fn limited_requests_wait_for_others() {
    let activity = new_activity();
    let mut responses: Vec<_> = std::iter::from_fn(|| activity.begin(true, false)).collect();
    assert_eq!(responses.len(), MAX_REQUESTS);
    assert!(activity.begin(false, false).is_some(), "not limited");
    let waiting = tokio::spawn({
        let activity = activity.clone();
        async move { activity.begin_when_free(false).await }
    });
    tokio::time::sleep(BODY).await;
    assert!(!waiting.is_finished());
    responses.pop();
    waiting.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn quiet_grpc_exchanges_are_not_limited() {
    let activity = new_activity();
    for is_grpc in [true, false] {
        let requests: Vec<_> = (0..MAX_REQUESTS).map(|_| activity.begin(true, is_grpc).unwrap()).collect();
        assert!(activity.begin(true, is_grpc).is_none());
        for request in &requests {
            request.response_is_quiet();
        }
        assert_eq!(activity.begin(true, is_grpc).is_some(), is_grpc);
    }
}
