//! Timeouts of a connection, and the number of its requests.

mod unread;

use super::{super::http2_frames::FloodKind, *};
use crate::serve::TimeoutKind;

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

#[tokio::test(start_paused = true)]
async fn idle_connection_is_parked_once_after_its_requests() {
    let activity = new_activity();
    let start = Instant::now();
    activity.park_when_idle(true);
    let request = activity.begin(false, false).unwrap();
    let ending = async {
        tokio::time::sleep(Duration::from_millis(1_800)).await;
        drop(request);
    };
    assert_eq!(tokio::join!(activity.timed_out(timeouts()), ending).0, Expiry::Park);
    let parked = start.elapsed().as_millis();
    assert!((2_050..3_050).contains(&parked), "{parked}");
    assert!(activity.is_between_requests());
    assert_eq!(activity.timed_out(timeouts()).await, close(TimeoutKind::Idle));
}

#[test]
fn connection_is_not_between_requests_while_one_is_incomplete_or_in_flight() {
    let activity = new_activity();
    assert!(activity.is_between_requests());
    activity.set_partial_request(true);
    assert!(!activity.is_between_requests());
    activity.set_partial_request(false);
    let request = activity.begin(false, false).unwrap();
    assert!(!activity.is_between_requests());
    drop(request);
    activity.write_blocked(0);
    assert!(!activity.is_between_requests());
    activity.written(1);
    assert!(activity.is_between_requests());
    activity.switch_to_tunnel(None);
    assert!(!activity.is_between_requests());
}
