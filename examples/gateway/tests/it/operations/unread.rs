//! Callers that do not read their responses.

use std::{
    convert::Infallible,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::BodyExt;
use hyper::{body::Incoming, service::service_fn};
use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    server::conn::auto,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};
use tokio_rustls::client::TlsStream;

use crate::support::{
    Demo, Running, eventually, fronted, get, metrics,
    raw_http2::{self, DATA, HEADERS, RST_STREAM},
    soon,
    upstream::Upstream,
    value, whole,
};

const BODY_TIMEOUT: Duration = Duration::from_secs(1);

/// The latest end of a connection after its request.
const MAX_DURATION: Duration = Duration::from_secs(3);

/// Concurrent requests of an HTTP/2 connection.
const REQUESTS: usize = 20;

const MIB: usize = 1 << 20;
const LARGE: usize = 64 * MIB;

/// A gateway in front of an upstream that responds to `/open/small` with a byte, to `/open/hundred` with 100, to
/// `/open/mib` with a MiB, to `/open/quiet` with a byte and then nothing, to `/open/late` with a byte after 2 s, to
/// `/open/upload` after the request's body, and to all else with more than any buffer takes.
pub(super) struct World {
    pub(super) demo: Demo,
    pub(super) running: Running,
    #[expect(dead_code, reason = "serves until it is dropped")]
    upstream: Upstream,
    /// Responses of the upstream that have not ended.
    pub(super) open: Arc<AtomicUsize>,
    /// Requests to the upstream.
    asked: Arc<AtomicUsize>,
}

struct OpenResponse(Arc<AtomicUsize>);

impl Drop for OpenResponse {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

impl World {
    async fn start(alpn: &[&str]) -> Self {
        Self::with_limits(alpn, "body_timeout = \"1s\"").await
    }

    pub(super) async fn with_limits(alpn: &[&str], limits: &str) -> Self {
        let demo = Demo::start();
        let open = Arc::new(AtomicUsize::new(0));
        let asked = Arc::new(AtomicUsize::new(0));
        let (counted, asking) = (open.clone(), asked.clone());
        let upstream = Upstream::start(&demo.dir(), alpn, move |stream| {
            let (counted, asking) = (counted.clone(), asking.clone());
            let service = service_fn(move |request: Request<Incoming>| {
                let length = match request.uri().path() {
                    "/open/small" | "/open/late" => 1,
                    "/open/hundred" => 100,
                    "/open/mib" => MIB,
                    _ => LARGE,
                };
                asking.fetch_add(1, Ordering::SeqCst);
                counted.fetch_add(1, Ordering::SeqCst);
                let path = request.uri().path().to_owned();
                let (is_quiet, is_late) = (path == "/open/quiet", path == "/open/late");
                let left = if is_quiet { 1 } else { length };
                let body = Answer { left, is_quiet, open: Some(OpenResponse(counted.clone())) };
                async move {
                    if path == "/open/upload" {
                        let _ = request.into_body().collect().await;
                    }
                    if is_late {
                        tokio::time::sleep(2 * BODY_TIMEOUT).await;
                    }
                    Ok::<_, Infallible>(Response::new(body))
                }
            });
            async move {
                let server = auto::Builder::new(TokioExecutor::new());
                let _ = server.serve_connection(TokioIo::new(stream), service).await;
            }
        })
        .await;
        let (running, demo) = fronted::start(demo, upstream.address, limits);
        Self { demo, running, upstream, open, asked }
    }

    pub(super) async fn connect(&self, port: u16, window: u32) -> TlsStream<TcpStream> {
        let mut stream = self.demo.connect_to(port, None, b"h2").await;
        stream.write_all(&raw_http2::preface(window)).await.unwrap();
        stream
    }

    /// Open connections of a listener's callers, except the one that reads the metrics.
    pub(super) async fn connections(&self, listener: &str) -> f64 {
        let port = self.running.management_port();
        let series = format!("gateway_caller_connections{{listener=\"{listener}\"}}");
        let own = if listener == "management" { 1.0 } else { 0.0 };
        value(&metrics(&self.demo, port).await, &series).unwrap() - own
    }

    /// Waits until a listener has no connections.
    pub(super) async fn disconnected(&self, listener: &str) {
        let deadline = Instant::now() + MAX_DURATION;
        loop {
            // Connections of earlier readings of the metrics can be about to end.
            let open = self.connections(listener).await;
            if open <= 0.0 {
                return;
            }
            assert!(Instant::now() < deadline, "{open} connections of {listener}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

/// A body in pieces of 16 KiB.
struct Answer {
    left: usize,
    /// Stays open without an end.
    is_quiet: bool,
    open: Option<OpenResponse>,
}

impl hyper::body::Body for Answer {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Result<hyper::body::Frame<Bytes>, Infallible>>> {
        static PIECE: [u8; 16_384] = [b'x'; 16_384];
        if self.is_quiet && self.left == 0 {
            return std::task::Poll::Pending;
        }
        let length = self.left.min(PIECE.len());
        self.left -= length;
        let frame = (length > 0).then(|| Ok(hyper::body::Frame::data(Bytes::from_static(&PIECE[..length]))));
        if frame.is_none() {
            self.open = None;
        }
        std::task::Poll::Ready(frame)
    }

    fn size_hint(&self) -> hyper::body::SizeHint {
        if self.is_quiet { Default::default() } else { hyper::body::SizeHint::with_exact(self.left as u64) }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_without_a_window_end_after_the_body_timeout() {
    let world = World::start(&["http/1.1"]).await;
    let management = world.running.management_port();
    for (listener, port, paths) in [
        ("main", world.demo.port, &["/refused", "/open/small", "/open/large", "/%5C"][..]),
        ("management", management, &["/", "/portal/main.js"][..]),
    ] {
        let mut pinned = Vec::new();
        for index in 0..40 {
            let mut stream = world.connect(port, 0).await;
            let path = paths[index % paths.len()];
            stream.write_all(&raw_http2::get(1, path)).await.unwrap();
            pinned.push(tokio::spawn(async move { (path, raw_http2::end(&mut stream).await) }));
        }
        for ended in pinned {
            let (path, elapsed) = ended.await.unwrap();
            assert!((BODY_TIMEOUT / 2..MAX_DURATION).contains(&elapsed), "{listener} {path}: {elapsed:?}");
        }
        world.disconnected(listener).await;
    }
    assert_eq!(world.open.load(Ordering::SeqCst), 0, "the upstream's responses have ended");
    let text = metrics(&world.demo, management).await;
    let closed = value(&text, "gateway_caller_connections_timed_out_total{timeout=\"unread\"}");
    assert_eq!(closed, Some(80.0), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_that_do_not_read_their_socket_end_after_the_body_timeout() {
    let world = World::start(&["http/1.1"]).await;
    let request = "GET /open/large HTTP/1.1\r\nHost: localhost\r\n\r\n".repeat(40);
    let mut http1 = world.demo.connect(None, b"http/1.1").await;
    http1.write_all(request.as_bytes()).await.unwrap();
    // More than a window and the socket's buffers take, and requests whose responses are a head only.
    let mut http2 = world.connect(world.demo.port, 1 << 30).await;
    http2.write_all(&raw_http2::window_update(0, 1 << 30)).await.unwrap();
    for stream in 0..40 {
        http2.write_all(&raw_http2::get(2 * stream + 1, "/open/large")).await.unwrap();
    }
    http2.flush().await.unwrap();
    eventually("the requests to arrive", || world.open.load(Ordering::SeqCst) > 1).await;
    world.disconnected("main").await;
    assert_eq!(world.open.load(Ordering::SeqCst), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn unread_stream_ends_while_the_others_are_served() {
    let world = World::start(&["http/1.1"]).await;
    let mut stream = world.connect(world.demo.port, 0).await;
    stream.write_all(&raw_http2::get(1, "/open/large")).await.unwrap();
    eventually("the request to arrive", || world.open.load(Ordering::SeqCst) == 1).await;
    let start = Instant::now();
    let (mut next, mut is_reset) = (3, false);
    while start.elapsed() < 3 * BODY_TIMEOUT {
        stream.write_all(&raw_http2::get(next, "/open/small")).await.unwrap();
        stream.write_all(&raw_http2::window_update(next, 1)).await.unwrap();
        let data = loop {
            let frame = soon(raw_http2::read(&mut stream)).await.expect("the connection is open");
            match frame.kind {
                DATA => break frame,
                RST_STREAM => is_reset |= frame.stream == 1,
                _ => {}
            }
        };
        assert_eq!((data.stream, data.payload.len()), (next, 1));
        next += 2;
        tokio::time::sleep(BODY_TIMEOUT / 10).await;
    }
    assert_eq!(world.open.load(Ordering::SeqCst), 0, "the upstream's response has been dropped");
    assert!(is_reset, "its end is an error");
    assert_eq!(world.connections("main").await, 1.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn slowly_read_response_is_not_cut() {
    let world = World::start(&["http/1.1"]).await;
    let mut stream = world.connect(world.demo.port, 0).await;
    stream.write_all(&raw_http2::get(1, "/open/mib")).await.unwrap();
    raw_http2::read_until(&mut stream, HEADERS).await;
    let mut read = 0;
    let start = Instant::now();
    while start.elapsed() < 3 * BODY_TIMEOUT {
        for id in [0, 1] {
            stream.write_all(&raw_http2::window_update(id, 10)).await.unwrap();
        }
        read += raw_http2::read_until(&mut stream, DATA).await.payload.len();
        tokio::time::sleep(BODY_TIMEOUT / 4).await;
    }
    stream.write_all(&raw_http2::window_update(0, 1 << 21)).await.unwrap();
    stream.write_all(&raw_http2::window_update(1, 1 << 21)).await.unwrap();
    while read < MIB {
        read += raw_http2::read_until(&mut stream, DATA).await.payload.len();
    }
    assert_eq!(read, MIB);
}

#[tokio::test(flavor = "multi_thread")]
async fn slowly_read_socket_is_not_closed() {
    let world = World::start(&["http/1.1"]).await;
    let mut stream = world.demo.connect(None, b"http/1.1").await;
    stream.write_all(b"GET /open/large HTTP/1.1\r\nHost: localhost\r\n\r\n").await.unwrap();
    stream.flush().await.unwrap();
    let (mut read, mut piece, start) = (0, [0; 16_384], Instant::now());
    while start.elapsed() < 5 * BODY_TIMEOUT {
        read += stream.read(&mut piece).await.expect("the connection is open");
        tokio::time::sleep(BODY_TIMEOUT / 16).await;
    }
    assert!(read < LARGE / 4, "slowly: {read}");
    while read < LARGE {
        let count = soon(stream.read(&mut piece)).await.expect("the connection is open");
        assert!(count > 0, "the response ends after {read} bytes");
        read += count;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn management_answers_while_unread_responses_fill_its_limit() {
    let world = World::with_limits(&["http/1.1"], "body_timeout = \"60s\"").await;
    let management = world.running.management_port();
    let mut pinned = Vec::new();
    for _ in 0..256 {
        let mut stream = world.connect(management, 0).await;
        // More connections than the limit: each of the last ones evicts an earlier one.
        let _ = stream.write_all(&raw_http2::get(1, "/")).await;
        let _ = stream.flush().await;
        pinned.push(stream);
    }
    // Reading a byte now and then does not prevent eviction.
    let trickle = tokio::spawn(async move {
        loop {
            for stream in &mut pinned {
                let _ = stream.write_all(&raw_http2::window_update(1, 1)).await;
                let _ = stream.flush().await;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    });
    for _ in 0..10 {
        let mut stream = world.demo.connect_to(management, None, b"http/1.1").await;
        // Not with the handshake, like a probe over a slow network.
        tokio::time::sleep(Duration::from_millis(50)).await;
        stream
            .write_all(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            .await
            .unwrap();
        let mut answer = String::new();
        let _ = soon(stream.read_to_string(&mut answer)).await;
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    }
    trickle.abort();
}

/// Memory beyond that of an idle gateway, in KiB, with 250 requests of one connection that reads nothing.
async fn memory_of_unread_streams(alpn: &[&str], window: u32, is_grpc: bool) -> i64 {
    let world = World::with_limits(alpn, "body_timeout = \"60s\"").await;
    // One-time allocations.
    let mut sender = world.demo.http2(None).await;
    soon(whole(sender.send_request(get("/open/mib")).await.unwrap())).await;
    drop(sender);
    world.disconnected("main").await;
    let before = world.running.resident_memory() as i64;
    let mut stream = world.connect(world.demo.port, window).await;
    for index in 0..250 {
        let request = if is_grpc { raw_http2::grpc } else { raw_http2::get };
        stream.write_all(&request(2 * index + 1, "/open/mib")).await.unwrap();
    }
    stream.flush().await.unwrap();
    eventually("the requests to arrive", || world.asked.load(Ordering::SeqCst) > REQUESTS).await;
    let (mut most, start) = (0, Instant::now());
    while start.elapsed() < Duration::from_secs(2) {
        most = most.max(world.running.resident_memory() as i64);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    most - before
}

#[tokio::test(flavor = "multi_thread")]
async fn unread_streams_keep_at_most_4_mib() {
    for alpn in [&["http/1.1"], &["h2"]] {
        for window in [0, 1, 65_535] {
            for is_grpc in [false, true] {
                let kib = memory_of_unread_streams(alpn, window, is_grpc).await;
                let case = format!("upstream {alpn:?}, window {window}, gRPC {is_grpc}: {kib} KiB");
                println!("unread streams, {case}");
                assert!(kib <= 4 * 1_024, "{case}");
            }
        }
    }
}
