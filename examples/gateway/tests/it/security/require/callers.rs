//! Callers that keep their TLS sessions, and their connections.

use std::{io, sync::Arc};

use bytes::Bytes;
use http::{Request, header};
use http_body_util::Empty;
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::{
    AlertDescription, ClientConfig, HandshakeKind, SupportedProtocolVersion,
    pki_types::ServerName,
    version::{TLS12, TLS13},
};
use tokio::{io::AsyncReadExt, net::TcpStream};
use tokio_rustls::{TlsConnector, client::TlsStream};

use crate::support::{eventually, get, in_time, whole};

const BODY: &str = "{\"type\":\"about:blank\",\"title\":\"Client certificate not trusted\",\"status\":403,\
                    \"code\":\"client_certificate_not_trusted\"}";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Http {
    One,
    Two,
    Grpc,
}

/// All TLS versions and protocols.
pub(super) fn every_version() -> impl Iterator<Item = (&'static SupportedProtocolVersion, Http)> {
    [&TLS12, &TLS13]
        .into_iter()
        .flat_map(|tls| [Http::One, Http::Two, Http::Grpc].into_iter().map(move |http| (tls, http)))
}

pub(super) struct Caller {
    config: Arc<ClientConfig>,
    http: Http,
}

impl Caller {
    pub(super) fn new(config: ClientConfig, http: Http) -> Self {
        Self { config: Arc::new(config), http }
    }

    async fn handshake(&self, port: u16) -> io::Result<TlsStream<TcpStream>> {
        let socket = TcpStream::connect(("127.0.0.1", port)).await?;
        let name = ServerName::try_from("localhost").unwrap();
        in_time("a handshake", TlsConnector::from(self.config.clone()).connect(name, socket)).await
    }

    /// The alert by which the gateway ends the handshake. On TLS 1.3 it arrives after the caller's own handshake.
    pub(super) async fn alert(&self, port: u16) -> AlertDescription {
        let handshake = async { self.handshake(port).await?.read_exact(&mut [0; 1]).await.map(drop) };
        let error = in_time("an alert", handshake).await.expect_err("the handshake fails");
        match error.get_ref().and_then(|error| error.downcast_ref::<rustls::Error>()) {
            Some(rustls::Error::AlertReceived(alert)) => *alert,
            _ => panic!("{error}"),
        }
    }

    pub(super) async fn connect(&self, port: u16) -> Connection {
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
    One(http1::SendRequest<Empty<Bytes>>),
    Two(http2::SendRequest<Empty<Bytes>>),
}

pub(super) struct Connection {
    sender: Sender,
    pub(super) is_resumed: bool,
    http: Http,
}

impl Connection {
    async fn send(&mut self, request: Request<Empty<Bytes>>) -> (u16, http::HeaderMap, String) {
        let sending = async {
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
        };
        whole(in_time("a response", sending).await.unwrap()).await
    }

    /// The status of a plain request.
    pub(super) async fn status(&mut self) -> u16 {
        self.send(get("/")).await.0
    }

    fn is_closed(&self) -> bool {
        match &self.sender {
            Sender::One(sender) => sender.is_closed(),
            Sender::Two(sender) => sender.is_closed(),
        }
    }

    /// Checks that the next request is rejected before routing, and that the connection then ends.
    pub(super) async fn assert_rejected(mut self, case: &str) {
        let mut request = get("/");
        if self.http == Http::Grpc {
            request.headers_mut().insert(header::CONTENT_TYPE, "application/grpc".parse().unwrap());
        }
        let (status, headers, body) = self.send(request).await;
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
