//! A TLS client with a configurable version, protocol, certificate and session store.

use std::{io, net::SocketAddr, sync::Arc};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, header};
use http_body_util::BodyExt;
use hyper::{
    body::Incoming,
    client::conn::{http1, http2},
    ext::ReasonPhrase,
};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::{
    ClientConfig, HandshakeKind, RootCertStore,
    pki_types::{CertificateDer, ServerName},
    sign::{CertifiedKey, SingleCertAndKey},
};
use tokio::net::TcpStream;
use tokio_rustls::{TlsConnector, client::TlsStream};

use super::{Body, Http, Tls, empty, in_time, pki::Authority, provider};

/// Keeps TLS sessions between connections, as rustls does by default.
pub struct Caller {
    config: Arc<ClientConfig>,
    http: Http,
}

impl Caller {
    /// Trusts `root` and presents `key`, if any, even if it does not match its certificate.
    pub fn new(root: &Authority, key: Option<Arc<CertifiedKey>>, tls: Tls, http: Http) -> Self {
        Self::trusting(&[root], key, tls, http)
    }

    /// As [`new`](Self::new) with several roots.
    pub fn trusting(trusted: &[&Authority], key: Option<Arc<CertifiedKey>>, tls: Tls, http: Http) -> Self {
        let mut roots = RootCertStore::empty();
        for root in trusted {
            roots.add(CertificateDer::from(root.der().to_vec())).unwrap();
        }
        let builder = ClientConfig::builder_with_provider(provider())
            .with_protocol_versions(tls.versions())
            .unwrap()
            .with_root_certificates(roots);
        let mut config = match key {
            Some(key) => builder.with_client_cert_resolver(Arc::new(SingleCertAndKey::from(key))),
            None => builder.with_no_client_auth(),
        };
        config.alpn_protocols = vec![http.alpn()];
        Self { config: Arc::new(config), http }
    }

    /// On TLS 1.3 the server's rejection of the certificate shows only on the first read.
    pub async fn handshake(&self, address: SocketAddr) -> io::Result<TlsStream<TcpStream>> {
        self.handshake_on(TcpStream::connect(address).await?).await
    }

    async fn handshake_on(&self, socket: TcpStream) -> io::Result<TlsStream<TcpStream>> {
        socket.set_nodelay(true)?;
        let name = ServerName::try_from("localhost").unwrap();
        let handshake = TlsConnector::from(self.config.clone()).connect(name, socket);
        in_time("a handshake", handshake).await
    }

    pub async fn connect(&self, address: SocketAddr) -> Connection {
        self.connected(self.handshake(address).await.unwrap()).await
    }

    /// As [`connect`](Self::connect) on a connected socket.
    pub async fn connect_on(&self, socket: TcpStream) -> Connection {
        self.connected(self.handshake_on(socket).await.unwrap()).await
    }

    async fn connected(&self, stream: TlsStream<TcpStream>) -> Connection {
        let tls = stream.get_ref().1;
        assert_eq!(tls.alpn_protocol(), Some(&*self.http.alpn()), "the negotiated protocol");
        let kind = tls.handshake_kind().unwrap();
        let stream = TokioIo::new(stream);
        // Errors of a connection are reported to the request that uses it.
        let sender = match self.http {
            Http::One => {
                let (sender, connection) = http1::handshake(stream).await.unwrap();
                tokio::spawn(connection);
                Sender::One(sender)
            }
            Http::Two => {
                let (sender, connection) = http2::handshake(TokioExecutor::new(), stream).await.unwrap();
                tokio::spawn(connection);
                Sender::Two(sender)
            }
        };
        Connection { sender, kind }
    }

    /// One request on a new connection.
    pub async fn get(&self, address: SocketAddr, path: &str) -> Answer {
        self.connect(address).await.get(path).await
    }

    /// As [`get`](Self::get). None: the server closed the connection before the response.
    pub async fn try_get(&self, address: SocketAddr, path: &str) -> Option<Answer> {
        let mut connection = self.connected(self.handshake(address).await.ok()?).await;
        let response = connection.send(Method::GET, path, empty()).await.ok()?;
        Some(in_time("a body", Answer::read(response)).await)
    }
}

enum Sender {
    One(http1::SendRequest<Body>),
    Two(http2::SendRequest<Body>),
}

pub struct Connection {
    sender: Sender,
    kind: HandshakeKind,
}

impl Connection {
    pub fn is_resumed(&self) -> bool {
        self.kind == HandshakeKind::Resumed
    }

    pub fn is_closed(&self) -> bool {
        match &self.sender {
            Sender::One(sender) => sender.is_closed(),
            Sender::Two(sender) => sender.is_closed(),
        }
    }

    pub async fn get(&mut self, path: &str) -> Answer {
        self.answer(Method::GET, path, empty()).await
    }

    pub async fn answer(&mut self, method: Method, path: &str, body: Body) -> Answer {
        let response = self.send(method, path, body).await.unwrap();
        in_time("a body", Answer::read(response)).await
    }

    /// Sends a request and waits for the response head.
    pub async fn send(
        &mut self,
        method: Method,
        path: &str,
        body: Body,
    ) -> hyper::Result<Response<Incoming>> {
        let request = Request::builder().method(method).uri(path);
        self.send_request(request.body(body).unwrap()).await
    }

    /// Sends a request for a path, with the host in the place of the protocol version.
    pub async fn send_request(&mut self, mut request: Request<Body>) -> hyper::Result<Response<Incoming>> {
        match &mut self.sender {
            Sender::One(sender) => {
                let host = HeaderValue::from_static("localhost");
                request.headers_mut().insert(header::HOST, host);
                in_time("readiness", sender.ready()).await?;
                in_time("an answer", sender.send_request(request)).await
            }
            Sender::Two(sender) => {
                let uri = format!("https://localhost{}", request.uri());
                *request.uri_mut() = uri.parse().unwrap();
                in_time("readiness", sender.ready()).await?;
                in_time("an answer", sender.send_request(request)).await
            }
        }
    }
}

#[derive(Debug)]
pub struct Answer {
    pub status: StatusCode,
    /// The reason phrase of HTTP/1.1, if it is not the default one.
    pub reason: Option<String>,
    pub headers: HeaderMap,
    pub body: Bytes,
    pub trailers: Option<HeaderMap>,
}

impl Answer {
    pub async fn read(response: Response<Incoming>) -> Self {
        let (head, body) = response.into_parts();
        let reason = head.extensions.get::<ReasonPhrase>();
        let reason = reason.map(|reason| String::from_utf8_lossy(reason.as_bytes()).into_owned());
        let body = body.collect().await.unwrap();
        let trailers = body.trailers().cloned();
        Self { status: head.status, reason, headers: head.headers, body: body.to_bytes(), trailers }
    }
}
