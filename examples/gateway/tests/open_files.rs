//! Separate binary: these tests raise its limit of open files (`RLIMIT_NOFILE`).
#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::{fs, net::SocketAddr, path::PathBuf, process::Command, sync::Arc};

use support::{Demo, Running, eventually, get, raise_open_files, slow_upstream::SlowUpstream, soon, whole};
use tokio::{net::TcpStream, task::JoinSet};

/// Callers with a request in flight. 512 open files make 168 connections to upstreams, of which one route takes 147.
const CALLERS: usize = 140;

/// Writes a configuration that serves `/` of this upstream to callers with a chain to the partners CA, and `/open` to any
/// caller, with a management listener, on free ports.
fn configure(demo: &Demo, upstream: SocketAddr, limits: &str) -> PathBuf {
    let config = demo.dir().join("files.toml");
    let text = format!(
        "[listener]\naddress = \"127.0.0.1:0\"\ncertificate = \"server.pem\"\nprivate_key = \"server.key\"\n\
         [management]\naddress = \"127.0.0.1:0\"\ntoken_file = \"management.token\"\n\
         [limits]\n{limits}\n[trust.demo]\nca = [\"partners-ca.pem\"]\n\
         [[routes]]\npath = \"/\"\nupstream = \"http://{upstream}\"\nclient_certificate = {{ trust = \"demo\" }}\n\
         [[routes]]\npath = \"/open\"\nupstream = \"http://{upstream}\"\n"
    );
    fs::write(&config, text).unwrap();
    config
}

#[tokio::test]
async fn sigterm_with_500_requests_and_50_streams_in_flight_loses_none_and_exits_with_0() {
    raise_open_files();
    let upstream = SlowUpstream::start().await;
    let demo = Demo::start();
    let config = configure(&demo, upstream.address, "drain_timeout = \"60s\"");
    let (mut running, port) = Running::start(&config);
    let demo = demo.on_port(port);
    let mut asking = JoinSet::new();
    for _ in 0..500 {
        let mut sender = demo.http1(None).await;
        asking.spawn(async move { whole(sender.send_request(get("/open")).await.unwrap()).await });
    }
    for _ in 0..5 {
        let sender = demo.http2(None).await;
        for _ in 0..10 {
            let mut sender = sender.clone();
            asking.spawn(async move { whole(sender.send_request(get("/open")).await.unwrap()).await });
        }
    }
    upstream.asked(550).await;
    let from = running.lines();
    running.terminate();
    running.logged(from, "draining");
    upstream.release();
    let mut closing = 0;
    while let Some(answer) = asking.join_next().await {
        let (status, headers, body) = answer.unwrap();
        assert_eq!((status, body.as_str()), (200, "slow"));
        closing += usize::from(headers.get("connection").is_some_and(|value| value == "close"));
    }
    assert_eq!(closing, 500, "HTTP/1.1 responses announce the end of the connection");
    assert_eq!(running.ended().await, Some(0));
    assert_eq!((running.count(from, "cut off"), upstream.requests()), (0, 550));
}

#[tokio::test]
async fn callers_and_their_upstream_connections_are_served_beside_250_management_connections() {
    raise_open_files();
    let upstream = SlowUpstream::start().await;
    let demo = Demo::start();
    let config = configure(&demo, upstream.address, "");
    let mut limited = Command::new("bash");
    limited.args(["-c", "ulimit -n 512; exec \"$0\" \"$@\"", env!("CARGO_BIN_EXE_gateway")]);
    let (running, port) = Running::start_by(limited, &config, "info");
    let (demo, management) = (demo.on_port(port), running.management_port());

    let demo = Arc::new(demo);
    let mut pinned = JoinSet::new();
    for _ in 0..250 {
        let socket = TcpStream::connect(("127.0.0.1", management)).await.unwrap();
        let demo = demo.clone();
        // Beyond the limit, one connection closes another or waits.
        pinned.spawn(async move { demo.handshake(socket, None, b"http/1.1").await });
    }
    let mut asking = JoinSet::new();
    for asked in 1..=CALLERS {
        let mut sender = demo.http1(Some("client")).await;
        asking.spawn(async move { whole(sender.send_request(get("/")).await.unwrap()).await.0 });
        // Admitted: it does not lose its place to the next one.
        eventually("the request at its upstream", || upstream.requests() >= asked).await;
    }
    upstream.release();
    while let Some(status) = soon(asking.join_next()).await {
        assert_eq!(status.unwrap(), 200);
    }
    assert_eq!(running.count(0, "cannot accept connections"), 0);
    drop(pinned);
}
