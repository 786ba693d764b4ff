//! SIGTERM completes all requests in flight.
#![cfg(unix)]

use std::{fs, net::SocketAddr};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::support::{Demo, Running, eventually, get, slow_upstream::SlowUpstream, whole};

/// Serves `/` of this upstream, with a management listener, on free ports.
fn start(demo: Demo, upstream: SocketAddr, limits: &str) -> (Running, Demo) {
    let config = demo.dir().join("drain.toml");
    let text = format!(
        "[listener]\naddress = \"127.0.0.1:0\"\ncertificate = \"server.pem\"\nprivate_key = \"server.key\"\n\
         [management]\naddress = \"127.0.0.1:0\"\ntoken_file = \"management.token\"\n\
         [limits]\n{limits}\n[[routes]]\npath = \"/\"\nupstream = \"http://{upstream}\"\n"
    );
    fs::write(&config, text).unwrap();
    let (running, port) = Running::start(&config);
    (running, demo.on_port(port))
}

#[tokio::test]
async fn callers_with_a_handshake_or_request_under_way_are_answered() {
    let upstream = SlowUpstream::start().await;
    upstream.release();
    let (mut running, demo) = start(Demo::start(), upstream.address, "");
    // One client has connected without a handshake; one keeps its connection after a response.
    let early = TcpStream::connect(("127.0.0.1", demo.port)).await.unwrap();
    let mut kept = demo.http1(None).await;
    assert_eq!(whole(kept.send_request(get("/")).await.unwrap()).await.0, 200);
    kept.ready().await.unwrap();

    running.terminate();
    let (status, headers, _) = whole(kept.send_request(get("/")).await.unwrap()).await;
    assert_eq!(status, 200);
    if let Some(reported) = headers.get("connection") {
        assert_eq!(reported, "close");
    }
    running.logged(0, "draining");
    let mut early = demo.handshake(early, None, b"http/1.1").await.unwrap();
    early.write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n").await.unwrap();
    let mut answer = Vec::new();
    let _ = early.read_to_end(&mut answer).await;
    let answer = String::from_utf8(answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200") && answer.contains("connection: close"), "{answer}");
    assert_eq!(running.ended().await, Some(0));
}

#[tokio::test]
async fn draining_gateway_is_not_ready_accepts_no_caller_and_cuts_off_at_the_timeout() {
    let upstream = SlowUpstream::start().await;
    let (mut running, demo) = start(Demo::start(), upstream.address, "drain_timeout = \"3s\"");
    let management = running.management_port();
    let demo = demo.on_port(management);
    for path in ["/healthz", "/readyz"] {
        let response = demo.http1(None).await.send_request(get(path)).await.unwrap();
        assert_eq!(whole(response).await.0, 200, "{path}");
    }
    let serving = running.logged(0, " address=127.0.0.1:");
    let port: u16 = serving.rsplit(':').next().unwrap().parse().unwrap();
    let demo = demo.on_port(port);
    let mut asking = demo.http1(None).await;
    let asked = tokio::spawn(async move { asking.send_request(get("/")).await.is_err() });
    let idle = demo.http2(None).await;
    upstream.asked(1).await;

    let from = running.lines();
    running.terminate();
    running.logged(from, "draining");
    let demo = demo.on_port(management);
    for (path, expected) in [("/healthz", 200), ("/readyz", 503)] {
        let response = demo.http1(None).await.send_request(get(path)).await.unwrap();
        assert_eq!(whole(response).await.0, expected, "{path}");
    }
    assert!(TcpStream::connect(("127.0.0.1", port)).await.is_err(), "the listener accepts no connection");
    eventually("the GOAWAY of HTTP/2", || idle.is_closed()).await;
    running.logged(from, "cut off after the drain timeout");
    assert!(asked.await.unwrap(), "the request was cut off");
    assert_eq!(running.ended().await, Some(0));
}
