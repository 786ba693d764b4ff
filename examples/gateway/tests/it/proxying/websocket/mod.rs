//! Connections that switch to another protocol, mainly WebSocket.

mod echo;
mod refusals;
mod tunnels;

use bytes::Bytes;
use futures_util::{SinkExt, StreamExt};
use http_body_util::Empty;
use hyper_util::rt::TokioIo;
use tokio::{io::AsyncWriteExt, net::TcpStream};
use tokio_rustls::client::TlsStream;
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{
        Error, Message,
        protocol::{CloseFrame, Role, frame::coding::CloseCode},
    },
};

use self::echo::World;
use crate::support::{get, shell, whole};

type Caller = WebSocketStream<TlsStream<TcpStream>>;

/// A WebSocket through the gateway.
async fn open(world: &World, certificate: Option<&str>, path: &str) -> Result<Caller, Error> {
    let stream = world.demo.connect(certificate, b"http/1.1").await;
    let uri = format!("wss://localhost{path}");
    tokio_tungstenite::client_async(uri, stream).await.map(|(socket, _)| socket)
}

#[tokio::test]
async fn text_binary_and_pings_are_echoed_under_the_routes_identity() {
    let world = World::start(&["http/1.1"]).await;
    let mut socket = open(&world, Some("client"), "/echo").await.unwrap();
    socket.send(Message::text("grüß Gott")).await.unwrap();
    assert_eq!(socket.next().await.unwrap().unwrap(), Message::text("grüß Gott"));
    let large: Vec<u8> = (0..1 << 20).map(|at: u32| (at % 251) as u8).collect();
    socket.send(Message::binary(large.clone())).await.unwrap();
    assert_eq!(socket.next().await.unwrap().unwrap(), Message::binary(large));
    socket.send(Message::Ping(Bytes::from_static(b"are you there"))).await.unwrap();
    assert_eq!(socket.next().await.unwrap().unwrap(), Message::Pong(Bytes::from_static(b"are you there")));
}

#[tokio::test]
async fn close_of_the_caller_reaches_the_upstream_and_its_reply_the_caller() {
    let mut world = World::start(&["http/1.1"]).await;
    let mut socket = open(&world, Some("client"), "/echo").await.unwrap();
    let frame = CloseFrame { code: CloseCode::Away, reason: "lunch".into() };
    socket.close(Some(frame.clone())).await.unwrap();
    assert_eq!(world.end().await, format!("closed {:?}", Some(frame.clone())));
    assert_eq!(socket.next().await.unwrap().unwrap(), Message::Close(Some(frame)));
    assert!(socket.next().await.is_none(), "the connection ends");
}

#[tokio::test]
async fn close_of_the_upstream_reaches_the_caller_and_its_reply_the_upstream() {
    let mut world = World::start(&["http/1.1"]).await;
    let mut socket = open(&world, Some("client"), "/echo").await.unwrap();
    socket.send(Message::text("bye")).await.unwrap();
    let closed = socket.next().await.unwrap().unwrap();
    let frame = CloseFrame { code: CloseCode::Policy, reason: "as you wish".into() };
    assert_eq!(closed, Message::Close(Some(frame)));
    assert!(socket.next().await.is_none(), "the connection ends");
    assert!(world.end().await.starts_with("closed"));
}

#[tokio::test]
async fn upstream_that_prefers_http_2_gets_the_upgrade_over_http_1() {
    let world = World::start(&["h2", "http/1.1"]).await;
    let mut caller = world.demo.http2(Some("client")).await;
    assert_eq!(whole(caller.send_request(get("/plain")).await.unwrap()).await.0, 200);
    let mut socket = open(&world, Some("client"), "/echo").await.unwrap();
    socket.send(Message::text("hello")).await.unwrap();
    assert_eq!(socket.next().await.unwrap().unwrap(), Message::text("hello"));
    assert_eq!(world.seen(), ["HTTP/2.0 /plain -", "HTTP/1.1 /echo websocket"]);
}

#[tokio::test]
async fn connection_serves_requests_before_its_upgrade() {
    let world = World::start(&["http/1.1"]).await;
    let stream = TokioIo::new(world.demo.connect(Some("client"), b"http/1.1").await);
    let (mut sender, connection) = hyper::client::conn::http1::handshake(stream).await.unwrap();
    tokio::spawn(connection.with_upgrades());
    for _ in 0..2 {
        let response = sender.send_request(get("/plain")).await.unwrap();
        assert_eq!(whole(response).await.0, 200);
        sender.ready().await.unwrap();
    }
    let request = echo::upgrade("/echo", "websocket").body(Empty::<Bytes>::new()).unwrap();
    let response = sender.send_request(request).await.unwrap();
    assert_eq!(response.status(), 101);
    assert_eq!(response.headers()["upgrade"], "websocket");
    assert_eq!(response.headers()["sec-websocket-accept"], "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    let io = TokioIo::new(hyper::upgrade::on(response).await.unwrap());
    let mut socket = WebSocketStream::from_raw_socket(io, Role::Client, None).await;
    socket.send(Message::text("hello")).await.unwrap();
    assert_eq!(socket.next().await.unwrap().unwrap(), Message::text("hello"));
}

#[tokio::test]
async fn vanished_caller_ends_the_upstream_connection() {
    let mut world = World::start(&["http/1.1"]).await;
    let mut socket = open(&world, Some("client"), "/echo").await.unwrap();
    socket.send(Message::text("hello")).await.unwrap();
    socket.next().await.unwrap().unwrap();
    drop(socket);
    assert!(world.end().await.starts_with("failed"));
    // A caller that sends `close_notify`, but no close frame.
    let mut socket = open(&world, Some("client"), "/echo").await.unwrap();
    socket.send(Message::text("hello")).await.unwrap();
    socket.next().await.unwrap().unwrap();
    socket.get_mut().shutdown().await.unwrap();
    assert!(world.end().await.starts_with("failed"));
}

#[tokio::test]
async fn vanished_upstream_ends_the_caller_connection() {
    let mut world = World::start(&["http/1.1"]).await;
    let mut socket = open(&world, Some("client"), "/echo").await.unwrap();
    socket.send(Message::text("die")).await.unwrap();
    assert!(socket.next().await.unwrap().is_err());
    assert_eq!(world.end().await, "died");
}

#[tokio::test]
async fn curl_speaks_websocket_through_the_gateway() {
    if !shell("curl --version").contains("wss") {
        eprintln!("SKIPPED: this curl does not speak ws:// (it takes one of 8.11 or later)");
        return;
    }
    let world = World::start(&["http/1.1"]).await;
    let line = format!(
        "cd {} && curl -sS -T - --cacert ca.pem --cert client.pem --key client.key --max-time 5 \
         wss://localhost:{}/echo <<< hello; true",
        world.demo.dir().display(),
        world.demo.port
    );
    assert!(shell(&line).contains("hello"));
}
