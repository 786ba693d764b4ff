//! The upstream and the caller, which run outside of valgrind.

use std::{
    convert::Infallible,
    net::{Ipv4Addr, SocketAddr},
    path::Path,
};

use bytes::Bytes;
use http::{Request, Response, StatusCode, header};
use http_body_util::{BodyExt, Empty, Full};
use hyper::{
    body::Incoming,
    client::conn::{http1, http2},
    service::service_fn,
};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::pki_types::ServerName;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::{TlsAcceptor, TlsConnector};

use super::{Protocol, REQUESTS, WARM_UP, tls};

/// Length of a response body, in bytes.
const BODY: usize = 1024;

/// Starts an HTTP/1.1 upstream that requires a client certificate.
pub(crate) async fn upstream(folder: &Path) -> SocketAddr {
    let acceptor = TlsAcceptor::from(tls::server(folder, "upstream", &["http/1.1"]));
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        loop {
            let (socket, _) = listener.accept().await.unwrap();
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                socket.set_nodelay(true).unwrap();
                let Ok(stream) = acceptor.accept(socket).await else { return };
                let service = service_fn(async |_: Request<Incoming>| Ok::<_, Infallible>(response()));
                let connection = hyper::server::conn::http1::Builder::new();
                // An error is a proxy that has ended.
                let _ = connection.serve_connection(TokioIo::new(stream), service).await;
            });
        }
    });
    address
}

fn response() -> Response<Full<Bytes>> {
    const BYTES: [u8; BODY] = [b'x'; BODY];
    let response = Response::builder().header(header::CONTENT_TYPE, "text/plain");
    response.header(header::SERVER, "upstream").body(Full::from(&BYTES[..])).unwrap()
}

/// Sends requests one after the other on one connection, and calls `warm` after the first ones.
pub(crate) async fn call(folder: &Path, proxy: SocketAddr, protocol: Protocol, warm: impl FnOnce()) {
    let tls = TlsConnector::from(tls::client(folder, "caller", &[protocol.alpn()]));
    let socket = TcpStream::connect(proxy).await.unwrap();
    socket.set_nodelay(true).unwrap();
    let name = ServerName::try_from("localhost").unwrap();
    let stream = TokioIo::new(tls.connect(name, socket).await.unwrap());
    let mut sender = match protocol {
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
    for _ in 0..WARM_UP {
        sender.call().await;
    }
    warm();
    for _ in 0..REQUESTS {
        sender.call().await;
    }
}

enum Sender {
    Http1(http1::SendRequest<Empty<Bytes>>),
    Http2(http2::SendRequest<Empty<Bytes>>),
}

impl Sender {
    async fn call(&mut self) {
        let response = match self {
            Self::Http1(sender) => {
                sender.ready().await.unwrap();
                sender.send_request(request(Protocol::Http1)).await
            }
            Self::Http2(sender) => {
                sender.ready().await.unwrap();
                sender.send_request(request(Protocol::Http2)).await
            }
        };
        let response = response.unwrap();
        assert_eq!(response.status(), StatusCode::OK);
        assert_eq!(response.into_body().collect().await.unwrap().to_bytes().len(), BODY);
    }
}

fn request(protocol: Protocol) -> Request<Empty<Bytes>> {
    let request = match protocol {
        Protocol::Http1 => Request::get("/orders/42?expand=lines").header(header::HOST, "localhost"),
        Protocol::Http2 => Request::get("https://localhost/orders/42?expand=lines"),
    };
    let request = request.header(header::USER_AGENT, "bench").header(header::ACCEPT, "*/*");
    request.body(Empty::new()).unwrap()
}
