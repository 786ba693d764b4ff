use std::{convert::Infallible, future::pending, pin::Pin, sync::atomic::Ordering, time::Duration};

use bytes::Bytes;
use http::{Response, Version};
use http_body::Frame;
use http_body_util::{BodyExt, Empty, Full};
use tokio::time::{Instant, sleep};
use tower::{ServiceExt, service_fn};

use super::*;
use crate::config::RequestLimits;
use tower_mtls::serve::{ProgressLimits, ReleasedOnClose, StreamLimits, UploadError};

impl From<Infallible> for ForwardError {
    fn from(never: Infallible) -> Self {
        match never {}
    }
}

/// Body of `remaining` bytes, one a second, that then ends or stays open.
struct Slow {
    remaining: usize,
    ends: bool,
    next: Pin<Box<tokio::time::Sleep>>,
}

impl Slow {
    fn new(remaining: usize, ends: bool) -> Self {
        Self { remaining, ends, next: Box::pin(sleep(SECOND)) }
    }
}

impl Body for Slow {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        use std::future::Future;
        if self.remaining == 0 {
            return if self.ends { Poll::Ready(None) } else { Poll::Pending };
        }
        std::task::ready!(self.next.as_mut().poll(cx));
        self.remaining -= 1;
        self.next = Box::pin(sleep(SECOND));
        Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(b"x")))))
    }
}

const SECOND: Duration = Duration::from_secs(1);

fn bounds(first_byte: Option<u64>, request: Option<u64>, max_requests: Option<usize>) -> Bounds {
    let limits = RequestLimits {
        first_byte_timeout: first_byte.map(Duration::from_secs),
        request_timeout: request.map(Duration::from_secs),
        body_timeout: None,
        stream_idle_timeout: None,
        min_data_rate: 0,
        ..RequestLimits::default()
    };
    Bounds { limits, general: RequestLimits::default(), max_requests, in_flight: Arc::default() }
}

fn with_body_timeout(body_timeout: Option<Duration>, mut bounds: Bounds) -> Bounds {
    bounds.limits.body_timeout = body_timeout;
    bounds
}

/// Request with the limits of a server, which a route replaces.
fn bound<B: Body>(body: B) -> Request<CallerBody<B>> {
    CallerBody::bound(Request::new(body), StreamLimits::default())
}

/// Reads the request, then never responds.
async fn silent<B: Body + Unpin>(
    request: Request<CallerBody<B>>,
) -> Result<Response<Empty<Bytes>>, Infallible>
where
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let _ = request.into_body().collect().await;
    pending().await
}

#[tokio::test(start_paused = true)]
async fn first_byte_timeout_starts_at_the_end_of_the_request_body() {
    let bounded = bounds(Some(60), None, None).layer(service_fn(silent::<Slow>));
    let start = Instant::now();
    let result = bounded.oneshot(bound(Slow::new(100, true))).await;
    assert!(matches!(result, Err(ForwardError::FirstByteTimeout)));
    assert_eq!(start.elapsed().as_secs(), 160);

    let bounded = bounds(Some(60), None, None).layer(service_fn(silent::<Empty<Bytes>>));
    let start = Instant::now();
    assert!(matches!(bounded.oneshot(bound(Empty::new())).await, Err(ForwardError::FirstByteTimeout)));
    assert_eq!(start.elapsed().as_secs(), 60);
}

#[tokio::test(start_paused = true)]
async fn first_byte_timeout_starts_when_the_upstream_drops_the_request_body() {
    let bounded =
        bounds(Some(60), None, None).layer(service_fn(async |request: Request<CallerBody<Slow>>| {
            sleep(5 * SECOND).await;
            drop(request);
            pending::<Result<Response<Empty<Bytes>>, Infallible>>().await
        }));
    let start = Instant::now();
    let result = bounded.oneshot(bound(Slow::new(1, false))).await;
    assert!(matches!(result, Err(ForwardError::FirstByteTimeout)));
    assert_eq!(start.elapsed().as_secs(), 65);
}

#[tokio::test(start_paused = true)]
async fn first_byte_timeout_does_not_limit_the_response_body() {
    let bounded =
        bounds(Some(60), None, None).layer(service_fn(async |_: Request<CallerBody<Empty<Bytes>>>| {
            sleep(59 * SECOND).await;
            Ok::<_, Infallible>(Response::new(Slow::new(600, true)))
        }));
    let response = bounded.oneshot(bound(Empty::new())).await.unwrap();
    assert_eq!(response.into_body().collect().await.unwrap().to_bytes().len(), 600);
}

#[tokio::test(start_paused = true)]
async fn request_timeout_fails_the_request_or_ends_the_response_body() {
    let bounded = bounds(Some(60), Some(10), None).layer(service_fn(silent::<Slow>));
    let start = Instant::now();
    let result = bounded.oneshot(bound(Slow::new(100, true))).await;
    assert!(matches!(result, Err(ForwardError::RequestTimeout)));
    assert_eq!(start.elapsed().as_secs(), 10);

    let bounded = bounds(None, Some(10), None);
    let service = bounded.layer(service_fn(async |_: Request<CallerBody<Empty<Bytes>>>| {
        sleep(4 * SECOND).await;
        Ok::<_, Infallible>(Response::new(Slow::new(600, true)))
    }));
    let start = Instant::now();
    let response = service.oneshot(bound(Empty::new())).await.unwrap();
    assert!(response.into_body().collect().await.is_err());
    assert_eq!(start.elapsed().as_secs(), 10);
    assert_eq!(bounded.in_flight.load(Ordering::Relaxed), 0);
}

#[tokio::test(start_paused = true)]
async fn unread_response_is_dropped_at_the_deadline() {
    let bounded = bounds(None, Some(10), None);
    let service = bounded.layer(service_fn(async |_: Request<CallerBody<Empty<Bytes>>>| {
        Ok::<_, Infallible>(Response::new(Slow::new(600, true)))
    }));
    let response = service.oneshot(bound(Empty::new())).await.unwrap();
    assert_eq!(bounded.in_flight.load(Ordering::Relaxed), 1);
    sleep(11 * SECOND).await;
    assert_eq!(bounded.in_flight.load(Ordering::Relaxed), 0);
    assert!(response.into_body().collect().await.is_err());
    // A dropped body releases its permit before the deadline.
    let service = bounded.layer(service_fn(async |_: Request<CallerBody<Empty<Bytes>>>| {
        Ok::<_, Infallible>(Response::new(Full::new(Bytes::from_static(b"x"))))
    }));
    let response = service.oneshot(bound(Empty::new())).await.unwrap();
    drop(response);
    assert_eq!(bounded.in_flight.load(Ordering::Relaxed), 0);
}

#[tokio::test(start_paused = true)]
async fn response_carries_the_shorter_of_its_timeouts() {
    for (body, request, expected) in [
        (Some(60), None, Some(60)),
        (Some(60), Some(10), Some(10)),
        (None, Some(10), Some(10)),
        (None, None, None),
    ] {
        let limits = with_body_timeout(body.map(Duration::from_secs), bounds(None, request, None));
        let service = limits.layer(service_fn(async |_: Request<CallerBody<Empty<Bytes>>>| {
            Ok::<_, Infallible>(Response::new(Slow::new(1, true)))
        }));
        let response = service.oneshot(bound(Empty::new())).await.unwrap();
        let limits = *response.extensions().get::<ProgressLimits>().unwrap();
        assert_eq!(limits, ProgressLimits::new(expected.map(Duration::from_secs), 0));
    }
}

#[tokio::test(start_paused = true)]
async fn response_of_a_route_with_the_general_limits_carries_none() {
    let limits = Bounds { limits: RequestLimits::default(), ..bounds(None, None, None) };
    let service = limits.layer(service_fn(async |_: Request<CallerBody<Empty<Bytes>>>| {
        Ok::<_, Infallible>(Response::new(Slow::new(1, true)))
    }));
    let response = service.oneshot(bound(Empty::new())).await.unwrap();
    assert!(response.extensions().get::<ProgressLimits>().is_none());
}

/// Limits of both directions, in seconds.
fn progress_bounds(body: u64, min_data_rate: usize, stream_idle: Option<u64>) -> Bounds {
    let mut bounds = with_body_timeout(Some(Duration::from_secs(body)), bounds(None, None, None));
    bounds.limits.min_data_rate = min_data_rate;
    bounds.limits.stream_idle_timeout = stream_idle.map(Duration::from_secs);
    bounds
}

#[tokio::test(start_paused = true)]
async fn upload_without_progress_is_aborted_and_grpc_after_the_stream_idle_timeout() {
    use UploadError::{Idle, Stalled, TooSlow};
    for (version, content_type, body_timeout, rate, expected) in [
        (Version::HTTP_11, "text/plain", 60, 0, (160, Stalled)),
        (Version::HTTP_2, "text/plain", 60, 0, (160, Stalled)),
        (Version::HTTP_2, "text/plain", 60, 1, (105, TooSlow)),
        (Version::HTTP_2, "text/plain", 60, 240, (5, TooSlow)),
        (Version::HTTP_2, "application/grpc", 60, 240, (400, Idle)),
        (Version::HTTP_2, "application/grpc+proto", 60, 0, (400, Idle)),
        (Version::HTTP_2, "application/grpc", 600, 0, (400, Idle)),
        (Version::HTTP_2, "application/grpc-web", 60, 0, (160, Stalled)),
        (Version::HTTP_11, "application/grpc", 60, 0, (160, Stalled)),
        (Version::HTTP_11, "application/grpc+proto", 60, 0, (160, Stalled)),
    ] {
        let limits = progress_bounds(body_timeout, rate, Some(300));
        let bounded = limits.layer(service_fn(silent::<Slow>));
        let request = Request::builder().version(version).header("content-type", content_type);
        let start = Instant::now();
        let request = request.body(Slow::new(100, false)).unwrap();
        let result = bounded.oneshot(CallerBody::bound(request, StreamLimits::default()));
        let result = tokio::time::timeout(3_600 * SECOND, result).await.expect("a limit");
        let Err(ForwardError::Upload(error)) = result else { panic!("{content_type} {version:?}") };
        assert_eq!((start.elapsed().as_secs(), error), expected, "{content_type} {version:?}");
        assert_eq!(limits.in_flight.load(Ordering::Relaxed), 0);
    }
}

/// Sends a request of `sent` bytes that stays open to an upstream that responds at once with `received` bytes. Returns
/// the times at which each body failed, in seconds.
async fn open_exchange(
    limits: &Bounds,
    content_type: &str,
    sent: usize,
    received: usize,
) -> [Option<u64>; 2] {
    let (aborted_tx, aborted) = tokio::sync::oneshot::channel();
    let aborted_tx = std::sync::Mutex::new(Some(aborted_tx));
    let service = limits.layer(service_fn(|request: Request<CallerBody<Slow>>| {
        let aborted_tx = aborted_tx.lock().unwrap().take().unwrap();
        tokio::spawn(async move {
            assert!(request.into_body().collect().await.is_err());
            aborted_tx.send(Instant::now())
        });
        std::future::ready(Ok::<_, Infallible>(Response::new(Slow::new(received, false))))
    }));
    let request = Request::builder().version(Version::HTTP_2).header("content-type", content_type);
    let request = request.body(Slow::new(sent, false)).unwrap();
    let request = CallerBody::bound(request, StreamLimits::default());
    let upload = request.body().upload().unwrap().clone();
    let start = Instant::now();
    let mut body = service.oneshot(request).await.unwrap().into_body();
    let reading = tokio::spawn(async move {
        let error = loop {
            // As the server.
            upload.record_response();
            if let Err(error) = body.frame().await.unwrap() {
                break error;
            }
        };
        assert!(error.is::<StreamIdleTimeout>(), "{error}");
        Instant::now()
    });
    let seconds = |at: Instant| (at - start).as_secs();
    let ended = async { (aborted.await.unwrap(), reading.await.unwrap()) };
    match tokio::time::timeout(10_000 * SECOND, ended).await {
        Ok((sent, received)) => [Some(seconds(sent)), Some(seconds(received))],
        Err(_) => [None; 2],
    }
}

#[tokio::test(start_paused = true)]
async fn exchange_ends_once_both_directions_are_silent_for_the_stream_idle_timeout() {
    for content_type in ["application/grpc", "text/plain"] {
        for (stream_idle, sent, received, expected) in [
            (Some(300), 1, 1_000, Some(1_300)),
            (Some(300), 1_000, 1, Some(1_300)),
            (Some(300), 0, 0, Some(300)),
            (None, 1, 1, None),
        ] {
            let limits = progress_bounds(60, 240, stream_idle);
            let [aborted, failed] = open_exchange(&limits, content_type, sent, received).await;
            assert_eq!(failed, expected, "{content_type}: {sent} {received}");
            assert_eq!(aborted, expected.map(|at| at + 1), "after the response, which reports the reason");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn response_that_is_not_read_is_not_silent() {
    let limits = progress_bounds(60, 0, Some(300));
    let service = limits.layer(service_fn(async |_: Request<CallerBody<Empty<Bytes>>>| {
        Ok::<_, Infallible>(Response::new(Slow::new(3, true)))
    }));
    let mut body = service.oneshot(bound(Empty::new())).await.unwrap().into_body();
    body.frame().await.unwrap().unwrap();
    sleep(3_600 * SECOND).await;
    assert_eq!(body.collect().await.unwrap().to_bytes().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn upload_that_the_upstream_does_not_read_ends_after_the_stream_idle_timeout() {
    // Number of bytes that the upstream reads, and duration in seconds for which it then reads nothing.
    for (stream_idle, content_type, read, pause, expected) in [
        (Some(300), "text/plain", 0, 299, None),
        (Some(300), "text/plain", 0, 301, Some(300)),
        (Some(300), "text/plain", 100, 299, None),
        (Some(300), "text/plain", 100, 301, Some(400)),
        (Some(300), "application/grpc", 100, 301, Some(400)),
        (Some(30), "text/plain", 0, 31, Some(30)),
        (None, "text/plain", 0, 36_000, None),
    ] {
        let limits = progress_bounds(60, 0, stream_idle);
        let bounded = limits.layer(service_fn(async |request: Request<CallerBody<Slow>>| {
            let mut body = request.into_body();
            for _ in 0..read {
                body.frame().await.unwrap().unwrap();
            }
            sleep(pause * SECOND).await;
            Ok::<_, Infallible>(Response::new(Empty::<Bytes>::new()))
        }));
        let request = Request::builder().version(Version::HTTP_2).header("content-type", content_type);
        let request = request.body(Slow::new(1_000, true)).unwrap();
        let start = Instant::now();
        let result = bounded.oneshot(CallerBody::bound(request, StreamLimits::default())).await;
        let ended = match result {
            Err(ForwardError::Upload(UploadError::Idle)) => Some(start.elapsed().as_secs()),
            Err(error) => panic!("{error}"),
            Ok(response) => {
                drop(response);
                None
            }
        };
        assert_eq!(ended, expected, "{stream_idle:?} {content_type} {read} {pause}");
        assert_eq!(limits.in_flight.load(Ordering::Relaxed), 0);
    }
}

#[tokio::test]
async fn tunnel_keeps_its_permit_until_it_ends() {
    let bounds = bounds(None, Some(10), Some(1));
    let switching = bounds.layer(service_fn(async |_: Request<CallerBody<Empty<Bytes>>>| {
        let response = Response::builder().status(101).body(Empty::<Bytes>::new());
        Ok::<_, Infallible>(response.unwrap())
    }));
    let mut response = switching.oneshot(bound(Empty::new())).await.unwrap();
    let permit = response.extensions_mut().remove::<ReleasedOnClose>();
    drop(response);
    assert_eq!(bounds.in_flight.load(Ordering::Relaxed), 1);
    drop(permit);
    assert_eq!(bounds.in_flight.load(Ordering::Relaxed), 0);
}

#[tokio::test]
async fn request_above_the_limit_is_rejected_until_a_body_ends() {
    let bounded =
        bounds(None, None, Some(2)).layer(service_fn(async |_: Request<CallerBody<Empty<Bytes>>>| {
            Ok::<_, Infallible>(Response::new(Full::new(Bytes::from_static(b"x"))))
        }));
    let send = || bounded.clone().oneshot(bound(Empty::new()));
    let (one, two) = (send().await.unwrap(), send().await.unwrap());
    assert!(matches!(send().await, Err(ForwardError::TooManyRequests)));
    drop(one);
    let three = send().await.unwrap();
    assert!(matches!(send().await, Err(ForwardError::TooManyRequests)));
    drop((two, three));
    assert_eq!(bounded.bounds.in_flight.load(Ordering::Relaxed), 0);
}
