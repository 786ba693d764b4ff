use std::{convert::Infallible, future::pending, pin::Pin, sync::atomic::Ordering};

use bytes::Bytes;
use http::{Response, Version};
use http_body::Frame;
use http_body_util::{BodyExt, Empty, Full};
use tokio::time::{Instant, sleep};
use tower::{ServiceExt, service_fn};

use super::*;
use crate::config::RequestLimits;
use tower_mtls::serve::{ReadTimeout, ReleasedOnClose};

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
        ..RequestLimits::default()
    };
    Bounds { limits, max_requests, in_flight: Arc::default() }
}

fn with_body_timeout(body_timeout: Option<Duration>, mut bounds: Bounds) -> Bounds {
    bounds.limits.body_timeout = body_timeout;
    bounds
}

/// Reads the request, then never responds.
async fn silent<B: Body>(request: Request<Upload<B>>) -> Result<Response<Empty<Bytes>>, Infallible>
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
    let result = bounded.oneshot(Request::new(Slow::new(100, true))).await;
    assert!(matches!(result, Err(ForwardError::FirstByteTimeout)));
    assert_eq!(start.elapsed().as_secs(), 160);

    let bounded = bounds(Some(60), None, None).layer(service_fn(silent::<Empty<Bytes>>));
    let start = Instant::now();
    assert!(matches!(bounded.oneshot(Request::new(Empty::new())).await, Err(ForwardError::FirstByteTimeout)));
    assert_eq!(start.elapsed().as_secs(), 60);
}

#[tokio::test(start_paused = true)]
async fn first_byte_timeout_starts_when_the_upstream_drops_the_request_body() {
    let bounded = bounds(Some(60), None, None).layer(service_fn(async |request: Request<Upload<Slow>>| {
        sleep(5 * SECOND).await;
        drop(request);
        pending::<Result<Response<Empty<Bytes>>, Infallible>>().await
    }));
    let start = Instant::now();
    let result = bounded.oneshot(Request::new(Slow::new(1, false))).await;
    assert!(matches!(result, Err(ForwardError::FirstByteTimeout)));
    assert_eq!(start.elapsed().as_secs(), 65);
}

#[tokio::test(start_paused = true)]
async fn first_byte_timeout_does_not_limit_the_response_body() {
    let bounded = bounds(Some(60), None, None).layer(service_fn(async |_: Request<Upload<Empty<Bytes>>>| {
        sleep(59 * SECOND).await;
        Ok::<_, Infallible>(Response::new(Slow::new(600, true)))
    }));
    let response = bounded.oneshot(Request::new(Empty::new())).await.unwrap();
    assert_eq!(response.into_body().collect().await.unwrap().to_bytes().len(), 600);
}

#[tokio::test(start_paused = true)]
async fn request_timeout_fails_the_request_or_ends_the_response_body() {
    let bounded = bounds(Some(60), Some(10), None).layer(service_fn(silent::<Slow>));
    let start = Instant::now();
    let result = bounded.oneshot(Request::new(Slow::new(100, true))).await;
    assert!(matches!(result, Err(ForwardError::RequestTimeout)));
    assert_eq!(start.elapsed().as_secs(), 10);

    let bounded = bounds(None, Some(10), None);
    let service = bounded.layer(service_fn(async |_: Request<Upload<Empty<Bytes>>>| {
        sleep(4 * SECOND).await;
        Ok::<_, Infallible>(Response::new(Slow::new(600, true)))
    }));
    let start = Instant::now();
    let response = service.oneshot(Request::new(Empty::new())).await.unwrap();
    assert!(response.into_body().collect().await.is_err());
    assert_eq!(start.elapsed().as_secs(), 10);
    assert_eq!(bounded.in_flight.load(Ordering::Relaxed), 0);
}

#[tokio::test(start_paused = true)]
async fn unread_response_is_dropped_at_the_deadline() {
    let bounded = bounds(None, Some(10), None);
    let service = bounded.layer(service_fn(async |_: Request<Upload<Empty<Bytes>>>| {
        Ok::<_, Infallible>(Response::new(Slow::new(600, true)))
    }));
    let response = service.oneshot(Request::new(Empty::new())).await.unwrap();
    assert_eq!(bounded.in_flight.load(Ordering::Relaxed), 1);
    sleep(11 * SECOND).await;
    assert_eq!(bounded.in_flight.load(Ordering::Relaxed), 0);
    assert!(response.into_body().collect().await.is_err());
    // A dropped body releases its permit before the deadline.
    let service = bounded.layer(service_fn(async |_: Request<Upload<Empty<Bytes>>>| {
        Ok::<_, Infallible>(Response::new(Full::new(Bytes::from_static(b"x"))))
    }));
    let response = service.oneshot(Request::new(Empty::new())).await.unwrap();
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
        let service = limits.layer(service_fn(async |_: Request<Upload<Empty<Bytes>>>| {
            Ok::<_, Infallible>(Response::new(Slow::new(1, true)))
        }));
        let response = service.oneshot(Request::new(Empty::new())).await.unwrap();
        let ReadTimeout(timeout) = *response.extensions().get::<ReadTimeout>().unwrap();
        assert_eq!(timeout, expected.map(Duration::from_secs));
    }
}

#[tokio::test(start_paused = true)]
async fn upload_without_progress_is_aborted_and_grpc_after_five_minutes_at_the_earliest() {
    for (version, content_type, body_timeout, expected) in [
        (Version::HTTP_11, "text/plain", 60, 160),
        (Version::HTTP_2, "text/plain", 60, 160),
        (Version::HTTP_2, "application/grpc", 60, 400),
        (Version::HTTP_2, "application/grpc+proto", 60, 400),
        (Version::HTTP_2, "application/grpc", 600, 700),
        (Version::HTTP_2, "application/grpc-web", 60, 160),
        (Version::HTTP_11, "application/grpc", 60, 160),
        (Version::HTTP_11, "application/grpc+proto", 60, 160),
    ] {
        let limits = with_body_timeout(Some(body_timeout * SECOND), bounds(None, None, None));
        let bounded = limits.layer(service_fn(silent::<Slow>));
        let request = Request::builder().version(version).header("content-type", content_type);
        let start = Instant::now();
        let result = bounded.oneshot(request.body(Slow::new(100, false)).unwrap());
        let result = tokio::time::timeout(3_600 * SECOND, result).await.expect("a limit");
        assert!(matches!(result, Err(ForwardError::BodyTimeout)), "{content_type} {version:?}");
        assert_eq!(start.elapsed().as_secs(), expected, "{content_type} {version:?}");
        assert_eq!(limits.in_flight.load(Ordering::Relaxed), 0);
    }
}

#[tokio::test(start_paused = true)]
async fn silent_grpc_request_stays_open_while_its_response_makes_progress() {
    let limits = with_body_timeout(Some(60 * SECOND), bounds(None, None, None));
    let (aborted, mut aborts) = tokio::sync::mpsc::unbounded_channel();
    let service = limits.layer(service_fn(|request: Request<Upload<Slow>>| {
        let aborted = aborted.clone();
        tokio::spawn(async move {
            assert!(request.into_body().collect().await.is_err());
            aborted.send(Instant::now())
        });
        std::future::ready(Ok::<_, Infallible>(Response::new(Slow::new(1_000, false))))
    }));
    let request = Request::builder().version(Version::HTTP_2).header("content-type", "application/grpc");
    let start = Instant::now();
    let response = service.oneshot(request.body(Slow::new(1, false)).unwrap()).await.unwrap();
    let mut reading = std::pin::pin!(response.into_body().collect());
    let aborted = tokio::select! {
        _ = &mut reading => unreachable!("the response never ends"),
        aborted = aborts.recv() => aborted.unwrap(),
    };
    assert_eq!((aborted - start).as_secs(), 1_300, "five minutes after the last frame of the response");
}

#[tokio::test(start_paused = true)]
async fn upload_that_the_upstream_does_not_read_is_not_aborted() {
    let limits = with_body_timeout(Some(60 * SECOND), bounds(None, None, None));
    let bounded = limits.layer(service_fn(async |request: Request<Upload<Slow>>| {
        let mut body = request.into_body();
        body.frame().await.unwrap().unwrap();
        sleep(600 * SECOND).await;
        Ok::<_, Infallible>(Response::new(Empty::<Bytes>::new()))
    }));
    assert!(bounded.oneshot(Request::new(Slow::new(1, false))).await.is_ok());
}

#[tokio::test]
async fn tunnel_keeps_its_permit_until_it_ends() {
    let bounds = bounds(None, Some(10), Some(1));
    let switching = bounds.layer(service_fn(async |_: Request<Upload<Empty<Bytes>>>| {
        let response = Response::builder().status(101).body(Empty::<Bytes>::new());
        Ok::<_, Infallible>(response.unwrap())
    }));
    let mut response = switching.oneshot(Request::new(Empty::new())).await.unwrap();
    let permit = response.extensions_mut().remove::<ReleasedOnClose>();
    drop(response);
    assert_eq!(bounds.in_flight.load(Ordering::Relaxed), 1);
    drop(permit);
    assert_eq!(bounds.in_flight.load(Ordering::Relaxed), 0);
}

#[tokio::test]
async fn request_above_the_limit_is_rejected_until_a_body_ends() {
    let bounded = bounds(None, None, Some(2)).layer(service_fn(async |_: Request<Upload<Empty<Bytes>>>| {
        Ok::<_, Infallible>(Response::new(Full::new(Bytes::from_static(b"x"))))
    }));
    let send = || bounded.clone().oneshot(Request::new(Empty::new()));
    let (one, two) = (send().await.unwrap(), send().await.unwrap());
    assert!(matches!(send().await, Err(ForwardError::TooManyRequests)));
    drop(one);
    let three = send().await.unwrap();
    assert!(matches!(send().await, Err(ForwardError::TooManyRequests)));
    drop((two, three));
    assert_eq!(bounded.bounds.in_flight.load(Ordering::Relaxed), 0);
}
