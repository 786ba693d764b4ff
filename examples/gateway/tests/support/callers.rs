//! Callers that keep their TLS sessions, and their connections.

use std::{convert::Infallible, io, sync::Arc};

use bytes::Bytes;
use http::{Request, Response, header};
use http_body_util::{BodyExt, combinators::BoxBody};
use hyper::{
    body::Incoming,
    client::conn::{http1, http2},
};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::{
    AlertDescription, ClientConfig, HandshakeKind, RootCertStore, SupportedProtocolVersion,
    pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, ServerName},
    version::{TLS12, TLS13},
};
use tokio::{io::AsyncReadExt, net::TcpStream};
use tokio_rustls::{TlsConnector, client::TlsStream};

use super::{
    eventually, get, in_time,
    pki::{Authority, Issued},
    whole,
};

pub type Body = BoxBody<Bytes, Infallible>;

const BODY: &str = "{\"type\":\"about:blank\",\"title\":\"Client certificate not trusted\",\"status\":403,\
                    \"code\":\"client_certificate_not_trusted\"}";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Http {
    One,
    Two,
    Grpc,
}

/// All TLS versions and protocols.
pub fn every_version() -> impl Iterator<Item = (&'static SupportedProtocolVersion, Http)> {
    [&TLS12, &TLS13]
        .into_iter()
        .flat_map(|tls| [Http::One, Http::Two, Http::Grpc].into_iter().map(move |http| (tls, http)))
}

/// A caller that keeps its TLS sessions.
pub struct Caller {
    config: Arc<ClientConfig>,
    http: Http,
}

impl Caller {
    /// Trusts `root`, and presents this certificate, if any.
    pub fn new(
        root: &Authority,
        certificate: Option<&Issued>,
        tls: &'static SupportedProtocolVersion,
        http: Http,
    ) -> Self {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from(root.der().to_vec())).unwrap();
        let builder =
            ClientConfig::builder_with_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
                .with_protocol_versions(&[tls])
                .unwrap()
                .with_root_certificates(roots);
        let mut config = match certificate {
            None => builder.with_no_client_auth(),
            Some(issued) => {
                let chain = vec![CertificateDer::from(issued.der.clone())];
                let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(issued.key.serialize_der()));
                builder.with_client_auth_cert(chain, key).unwrap()
            }
        };
        let alpn: &[u8] = if http == Http::One { b"http/1.1" } else { b"h2" };
        config.alpn_protocols = vec![alpn.to_vec()];
        Self { config: Arc::new(config), http }
    }

    pub async fn handshake(&self, port: u16) -> io::Result<TlsStream<TcpStream>> {
        let socket = TcpStream::connect(("127.0.0.1", port)).await?;
        let name = ServerName::try_from("localhost").unwrap();
        in_time("a handshake", TlsConnector::from(self.config.clone()).connect(name, socket)).await
    }

    /// The alert by which the gateway ends the handshake. On TLS 1.3 it arrives after the caller's own handshake.
    pub async fn alert(&self, port: u16) -> AlertDescription {
        let handshake = async { self.handshake(port).await?.read_exact(&mut [0; 1]).await.map(drop) };
        let error = in_time("an alert", handshake).await.expect_err("the handshake fails");
        match error.get_ref().and_then(|error| error.downcast_ref::<rustls::Error>()) {
            Some(rustls::Error::AlertReceived(alert)) => *alert,
            _ => panic!("{error}"),
        }
    }

    pub async fn connect(&self, port: u16) -> Connection {
        let stream = self.handshake(port).await.unwrap();
        let is_resumed = stream.get_ref().1.handshake_kind() == Some(HandshakeKind::Resumed);
        let stream = TokioIo::new(stream);
        let sender = if self.http == Http::One {
            let (sender, connection) = http1::handshake(stream).await.unwrap();
            tokio::spawn(connection);
            Sender::One(sender)
        } else {
            let (sender, connection) = http2::handshake(TokioExecutor::new(), stream).await.unwrap();
            tokio::spawn(connection);
            Sender::Two(sender)
        };
        Connection { sender, is_resumed, http: self.http }
    }
}

enum Sender {
    One(http1::SendRequest<Body>),
    Two(http2::SendRequest<Body>),
}

pub struct Connection {
    sender: Sender,
    pub is_resumed: bool,
    pub http: Http,
}

impl Connection {
    /// Sends a request; waits for the head of its response.
    pub async fn send<B>(&mut self, request: Request<B>) -> Response<Incoming>
    where
        B: hyper::body::Body<Data = Bytes, Error = Infallible> + Send + Sync + 'static,
    {
        in_time("a response", self.try_send(request)).await.unwrap()
    }

    /// The same, which can fail.
    pub async fn try_send<B>(&mut self, request: Request<B>) -> hyper::Result<Response<Incoming>>
    where
        B: hyper::body::Body<Data = Bytes, Error = Infallible> + Send + Sync + 'static,
    {
        let request = request.map(BodyExt::boxed);
        match &mut self.sender {
            Sender::One(sender) => {
                sender.ready().await?;
                sender.send_request(request).await
            }
            Sender::Two(sender) => {
                sender.ready().await?;
                sender.send_request(request).await
            }
        }
    }

    /// The status of a plain request.
    pub async fn status(&mut self) -> u16 {
        whole(self.send(get("/")).await).await.0
    }

    pub fn is_closed(&self) -> bool {
        match &self.sender {
            Sender::One(sender) => sender.is_closed(),
            Sender::Two(sender) => sender.is_closed(),
        }
    }

    /// Checks that the next request is rejected before routing, and that the connection then ends.
    pub async fn assert_rejected(mut self, case: &str) {
        let mut request = get("/");
        if self.http == Http::Grpc {
            request.headers_mut().insert(header::CONTENT_TYPE, "application/grpc".parse().unwrap());
        }
        let (status, headers, body) = whole(self.send(request).await).await;
        if self.http == Http::Grpc {
            assert_eq!((status, &headers["grpc-status"]), (200, &"7".parse().unwrap()), "{case}");
            assert_eq!(headers["grpc-message"], "client_certificate_not_trusted", "{case}");
        } else {
            assert_eq!((status, body.as_str()), (403, BODY), "{case}");
            assert_eq!(headers[header::CONTENT_TYPE], "application/problem+json", "{case}");
        }
        let close = (self.http == Http::One).then(|| "close".parse().unwrap());
        assert_eq!(headers.get(header::CONNECTION), close.as_ref(), "{case}");
        eventually("the end of the connection", || self.is_closed()).await;
    }
}
