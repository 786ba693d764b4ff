use std::{collections::VecDeque, future::poll_fn, io, pin::Pin};

use bytes::Bytes;
use http::{Request, Version};
use http_body::{Body, Frame};
use http_body_util::BodyExt;
use tokio::time::{Sleep, sleep};

use super::*;
use crate::serve::{CallerBody, ProgressLimits};

/// Frames, each after a time in seconds; then silence, or an error.
struct Script {
    frames: VecDeque<(u64, &'static [u8])>,
    error: Option<io::ErrorKind>,
    timer: Pin<Box<Sleep>>,
}

impl Script {
    fn new(frames: impl IntoIterator<Item = (u64, &'static [u8])>) -> Self {
        let frames: VecDeque<_> = frames.into_iter().collect();
        let timer = Box::pin(sleep(Duration::from_secs(frames.front().map_or(0, |first| first.0))));
        Self { frames, error: None, timer }
    }
}

impl Body for Script {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        use std::future::Future;
        if self.frames.is_empty() {
            let error = self.error.take();
            return error.map_or(Poll::Pending, |error| Poll::Ready(Some(Err(error.into()))));
        }
        std::task::ready!(self.timer.as_mut().poll(cx));
        let (_, bytes) = self.frames.pop_front().unwrap();
        let next = self.frames.front().map_or(0, |next| next.0);
        self.timer = Box::pin(sleep(Duration::from_secs(next)));
        Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(bytes)))))
    }
}

const FAST: &[u8] = &[b'x'; 300];

fn limits(stall: u64, min_rate: usize, idle: u64) -> StreamLimits {
    let seconds = |seconds: u64| (seconds > 0).then(|| Duration::from_secs(seconds));
    StreamLimits::new(ProgressLimits::new(seconds(stall), min_rate), seconds(idle))
}

fn request(is_grpc: bool, body: Script, limits: StreamLimits) -> Request<CallerBody<Script>> {
    let request = Request::builder().version(Version::HTTP_2);
    let request = if is_grpc { request.header("content-type", "application/grpc") } else { request };
    CallerBody::bound(request.body(body).unwrap(), limits)
}

/// Returns the time at which the body fails, in seconds, and its error.
async fn failure(request: Request<CallerBody<Script>>) -> Option<(u64, UploadError)> {
    let upload = request.body().upload().unwrap().clone();
    let start = Instant::now();
    let reading = request.into_body().collect();
    let error = tokio::time::timeout(Duration::from_secs(36_000), reading).await.ok()?.unwrap_err();
    let error = *error.downcast_ref::<io::Error>().unwrap().get_ref().unwrap().downcast_ref().unwrap();
    assert_eq!(poll_fn(|cx| upload.poll_end(cx)).await, Err(error), "the handle reports the same");
    Some((start.elapsed().as_secs(), error))
}

#[tokio::test(start_paused = true)]
async fn body_fails_at_the_limit_that_its_caller_exceeds() {
    use UploadError::{Idle, Stalled, TooSlow};
    let each = |seconds, bytes: &'static [u8]| (0..20).map(move |_| (seconds, bytes));
    for (name, is_grpc, frames, limits, expected) in [
        ("silence", false, vec![], limits(60, 0, 300), Some((60, Stalled))),
        ("silence below the rate", false, vec![], limits(60, 240, 300), Some((5, TooSlow))),
        ("a byte a minute", false, each(59, b"x").collect(), limits(60, 0, 300), Some((1_240, Stalled))),
        ("empty frames", false, each(59, b"").collect(), limits(60, 0, 300), Some((60, Stalled))),
        ("a byte a second", false, each(1, b"x").collect(), limits(60, 240, 300), Some((5, TooSlow))),
        ("the rate", false, each(1, FAST).collect(), limits(60, 240, 300), Some((30, TooSlow))),
        ("no limit", false, vec![], limits(0, 0, 300), None),
        ("silence over gRPC", true, vec![], limits(60, 240, 300), Some((300, Idle))),
        (
            "a byte a minute over gRPC",
            true,
            each(59, b"x").collect(),
            limits(60, 240, 300),
            Some((1_480, Idle)),
        ),
        ("empty frames over gRPC", true, each(59, b"").collect(), limits(60, 240, 300), Some((300, Idle))),
        ("no limit over gRPC", true, vec![], limits(60, 240, 0), None),
    ] {
        let request = request(is_grpc, Script::new(frames), limits);
        assert_eq!(failure(request).await, expected, "{name}");
    }
}

#[tokio::test(start_paused = true)]
async fn replaced_limits_apply_in_place_of_the_first() {
    let request = request(false, Script::new([]), limits(60, 0, 300));
    request.body().upload().unwrap().set_limits(limits(10, 0, 300));
    assert_eq!(failure(request).await, Some((10, UploadError::Stalled)));
}

#[tokio::test(start_paused = true)]
async fn body_can_be_silent_while_response_bytes_move() {
    let request = request(false, Script::new([]), limits(60, 240, 300));
    let upload = request.body().upload().unwrap().clone();
    upload.record_response();
    let responding = async {
        sleep(Duration::from_secs(299)).await;
        upload.record_response();
    };
    let (failure, ()) = tokio::join!(failure(request), responding);
    assert_eq!(failure, Some((600, UploadError::Idle)), "later than the response by a second");
}

#[tokio::test(start_paused = true)]
async fn bytes_that_the_service_does_not_read_are_not_awaited() {
    let request = request(false, Script::new([(0, &b"x"[..])]), limits(60, 240, 300));
    let upload = request.body().upload().unwrap().clone();
    let start = Instant::now();
    let mut body = request.into_body();
    sleep(Duration::from_secs(100)).await;
    assert_eq!(upload.unread_deadline(), Some(start + Duration::from_secs(300)));
    body.frame().await.unwrap().unwrap();
    sleep(Duration::from_secs(1_000)).await;
    assert!(!upload.is_awaited());
    assert_eq!(upload.unread_deadline(), Some(start + Duration::from_secs(400)));
    let reading = tokio::spawn(async move { body.frame().await.unwrap().is_err() });
    sleep(Duration::from_secs(1)).await;
    assert!(upload.is_awaited());
    assert_eq!(upload.unread_deadline(), Some(Instant::now() + Duration::from_secs(300)));
    assert!(reading.await.unwrap());
}

#[tokio::test(start_paused = true)]
async fn failed_body_reports_that_its_caller_disconnected() {
    let mut script = Script::new([(0, &b"x"[..])]);
    script.error = Some(io::ErrorKind::ConnectionReset);
    let request = request(false, script, StreamLimits::default());
    let upload = request.body().upload().unwrap().clone();
    assert!(request.into_body().collect().await.is_err());
    assert_eq!(poll_fn(|cx| upload.poll_end(cx)).await, Err(UploadError::Disconnected));
}
