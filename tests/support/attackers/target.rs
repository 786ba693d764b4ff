//! Servers under attack.

use std::{
    io,
    net::{Ipv4Addr, SocketAddr},
    sync::Arc,
};

use rustls::{
    ClientConfig, ClientConnection, RootCertStore,
    client::WantsClientCert,
    pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, ServerName},
};
use socket2::SockRef;
use tokio::net::{TcpSocket, TcpStream};
use tokio_rustls::{TlsConnector, client::TlsStream};

use super::super::{
    in_time,
    pki::{Issued, Leaf},
};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    Http1,
    Http2,
}

impl Protocol {
    pub const BOTH: [Self; 2] = [Self::Http1, Self::Http2];

    fn alpn(self) -> Vec<u8> {
        match self {
            Self::Http1 => b"http/1.1".to_vec(),
            Self::Http2 => b"h2".to_vec(),
        }
    }
}

/// Paths of a server.
#[derive(Debug, Clone, Copy)]
pub struct Paths {
    /// Responds with more than a socket buffers, or is requested several times.
    pub large: &'static str,
    /// Reads the whole body.
    pub upload: &'static str,
    /// Does not respond.
    pub silent: &'static str,
    /// Switches protocols.
    pub tunnel: &'static str,
    /// Responds with an error to callers without a trusted certificate.
    pub rejected: &'static str,
}

/// A server under attack.
#[derive(Debug, Clone)]
pub struct Target {
    pub(super) address: SocketAddr,
    pub(super) paths: Paths,
    /// True if requests over HTTP/2 claim to be gRPC.
    pub(super) is_grpc: bool,
    roots: Arc<RootCertStore>,
    http1: Arc<ClientConfig>,
    http2: Arc<ClientConfig>,
}

impl Target {
    /// `root` is the root of the server's certificate for `localhost`.
    pub fn new(address: SocketAddr, root: CertificateDer<'static>, paths: Paths) -> Self {
        let mut roots = RootCertStore::empty();
        roots.add(root).unwrap();
        let roots = Arc::new(roots);
        let config = |protocol: Protocol| {
            let mut config = builder(roots.clone()).with_no_client_auth();
            config.alpn_protocols = vec![protocol.alpn()];
            Arc::new(config)
        };
        let (http1, http2) = (config(Protocol::Http1), config(Protocol::Http2));
        Self { address, paths, is_grpc: false, roots, http1, http2 }
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Makes requests over HTTP/2 claim to be gRPC.
    pub fn with_grpc(mut self) -> Self {
        self.is_grpc = true;
        self
    }

    fn config(&self, protocol: Protocol) -> Arc<ClientConfig> {
        match protocol {
            Protocol::Http1 => self.http1.clone(),
            Protocol::Http2 => self.http2.clone(),
        }
    }

    /// Connects from this address. `is_narrow` keeps the receive buffer and the server's send buffer small.
    pub async fn connect(&self, source: Ipv4Addr, is_narrow: bool) -> io::Result<TcpStream> {
        let socket = TcpSocket::new_v4()?;
        socket.bind(SocketAddr::from((source, 0)))?;
        if is_narrow {
            socket.set_recv_buffer_size(4_096)?;
            SockRef::from(&socket).set_tcp_mss(536)?;
        }
        let stream = socket.connect(self.address).await?;
        stream.set_nodelay(true)?;
        Ok(stream)
    }

    pub async fn handshake(&self, socket: TcpStream, protocol: Protocol) -> io::Result<TlsStream<TcpStream>> {
        handshake(self.config(protocol), socket).await
    }

    /// The same with a certificate that the attacker has made.
    pub(super) async fn handshake_with_own_certificate(
        &self,
        socket: TcpStream,
        protocol: Protocol,
    ) -> io::Result<TlsStream<TcpStream>> {
        let Issued { der, key, .. } = Leaf::client("attacker").self_signed();
        let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let chain = vec![CertificateDer::from(der)];
        let mut config = builder(self.roots.clone()).with_client_auth_cert(chain, key).unwrap();
        config.alpn_protocols = vec![protocol.alpn()];
        handshake(Arc::new(config), socket).await
    }

    /// The first flight of a handshake.
    pub(super) fn client_hello(&self, protocol: Protocol) -> Vec<u8> {
        let mut client = ClientConnection::new(self.config(protocol), name()).unwrap();
        let mut hello = Vec::new();
        client.write_tls(&mut hello).unwrap();
        hello
    }
}

fn builder(roots: Arc<RootCertStore>) -> rustls::ConfigBuilder<ClientConfig, WantsClientCert> {
    ClientConfig::builder_with_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
}

async fn handshake(config: Arc<ClientConfig>, socket: TcpStream) -> io::Result<TlsStream<TcpStream>> {
    in_time("a handshake", TlsConnector::from(config).connect(name(), socket)).await
}

fn name() -> ServerName<'static> {
    ServerName::try_from("localhost").unwrap()
}
