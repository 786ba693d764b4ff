//! Responses that their upstream truncates.

use bytes::Bytes;
use http_body_util::{BodyExt, Empty};
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::AsyncWriteExt;

use super::upstreams::{HTTP1, World, read_head};
use crate::support::{get, metrics, soon, value};

/// More than any buffer on the way takes.
const LENGTH: usize = 4_000_000;

/// A gateway whose upstream sends a long response without a length, and closes the socket without `close_notify`.
async fn world(route: &str, head: &'static str) -> World {
    World::raw_with(route, HTTP1, move |mut stream| async move {
        if read_head(&mut stream).await.is_some() {
            // The gateway can be gone already.
            let _ = stream.write_all(head.as_bytes()).await;
            let _ = stream.write_all(&[b'x'; LENGTH]).await;
            let _ = stream.flush().await;
        }
    })
    .await
}

/// The received bytes of a response, and whether it ended without an error; HTTP/2 windows are small.
async fn download(world: &World, alpn: &str) -> (usize, bool) {
    let stream = TokioIo::new(world.demo.connect(Some("client"), alpn.as_bytes()).await);
    let response = if alpn == "h2" {
        let mut builder = http2::Builder::new(TokioExecutor::new());
        builder.initial_stream_window_size(10_000).initial_connection_window_size(20_000);
        let (mut sender, connection) = builder.handshake::<_, Empty<Bytes>>(stream).await.unwrap();
        tokio::spawn(connection);
        sender.send_request(get("/")).await
    } else {
        let (mut sender, connection) = http1::handshake(stream).await.unwrap();
        tokio::spawn(connection);
        sender.send_request(get("/")).await
    };
    let mut body = response.unwrap().into_body();
    let mut length = 0;
    loop {
        match soon(body.frame()).await {
            Some(Ok(frame)) => length += frame.data_ref().map_or(0, Bytes::len),
            Some(Err(_)) => return (length, false),
            None => return (length, true),
        }
    }
}

#[tokio::test]
async fn truncated_response_arrives_whole_before_its_error() {
    let world = world("", "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n").await;
    for alpn in ["http/1.1", "h2"] {
        assert_eq!(download(&world, alpn).await, (LENGTH, false), "{alpn}");
    }
    let line = world.running.logged(0, "response truncated");
    let upstream = format!("localhost:{}", world.upstream.address.port());
    for expected in ["WARN", upstream.as_str(), "close_notify", "upstream_close = "] {
        assert!(line.contains(expected), "{expected} in {line}");
    }
    let counted = metrics(&world.demo, world.running.management_port()).await;
    let series = format!(
        "tower_mtls_upstream_errors_total{{identity=\"orders\",upstream=\"{upstream}\",code=\"truncated\"}}"
    );
    assert_eq!(value(&counted, &series), Some(2.0), "{counted}");
}

#[tokio::test]
async fn lenient_route_accepts_the_end_of_the_connection_as_end_of_the_response() {
    for head in ["HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n", "HTTP/1.0 200 OK\r\n\r\n"] {
        let world = world("upstream_close = \"lenient\"", head).await;
        for alpn in ["http/1.1", "h2"] {
            assert_eq!(download(&world, alpn).await, (LENGTH, true), "{head} {alpn}");
        }
        let head = "GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
        assert!(world.ask(head).await.starts_with("HTTP/1.1 200 OK\r\n"));
    }
    let short = "HTTP/1.1 200 OK\r\nContent-Length: 5000000\r\n\r\n";
    let world = self::world("upstream_close = \"lenient\"", short).await;
    for alpn in ["http/1.1", "h2"] {
        assert_eq!(download(&world, alpn).await, (LENGTH, false), "{alpn}");
    }
}
