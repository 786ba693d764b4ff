//! Callers that do not read their responses.

use std::{
    sync::atomic::Ordering,
    time::{Duration, Instant},
};

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::{
    attacks::world::{LARGE, MIB, World},
    support::{
        eventually, get,
        raw_http2::{self, DATA, HEADERS, RST_STREAM},
        soon, whole,
    },
};

const BODY_TIMEOUT: Duration = Duration::from_secs(1);

/// Concurrent requests of an HTTP/2 connection.
const REQUESTS: usize = 20;

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
