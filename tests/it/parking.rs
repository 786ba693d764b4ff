//! HTTP/1.1 connections that release their buffers between requests.
#![cfg(all(feature = "serve", feature = "axum", any(feature = "aws-lc-rs", feature = "ring")))]

use std::{future::pending, net::SocketAddr, sync::Arc, time::Duration};

use axum::{Router, body::to_bytes, extract::Request, routing::post};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    task::JoinSet,
    time::sleep,
};
use tokio_rustls::client::TlsStream;
use tower_mtls::{MtlsListener, ServerTls, acceptor::ListenerLimits, serve};

use crate::support::{
    Http, Tls,
    caller::Caller,
    in_time,
    pki::{Authority, Leaf},
    server::Server,
};

/// An idle connection is parked within this time.
const IDLE: Duration = Duration::from_millis(800);

/// Responds with the body of the request. `/early` does not read it.
fn app() -> Router {
    let echo = async |request: Request| to_bytes(request.into_body(), usize::MAX).await.unwrap();
    Router::new().route("/", post(echo)).route("/early", post(async || "early"))
}

fn request(path: &str, body: &str) -> String {
    format!("POST {path} HTTP/1.1\r\nhost: localhost\r\ncontent-length: {}\r\n\r\n{body}", body.len())
}

async fn send(stream: &mut TlsStream<TcpStream>, text: &str) {
    stream.write_all(text.as_bytes()).await.unwrap();
    stream.flush().await.unwrap();
}

/// Reads the response with this body, and nothing after it.
async fn read_response(case: &str, stream: &mut TlsStream<TcpStream>, body: &str) {
    let mut response = String::new();
    while !response.ends_with(&format!("\r\n\r\n{body}")) {
        let mut bytes = [0; 1_024];
        let length = in_time("a response", stream.read(&mut bytes)).await.unwrap();
        assert!(length > 0, "{case}: ended after {response:?}");
        response += std::str::from_utf8(&bytes[..length]).unwrap();
    }
    assert_eq!(response.matches("HTTP/1.1 200").count(), 1, "{case}: {response:?}");
}

struct Scene {
    caller: Caller,
    address: SocketAddr,
}

impl Scene {
    async fn connect(&self) -> TlsStream<TcpStream> {
        self.caller.handshake(self.address).await.unwrap()
    }
}

#[tokio::test]
async fn connection_serves_requests_after_it_was_idle() {
    let root = Authority::root("Root");
    let certificate = root.issue(&Leaf::server());
    let tls = ServerTls::from_pem(certificate.chain_pem(), certificate.key_pem()).unwrap();
    let server = Server::start(async move |socket| {
        let listener = MtlsListener::new(socket, tls, ListenerLimits::default()).unwrap();
        serve(listener, app()).await;
    });
    let caller = Caller::new(&root, None, Tls::V13, Http::One);
    let scene = Arc::new(Scene { caller, address: server.address() });

    // Before the pause and after it, and the response before it.
    let (first, second) = (request("/", "first"), request("/", "second"));
    let early = request("/early", &"x".repeat(30_000));
    let cases = [
        ("nothing", String::new(), second.clone(), None),
        ("request", first.clone(), second.clone(), Some("first")),
        ("request and an empty line", format!("{first}\r\n"), second.clone(), Some("first")),
        ("empty line after the pause", first.clone(), format!("\r\n{second}"), Some("first")),
        ("first byte of a head", first.clone() + &second[..1], second[1..].to_owned(), Some("first")),
        ("half of a head", second[..30].to_owned(), second[30..].to_owned(), None),
        ("half of a body", second[..second.len() - 3].to_owned(), "ond".to_owned(), None),
        ("early response", early, second, Some("early")),
    ];
    let mut connections = JoinSet::new();
    for (name, before, after, first) in cases {
        let scene = scene.clone();
        connections.spawn(async move {
            let mut stream = scene.connect().await;
            send(&mut stream, &before).await;
            if let Some(body) = first {
                read_response(name, &mut stream, body).await;
            }
            sleep(IDLE).await;
            send(&mut stream, &after).await;
            read_response(name, &mut stream, "second").await;
        });
    }
    connections.join_all().await;
}

#[tokio::test]
async fn parked_connection_ends_with_its_caller_and_with_its_server() {
    let root = Authority::root("Root");
    let certificate = root.issue(&Leaf::server());
    let tls = ServerTls::from_pem(certificate.chain_pem(), certificate.key_pem()).unwrap();
    let (drain, drained) = tokio::sync::oneshot::channel::<()>();
    let server = Server::start(async move |socket| {
        let listener = MtlsListener::new(socket, tls, ListenerLimits::default()).unwrap();
        let shutdown = async { drop(drained.await) };
        serve(listener, app()).with_graceful_shutdown(shutdown).await;
        // A server must not end before its test.
        pending::<()>().await;
    });
    let scene = Scene { caller: Caller::new(&root, None, Tls::V13, Http::One), address: server.address() };
    let (mut closing, mut open) = (scene.connect().await, scene.connect().await);
    for stream in [&mut closing, &mut open] {
        send(stream, &request("/", "first")).await;
        read_response("first", stream, "first").await;
    }
    sleep(IDLE).await;
    closing.shutdown().await.unwrap();
    let end = in_time("the end", closing.read(&mut [0; 16])).await;
    assert_eq!(end.unwrap(), 0);
    drop(drain);
    let end = in_time("the end", open.read(&mut [0; 16])).await;
    assert_eq!(end.unwrap(), 0);
}
