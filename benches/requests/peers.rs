//! The upstream and the caller, which run outside of valgrind.

use std::{
    net::{Ipv4Addr, SocketAddr},
    path::Path,
};

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode, header};
use http_body_util::{BodyExt, Full};
use hyper::{
    body::Incoming,
    client::conn::{http1, http2},
    server::conn,
    service::service_fn,
};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::{HandshakeKind, pki_types::ServerName};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::{TlsAcceptor, TlsConnector};

use super::{Protocol, REQUESTS, WARM_UP, tls};

/// Length of a response body, in bytes.
pub(crate) const BODY: usize = 1024;

/// Length of the response bodies of paths that end with `/large`, in bytes.
pub(crate) const LARGE_BODY: usize = 1 << 20;

/// Contents of bodies.
pub(crate) static BYTES: [u8; LARGE_BODY] = [b'x'; LARGE_BODY];

/// The path of the requests that count.
pub(crate) const PATH: &str = "/orders/42?expand=lines";

/// The field of a response to a POST with the length of the body that the upstream has received.
pub(crate) const RECEIVED: &str = "received";

/// Starts an upstream that requires a client certificate.
pub(crate) async fn upstream(folder: &Path, protocol: Protocol) -> SocketAddr {
    let acceptor = TlsAcceptor::from(tls::server(folder, "upstream", &[protocol.alpn()]));
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        loop {
            let (socket, _) = listener.accept().await.unwrap();
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                socket.set_nodelay(true).unwrap();
                let Ok(stream) = acceptor.accept(socket).await else { return };
                let (stream, service) = (TokioIo::new(stream), service_fn(respond));
                // An error is a proxy that has ended.
                let _ = match protocol {
                    Protocol::Http1 => conn::http1::Builder::new().serve_connection(stream, service).await,
                    Protocol::Http2 => {
                        let builder = conn::http2::Builder::new(TokioExecutor::new());
                        builder.serve_connection(stream, service).await
                    }
                };
            });
        }
    });
    address
}

async fn respond(request: Request<Incoming>) -> Result<Response<Full<Bytes>>, hyper::Error> {
    let length = if request.uri().path().ends_with("/large") { LARGE_BODY } else { BODY };
    let mut response = Response::builder().header(header::CONTENT_TYPE, "text/plain");
    if request.method() == Method::POST {
        let received = request.into_body().collect().await?.to_bytes().len();
        response = response.header(RECEIVED, received);
    }
    Ok(response.header(header::SERVER, "upstream").body(Full::from(&BYTES[..length])).unwrap())
}

/// Sends requests one after the other on one connection, and calls `warm` after the first ones.
pub(crate) async fn call(folder: &Path, proxy: SocketAddr, protocol: Protocol, warm: impl FnOnce()) {
    let tls = TlsConnector::from(tls::client(folder, "caller", &[protocol.alpn()]));
    let (mut sender, _) = connect(&tls, proxy, protocol).await;
    for _ in 0..WARM_UP {
        sender.call().await;
    }
    warm();
    for _ in 0..REQUESTS {
        sender.call().await;
    }
}

/// Connects to the proxy.
pub(crate) async fn connect(
    tls: &TlsConnector,
    proxy: SocketAddr,
    protocol: Protocol,
) -> (Sender, HandshakeKind) {
    let socket = TcpStream::connect(proxy).await.unwrap();
    socket.set_nodelay(true).unwrap();
    let name = ServerName::try_from("localhost").unwrap();
    let stream = tls.connect(name, socket).await.unwrap();
    let handshake = stream.get_ref().1.handshake_kind().unwrap();
    let stream = TokioIo::new(stream);
    let sender = match protocol {
        Protocol::Http1 => {
            let (sender, connection) = http1::handshake(stream).await.unwrap();
            tokio::spawn(connection);
            Sender::Http1(sender)
        }
        Protocol::Http2 => {
            let (sender, connection) = http2::handshake(TokioExecutor::new(), stream).await.unwrap();
            tokio::spawn(connection);
            Sender::Http2(sender)
        }
    };
    (sender, handshake)
}

pub(crate) enum Sender {
    Http1(http1::SendRequest<Full<Bytes>>),
    Http2(http2::SendRequest<Full<Bytes>>),
}

impl Sender {
    async fn call(&mut self) {
        let response = self.send(PATH, &[]).await;
        assert_eq!(response.status(), StatusCode::OK);
        assert_eq!(response.body().len(), BODY);
    }

    /// Sends a request, which is a POST if it has a body, and reads the response.
    pub(crate) async fn send(&mut self, path: &str, body: &'static [u8]) -> Response<Bytes> {
        let method = if body.is_empty() { Method::GET } else { Method::POST };
        let request = Request::builder().method(method);
        let request = match self {
            Self::Http1(_) => request.uri(path).header(header::HOST, "localhost"),
            Self::Http2(_) => request.uri(format!("https://localhost{path}")),
        };
        let request = request.header(header::USER_AGENT, "bench").header(header::ACCEPT, "*/*");
        let request = request.body(Full::from(body)).unwrap();
        let response = match self {
            Self::Http1(sender) => {
                sender.ready().await.unwrap();
                sender.send_request(request).await
            }
            Self::Http2(sender) => {
                sender.ready().await.unwrap();
                sender.send_request(request).await
            }
        };
        let (head, body) = response.unwrap().into_parts();
        Response::from_parts(head, body.collect().await.unwrap().to_bytes())
    }

    /// Splits the connection into senders of concurrent requests, in HTTP/1.1 a single one.
    pub(crate) fn split(self, streams: usize) -> Vec<Self> {
        match self {
            Self::Http1(_) => vec![self],
            Self::Http2(sender) => (0..streams).map(|_| Self::Http2(sender.clone())).collect(),
        }
    }
}
