use super::*;

const IDLE: Duration = Duration::from_secs(60);
const BODY: Duration = Duration::from_secs(30);
const HTTP1: Timeouts = Timeouts { idle: IDLE, head: Some(Duration::from_secs(10)), body: Some(BODY) };
const HTTP2: Timeouts = Timeouts { head: None, ..HTTP1 };

#[tokio::test(start_paused = true)]
async fn connection_without_request_times_out_after_idle_timeout() {
    let activity = Activity::new(Arc::default());
    let start = Instant::now();
    assert_eq!(activity.timed_out(HTTP1).await, TimeoutKind::Idle);
    assert_eq!(start.elapsed(), IDLE);
}

#[tokio::test(start_paused = true)]
async fn incomplete_head_times_out_after_head_timeout() {
    let activity = Activity::new(Arc::default());
    let start = Instant::now();
    tokio::time::advance(Duration::from_secs(5)).await;
    activity.received();
    tokio::time::advance(Duration::from_secs(1)).await;
    activity.received();
    assert_eq!(activity.timed_out(HTTP1).await, TimeoutKind::Head);
    assert_eq!(start.elapsed(), Duration::from_secs(15));
}

#[tokio::test(start_paused = true)]
async fn idle_timeout_starts_at_the_end_of_the_request_in_flight() {
    let activity = Activity::new(Arc::default());
    let start = Instant::now();
    activity.received();
    let request = activity.begin(false).unwrap();
    let ended = async {
        tokio::time::sleep(Duration::from_secs(300)).await;
        activity.received();
        drop(request);
    };
    let (kind, ()) = tokio::join!(activity.timed_out(HTTP1), ended);
    assert_eq!(kind, TimeoutKind::Idle);
    let elapsed = start.elapsed();
    assert!((360..=371).contains(&elapsed.as_secs()), "{elapsed:?}");
}

#[tokio::test(start_paused = true)]
async fn idle_timeout_can_be_restarted() {
    let activity = Activity::new(Arc::default());
    tokio::time::advance(Duration::from_secs(50)).await;
    let start = Instant::now();
    activity.restart_idle_timeout();
    assert_eq!(
        activity.timed_out(Timeouts { idle: Duration::from_secs(1), ..HTTP1 }).await,
        TimeoutKind::Idle
    );
    assert_eq!(start.elapsed(), Duration::from_secs(1));
}

/// Begins a request whose response is unread.
fn unread(activity: &Arc<Activity>, timeout: Option<Duration>) -> InFlight {
    let request = activity.begin(false).unwrap();
    request.unread_begins();
    request.unread_progress(timeout);
    request
}

#[tokio::test(start_paused = true)]
async fn unread_responses_time_out_after_last_progress() {
    let activity = Activity::new(Arc::default());
    let start = Instant::now();
    let responses = async {
        tokio::time::sleep(Duration::from_secs(5)).await;
        let [first, second] = [(); 2].map(|()| unread(&activity, Some(BODY)));
        tokio::time::sleep(Duration::from_secs(20)).await;
        first.unread_progress(Some(BODY));
        (first, second)
    };
    let (kind, _responses) = tokio::join!(activity.timed_out(HTTP2), responses);
    assert_eq!((kind, start.elapsed().as_secs()), (TimeoutKind::Unread, 55));
}

#[tokio::test(start_paused = true)]
async fn unread_responses_do_not_close_connection_with_another_request() {
    let activity = Activity::new(Arc::default());
    let start = Instant::now();
    let stalled = unread(&activity, Some(BODY));
    assert_eq!(activity.occupancy(), Occupancy::Stalled(Duration::ZERO));
    let upload = async {
        let request = activity.begin(false).unwrap();
        tokio::time::sleep(Duration::from_secs(100)).await;
        assert_eq!(activity.occupancy(), Occupancy::Busy { is_admitted: false });
        drop(request);
    };
    let (kind, ()) = tokio::join!(activity.timed_out(HTTP2), upload);
    assert_eq!(kind, TimeoutKind::Unread);
    assert!((100..=101).contains(&start.elapsed().as_secs()), "{:?}", start.elapsed());
    let stalled_for = |activity: &Activity| match activity.occupancy() {
        Occupancy::Stalled(stalled) => stalled.as_secs(),
        other => panic!("{other:?}"),
    };
    assert_eq!(stalled_for(&activity), start.elapsed().as_secs());
    stalled.unread_progress(Some(BODY));
    assert_eq!(stalled_for(&activity), start.elapsed().as_secs(), "progress");
    stalled.unread_ends();
    drop(stalled);
    let start = Instant::now();
    assert_eq!((activity.timed_out(HTTP2).await, start.elapsed()), (TimeoutKind::Idle, IDLE));
}

#[tokio::test(start_paused = true)]
async fn unread_responses_use_timeout_of_their_route() {
    for (timeout, expected) in [(Some(Duration::from_secs(5)), 5), (Some(Duration::from_secs(300)), 300)] {
        let activity = Activity::new(Arc::default());
        let start = Instant::now();
        let _response = unread(&activity, timeout);
        assert_eq!(
            (activity.timed_out(HTTP1).await, start.elapsed().as_secs()),
            (TimeoutKind::Unread, expected)
        );
    }
    let activity = Activity::new(Arc::default());
    let _response = unread(&activity, None);
    let kind = tokio::time::timeout(Duration::from_secs(3_600), activity.timed_out(HTTP1));
    assert!(kind.await.is_err(), "unlimited");
}

#[tokio::test(start_paused = true)]
async fn blocked_socket_times_out_after_body_timeout() {
    let activity = Activity::new(Arc::default());
    let start = Instant::now();
    let blocked = async {
        tokio::time::sleep(Duration::from_secs(1)).await;
        activity.write_blocked();
        tokio::time::sleep(Duration::from_secs(20)).await;
        activity.written();
        activity.write_blocked();
        activity.write_blocked();
    };
    let request = activity.begin(false).unwrap();
    let (kind, ()) = tokio::join!(activity.timed_out(HTTP2), blocked);
    assert_eq!((kind, start.elapsed().as_secs()), (TimeoutKind::Unread, 51));
    drop(request);
}

#[tokio::test(start_paused = true)]
async fn http_2_has_no_head_timeout() {
    let activity = Activity::new(Arc::default());
    activity.received();
    assert_eq!(activity.timed_out(HTTP2).await, TimeoutKind::Idle);
}

#[tokio::test(start_paused = true)]
async fn limited_requests_wait_for_others_and_do_not_keep_connection_open() {
    let activity = Activity::new(Arc::default());
    let start = Instant::now();
    let mut responses: Vec<_> = std::iter::from_fn(|| activity.begin(true)).collect();
    assert_eq!(responses.len(), MAX_REQUESTS);
    assert!(activity.begin(false).is_some(), "not limited");
    for response in &responses {
        response.unread_begins();
        response.unread_progress(Some(BODY));
    }
    let waiting = tokio::spawn({
        let activity = activity.clone();
        async move { activity.begin_when_free().await }
    });
    assert_eq!((activity.timed_out(HTTP2).await, start.elapsed()), (TimeoutKind::Unread, BODY));
    assert!(!waiting.is_finished());
    responses.pop();
    waiting.await.unwrap();
}
