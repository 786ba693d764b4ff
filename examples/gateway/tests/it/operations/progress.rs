//! Deadlines of bodies, streams and connections that make too little progress.

use std::{
    sync::atomic::Ordering,
    time::{Duration, Instant},
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};
use tokio_rustls::client::TlsStream;

use crate::{
    attacks::world::World,
    support::{
        eventually, get, metrics,
        raw_http2::{self, DATA, GO_AWAY, HEADERS, PING, RST_STREAM},
        soon, value, whole,
    },
};

const SECOND: Duration = Duration::from_secs(1);

async fn send(stream: &mut TlsStream<TcpStream>, frame: &[u8]) {
    stream.write_all(frame).await.unwrap();
    stream.flush().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn stream_read_at_a_byte_a_second_is_reset_beside_one_that_makes_progress() {
    let world = World::with_limits(&["http/1.1"], "body_timeout = \"60s\"").await;
    let mut stream = world.connect(world.demo.port, 0).await;
    send(&mut stream, &raw_http2::get(1, "/open/large")).await;
    raw_http2::read_until(&mut stream, HEADERS).await;
    let start = Instant::now();
    let mut next = 3;
    while world.open.load(Ordering::SeqCst) > 0 {
        assert!(start.elapsed() < 9 * SECOND, "no reset");
        for frame in [
            raw_http2::window_update(1, 1),
            raw_http2::frame(PING, 0, 0, &[0; 8]),
            raw_http2::get(next, "/open/small"),
            raw_http2::window_update(next, 1),
        ] {
            send(&mut stream, &frame).await;
        }
        next += 2;
        tokio::time::sleep(SECOND).await;
    }
    assert!(start.elapsed() > 4 * SECOND, "{:?}", start.elapsed());
    assert_eq!(raw_http2::read_until(&mut stream, RST_STREAM).await.stream, 1);
    assert_eq!(world.connections("main").await, 1.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn upload_of_a_byte_a_second_gets_408() {
    let world = World::with_limits(&["http/1.1"], "body_timeout = \"60s\"").await;
    let head = b"POST /open/upload HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\n";
    let mut http1 = world.demo.connect(None, b"http/1.1").await;
    http1.write_all(head).await.unwrap();
    let mut http2 = world.connect(world.demo.port, 65_535).await;
    send(&mut http2, &raw_http2::request(1, "POST", "/open/upload", false)).await;
    let (start, mut received) = (Instant::now(), [0; 12]);
    while tokio::time::timeout(SECOND, http1.read_exact(&mut received)).await.is_err() {
        assert!(start.elapsed() < 9 * SECOND, "no response");
        send(&mut http1, b"x").await;
        send(&mut http2, &raw_http2::frame(DATA, 0, 1, b"x")).await;
    }
    assert_eq!(&received, b"HTTP/1.1 408");
    assert!(start.elapsed() > 4 * SECOND, "{:?}", start.elapsed());
    raw_http2::read_until(&mut http2, HEADERS).await;
    let text = metrics(&world.demo, world.running.management_port()).await;
    let mut lines = text.lines().filter(|line| line.contains("code=\"body_timeout\""));
    assert!(lines.any(|line| line.ends_with(" 2")), "{text}");
    world.running.logged(0, "request body too slow (min_data_rate)");
}

#[tokio::test(flavor = "multi_thread")]
async fn hundred_streams_without_a_window_release_their_upstream() {
    let world = World::with_limits(&["http/1.1"], "body_timeout = \"1s\"").await;
    let mut stream = world.connect(world.demo.port, 0).await;
    for index in 0..100 {
        send(&mut stream, &raw_http2::get(2 * index + 1, "/open/large")).await;
    }
    eventually("the requests to arrive", || world.open.load(Ordering::SeqCst) > 0).await;
    let ended = tokio::spawn(async move { raw_http2::end(&mut stream).await });
    eventually("the upstream to be released", || world.open.load(Ordering::SeqCst) == 0).await;
    ended.abort();
}

#[tokio::test(flavor = "multi_thread")]
async fn response_that_cannot_be_reset_gets_its_connection_go_away_and_an_end() {
    let world = World::with_limits(&["http/1.1"], "body_timeout = \"1s\"").await;
    let mut stream = world.connect(world.demo.port, 1).await;
    // hyper passes on the whole body with its end, of which one byte is sent.
    send(&mut stream, &raw_http2::get(1, "/open/hundred")).await;
    raw_http2::read_until(&mut stream, DATA).await;
    let start = Instant::now();
    // Another request in flight, whose caller owes nothing.
    send(&mut stream, &raw_http2::get(3, "/open/silent")).await;
    raw_http2::read_until(&mut stream, GO_AWAY).await;
    assert!(start.elapsed() < 4 * SECOND, "{:?}", start.elapsed());
    raw_http2::end(&mut stream).await;
    assert!(start.elapsed() < 6 * SECOND, "{:?}", start.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
async fn quiet_response_outlives_the_body_timeout_and_ends_at_the_stream_idle_timeout() {
    let limits = "body_timeout = \"1s\"\nstream_idle_timeout = \"3s\"";
    for alpn in ["http/1.1", "h2"] {
        let world = World::with_limits(&[alpn], limits).await;
        let mut http1 = world.demo.connect(None, b"http/1.1").await;
        http1.write_all(b"GET /open/quiet HTTP/1.1\r\nHost: localhost\r\n\r\n").await.unwrap();
        let mut http2 = world.connect(world.demo.port, 65_535).await;
        let mut sender = world.demo.http2(None).await;
        send(&mut http2, &raw_http2::get(1, "/open/quiet")).await;
        raw_http2::read_until(&mut http2, DATA).await;
        let start = Instant::now();
        let late = soon(sender.send_request(get("/open/late"))).await.unwrap();
        assert_eq!(soon(whole(late)).await.0, 200, "a long poll");
        eventually("both to be open", || world.open.load(Ordering::SeqCst) == 2).await;
        assert_eq!(raw_http2::read_until(&mut http2, RST_STREAM).await.stream, 1);
        assert!((2 * SECOND..6 * SECOND).contains(&start.elapsed()), "{alpn}: {:?}", start.elapsed());
        let mut received = Vec::new();
        let _ = soon(http1.read_to_end(&mut received)).await;
        assert!(!received.ends_with(b"0\r\n\r\n"), "its end is an error");
        eventually("the upstream to be released", || world.open.load(Ordering::SeqCst) == 0).await;
        let text = metrics(&world.demo, world.running.management_port()).await;
        let lines = text.lines().filter(|line| line.contains("code=\"stream_idle_timeout\""));
        assert_eq!(lines.filter(|line| line.ends_with(" 2")).count(), 1, "{text}");
        let line = world.running.logged(0, "response without bytes timed out (stream_idle_timeout)");
        for field in ["method=GET", "path=\"/open/quiet\"", "route=\"/open\"", "remote=127.0.0.1:"] {
            assert!(line.contains(field), "{field}: {line}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_drain_at_their_maximum_age() {
    let limits = "max_connection_age = \"1s\"\ndrain_timeout = \"2s\"";
    let world = World::with_limits(&["http/1.1"], limits).await;
    let mut http2 = world.connect(world.demo.port, 65_535).await;
    let mut finished = world.demo.connect(None, b"http/1.1").await;
    let mut cut = world.demo.connect(None, b"http/1.1").await;
    let start = Instant::now();
    finished.write_all(b"GET /open/late HTTP/1.1\r\nHost: localhost\r\n\r\n").await.unwrap();
    cut.write_all(b"GET /open/quiet HTTP/1.1\r\nHost: localhost\r\n\r\n").await.unwrap();
    raw_http2::read_until(&mut http2, GO_AWAY).await;
    let mut response = String::new();
    soon(finished.read_to_string(&mut response)).await.unwrap();
    assert!(response.starts_with("HTTP/1.1 200") && response.contains("connection: close"), "{response}");
    let _ = soon(cut.read_to_end(&mut Vec::new())).await;
    assert!((2 * SECOND..5 * SECOND).contains(&start.elapsed()), "{:?}", start.elapsed());
    let text = metrics(&world.demo, world.running.management_port()).await;
    let aged = value(&text, "gateway_caller_connections_timed_out_total{timeout=\"age\"}");
    assert!(aged.is_some_and(|count| count >= 3.0), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn unread_connections_are_closed_above_the_limit_of_buffered_bytes() {
    let limits = "body_timeout = \"60s\"\nmin_data_rate = 0\nmax_buffered_bytes = \"4MiB\"";
    let world = World::with_limits(&["h2"], limits).await;
    let mut attackers = Vec::new();
    for _ in 0..40 {
        // Connections above the limit wait.
        let connecting = world.connect(world.demo.port, 0);
        let Ok(mut stream) = tokio::time::timeout(SECOND, connecting).await else { break };
        for index in 0..30 {
            send(&mut stream, &raw_http2::get(2 * index + 1, "/open/large")).await;
        }
        attackers.push(stream);
    }
    world.running.logged(0, "too many buffered bytes: no connections are accepted");
    // The attackers keep their connections; other callers wait for a moment.
    let start = Instant::now();
    soon(world.demo.connect(None, b"http/1.1")).await;
    assert!(start.elapsed() < 10 * SECOND, "{:?}", start.elapsed());
    world.running.logged(0, "fewer buffered bytes: connections are accepted");
    let text = metrics(&world.demo, world.running.management_port()).await;
    let evicted = value(&text, "tower_mtls_connections_closed_total{reason=\"evicted\"}");
    assert!(evicted.is_some_and(|count| count >= 1.0), "{text}");
    drop(attackers);
}
