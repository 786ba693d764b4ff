//! An upstream that echoes, and records its requests.

use std::{
    convert::Infallible,
    sync::{Arc, Mutex},
};

use bytes::Bytes;
use futures_util::{SinkExt, StreamExt};
use http::{Request, Response, StatusCode, header, request::Builder};
use http_body_util::Full;
use hyper::{body::Incoming, service::service_fn, upgrade::Upgraded};
use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    server::conn::auto,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    sync::mpsc,
};
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{
        Message,
        handshake::derive_accept_key,
        protocol::{CloseFrame, Role, frame::coding::CloseCode},
    },
};

use crate::support::{Demo, Running, fronted, soon, upstream::Upstream};

/// The gateway in front of the upstream.
pub(crate) struct World {
    pub(crate) demo: Demo,
    pub(crate) running: Running,
    pub(crate) upstream: Upstream,
    seen: Arc<Mutex<Vec<String>>>,
    ends: mpsc::UnboundedReceiver<String>,
}

impl World {
    pub(crate) async fn start(alpn: &[&str]) -> Self {
        Self::start_with(alpn, "").await
    }

    pub(crate) async fn start_with(alpn: &[&str], limits: &str) -> Self {
        let demo = Demo::start();
        let (end_tx, ends) = mpsc::unbounded_channel();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let write_down = seen.clone();
        let upstream = Upstream::start(&demo.dir(), alpn, move |stream| {
            let (end_tx, seen) = (end_tx.clone(), write_down.clone());
            async move {
                let service = service_fn(move |request| {
                    let answer = answer(request, &seen, &end_tx);
                    async move { Ok::<_, Infallible>(answer) }
                });
                let server = auto::Builder::new(TokioExecutor::new());
                let _ = server.serve_connection_with_upgrades(TokioIo::new(stream), service).await;
            }
        })
        .await;
        let (running, demo) = fronted::start(demo, upstream.address, limits);
        Self { demo, running, upstream, seen, ends }
    }

    /// Version, path and `Upgrade` of each request so far.
    pub(crate) fn seen(&self) -> Vec<String> {
        self.seen.lock().unwrap().clone()
    }

    /// The upstream's result of the next tunnel that ends.
    pub(crate) async fn end(&mut self) -> String {
        soon(self.ends.recv()).await.unwrap()
    }
}

/// A request for another protocol; its key is that of RFC 6455, section 1.3.
pub(crate) fn upgrade(path: &str, protocol: &str) -> Builder {
    Request::get(path)
        .header("host", "localhost")
        .header("connection", "Upgrade")
        .header("upgrade", protocol)
        .header("sec-websocket-version", "13")
        .header("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==")
}

fn answer(
    mut request: Request<Incoming>,
    seen: &Mutex<Vec<String>>,
    end_tx: &mpsc::UnboundedSender<String>,
) -> Response<Full<Bytes>> {
    let wanted = request.headers().get(header::UPGRADE).map_or("-", |value| value.to_str().unwrap());
    let line = format!("{:?} {} {wanted}", request.version(), request.uri().path());
    seen.lock().unwrap().push(line);
    let mut response = Response::new(Full::default());
    let protocol = match request.uri().path() {
        "/forbidden" => {
            *response.status_mut() = StatusCode::FORBIDDEN;
            *response.body_mut() = Full::from("not here");
            return response;
        }
        "/plain" => {
            *response.body_mut() = Full::from("plain");
            return response;
        }
        // Another protocol than the requested one.
        "/elsewhere" => "elsewhere",
        _ => wanted,
    };
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let headers = response.headers_mut();
    headers.insert("connection", "upgrade".parse().unwrap());
    headers.insert("upgrade", protocol.parse().unwrap());
    let is_websocket = protocol == "websocket";
    if let Some(key) = request.headers().get("sec-websocket-key") {
        headers.insert("sec-websocket-accept", derive_accept_key(key.as_bytes()).parse().unwrap());
    }
    let (switched, end_tx) = (hyper::upgrade::on(&mut request), end_tx.clone());
    tokio::spawn(async move {
        let Ok(io) = switched.await.map(TokioIo::new) else { return };
        let end = if is_websocket { echo_messages(io).await } else { echo_octets(io).await };
        let _ = end_tx.send(end);
    });
    response
}

/// The result of the tunnel.
async fn echo_messages(io: TokioIo<Upgraded>) -> String {
    let mut socket = WebSocketStream::from_raw_socket(io, Role::Server, None).await;
    let mut end = "ended".to_owned();
    while let Some(message) = socket.next().await {
        match message {
            Err(error) => return format!("failed: {error}"),
            Ok(Message::Close(frame)) => end = format!("closed {frame:?}"),
            Ok(Message::Text(text)) if text == "die" => return "died".to_owned(),
            Ok(Message::Text(text)) if text == "bye" => {
                let frame = CloseFrame { code: CloseCode::Policy, reason: "as you wish".into() };
                socket.close(Some(frame)).await.unwrap();
            }
            // The library answers pings.
            Ok(Message::Ping(_)) => {}
            Ok(message) => {
                if let Err(error) = socket.send(message).await {
                    return format!("failed: {error}");
                }
            }
        }
    }
    let _ = socket.get_mut().shutdown().await;
    end
}

/// Reads until the caller has ended, then sends a last message.
async fn echo_octets(mut io: TokioIo<Upgraded>) -> String {
    let mut bytes = [0; 1_024];
    loop {
        match io.read(&mut bytes).await {
            Err(error) => return format!("failed: {error}"),
            Ok(0) => {
                io.write_all(b"last").await.unwrap();
                io.shutdown().await.unwrap();
                return "ended".to_owned();
            }
            Ok(count) => io.write_all(&bytes[..count]).await.unwrap(),
        }
    }
}
