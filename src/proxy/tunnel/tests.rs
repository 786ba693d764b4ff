use std::sync::{Arc, Mutex};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex},
    task::JoinHandle,
    time::{Instant, sleep},
};
use tracing::{
    Event, Id, Level, Metadata,
    field::{Field, Visit},
    span::{Attributes, Record},
    subscriber::with_default,
};

use super::*;

const TIMEOUT: Duration = Duration::from_secs(3_600);

/// Size of the pipes' buffers, in bytes.
const BUFFER: usize = 1_024;

/// The ends of a tunnel at the client and at the upstream, and its result.
fn tunnel(timeout: Option<Duration>) -> (DuplexStream, DuplexStream, JoinHandle<io::Result<(u64, u64)>>) {
    let ((client, near), (far, upstream)) = (duplex(BUFFER), duplex(BUFFER));
    let task = tokio::spawn(async move {
        let progress = Progress::new();
        tokio::select! {
            copied = copy(near, far, &progress) => copied,
            stalled = progress.stalled(timeout) => Err(stalled),
        }
    });
    (client, upstream, task)
}

/// Asserts that the tunnel stalls, and returns when, since `start`.
async fn stalled(task: JoinHandle<io::Result<(u64, u64)>>, start: Instant) -> Duration {
    let error = task.await.unwrap().unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    assert_eq!(error.to_string(), "no bytes for 3600s (tunnel_idle_timeout)");
    start.elapsed()
}

fn assert_about(actual: Duration, expected: Duration) {
    assert!(actual.abs_diff(expected) < Duration::from_secs(1), "{actual:?} instead of {expected:?}");
}

#[tokio::test(start_paused = true)]
async fn silent_tunnel_ends_after_its_idle_timeout() {
    let start = Instant::now();
    let (_client, _upstream, task) = tunnel(Some(TIMEOUT));
    assert_about(stalled(task, start).await, TIMEOUT);
}

#[tokio::test(start_paused = true)]
async fn each_byte_in_either_direction_restarts_the_idle_timeout() {
    let start = Instant::now();
    let (mut client, mut upstream, task) = tunnel(Some(TIMEOUT));
    for round in 0..4 {
        sleep(TIMEOUT * 3 / 4).await;
        let (from, to) =
            if round % 2 == 0 { (&mut client, &mut upstream) } else { (&mut upstream, &mut client) };
        from.write_all(b"x").await.unwrap();
        assert_eq!(to.read_u8().await.unwrap(), b'x');
    }
    assert_about(stalled(task, start).await, TIMEOUT * 4);
}

#[tokio::test(start_paused = true)]
async fn bytes_that_the_other_side_does_not_read_do_not_restart_it() {
    let start = Instant::now();
    let (mut client, _upstream, task) = tunnel(Some(TIMEOUT));
    let sending = tokio::spawn(async move {
        loop {
            sleep(Duration::from_secs(60)).await;
            if client.write_all(&[0; BUFFER]).await.is_err() {
                return;
            }
        }
    });
    // The pipe's buffer is full within minutes.
    let ended = stalled(task, start).await;
    assert!(ended < TIMEOUT + Duration::from_secs(30 * 60), "{ended:?}");
    sending.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn half_closed_tunnel_ends_after_its_idle_timeout() {
    let start = Instant::now();
    let (mut client, mut upstream, task) = tunnel(Some(TIMEOUT));
    client.shutdown().await.unwrap();
    assert_eq!(upstream.read(&mut [0]).await.unwrap(), 0, "the end is forwarded");
    assert_about(stalled(task, start).await, TIMEOUT);
}

#[tokio::test(start_paused = true)]
async fn tunnel_without_an_idle_timeout_stays_open() {
    for timeout in [None, Some(Duration::MAX)] {
        let (mut client, mut upstream, task) = tunnel(timeout);
        sleep(TIMEOUT * 1_000).await;
        client.write_all(b"x").await.unwrap();
        assert_eq!(upstream.read_u8().await.unwrap(), b'x');
        drop((client, upstream));
        assert_eq!(task.await.unwrap().unwrap(), (1, 0));
    }
}

/// Levels, messages and fields of the recorded lines.
#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<String>>>);

impl tracing::Subscriber for Lines {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut line = Line(event.metadata().level().to_string());
        event.record(&mut line);
        self.0.lock().unwrap().push(line.0);
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

struct Line(String);

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.0.push_str(&format!(" {field}={value:?}"));
    }
}

/// The lines of a tunnel that ends with this result.
fn lines(result: io::Result<(u64, u64)>) -> Vec<String> {
    let lines = Lines::default();
    let remote = Some(SocketAddr::from(([127, 0, 0, 1], 9)));
    with_default(lines.clone(), || {
        tokio_test::block_on(log::end(async { result }, remote));
    });
    let lines = lines.0.lock().unwrap();
    lines.clone()
}

#[test]
fn ends_that_neither_side_initiated_are_logged_with_their_reason() {
    let idle = io::Error::new(io::ErrorKind::TimedOut, "no bytes for 60s (tunnel_idle_timeout)");
    let retired = io::Error::new(io::ErrorKind::ConnectionAborted, "the identity was retired");
    let reset = io::Error::from_raw_os_error(104);
    let system_abort = io::Error::from_raw_os_error(103);
    for (name, result, level, message) in [
        ("idle", idle, Level::INFO, "message=tunnel closed: no bytes for 60s (tunnel_idle_timeout)"),
        ("retired", retired, Level::INFO, "message=tunnel ended after the drain timeout"),
        ("reset", reset, Level::DEBUG, "message=tunnel ended early"),
        ("aborted by the system", system_abort, Level::DEBUG, "message=tunnel ended early"),
    ] {
        let lines = lines(Err(result));
        let [line] = &lines[..] else { panic!("{name}: {lines:?}") };
        assert!(line.starts_with(&level.to_string()) && line.contains(message), "{name}: {line}");
        assert!(line.contains("remote=127.0.0.1:9"), "{name}: {line}");
    }
    assert!(lines(Ok((1, 2))).is_empty());
}

#[test]
fn aborted_task_logs_the_end_of_its_tunnel() {
    let recorded = Lines::default();
    with_default(recorded.clone(), || {
        let mut tunnel = tokio_test::task::spawn(log::end(std::future::pending(), None));
        assert!(tunnel.poll().is_pending());
        assert!(recorded.0.lock().unwrap().is_empty());
        drop(tunnel);
    });
    assert_eq!(*recorded.0.lock().unwrap(), ["INFO message=tunnel ended after the drain timeout"]);
}
