use std::{
    fmt, io,
    net::SocketAddr,
    pin::Pin,
    task::{Context, Poll},
};

#[cfg(feature = "serve")]
use tokio::io::AsyncBufRead;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_rustls::server::TlsStream;

use super::{connection_state::ConnectionState, socket::Socket};
use crate::{certificate::Presented, request::Capture, workers::Seat};

/// An accepted TLS connection, with the certificate that its caller presented.
///
/// ```
/// # #[cfg(feature = "aws-lc-rs")]
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let made = rcgen::generate_simple_self_signed(["localhost".to_owned()])?;
/// # let (chain, key) = (made.cert.pem(), made.signing_key.serialize_pem());
/// # let mut roots = rustls::RootCertStore::empty();
/// # roots.add(made.cert.der().clone())?;
/// # let provider = std::sync::Arc::new(rustls::crypto::aws_lc_rs::default_provider());
/// # let config = rustls::ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
/// # let config = config.with_root_certificates(roots).with_no_client_auth();
/// # let connector = tokio_rustls::TlsConnector::from(std::sync::Arc::new(config));
/// # let tls = tower_mtls::ServerTls::from_pem(chain, key)?;
/// # let mut listener = tower_mtls::MtlsListener::bind("127.0.0.1:0", tls).await?;
/// # let socket = tokio::net::TcpStream::connect(listener.local_addr()).await?;
/// # let client = tokio::spawn(async move { connector.connect("localhost".try_into().unwrap(), socket).await });
/// use tower_mtls::acceptor::MtlsStream;
///
/// let (stream, remote): (MtlsStream, _) = listener.accept().await;
/// assert_eq!(stream.remote_addr(), remote);
/// assert!(!stream.is_http2());
/// let service = stream.capture("service of this connection");
/// # drop(service);
/// # client.await??;
/// # Ok(())
/// # }
/// # #[cfg(not(feature = "aws-lc-rs"))]
/// # fn main() {}
/// ```
pub struct MtlsStream {
    tls: TlsStream<Socket>,
    presented: Presented,
    local: Option<SocketAddr>,
    remote: SocketAddr,
    /// None: without workers.
    seat: Option<Seat>,
}

impl MtlsStream {
    pub(super) fn new(
        tls: TlsStream<Socket>,
        presented: Presented,
        local: Option<SocketAddr>,
        remote: SocketAddr,
    ) -> Self {
        Self { tls, presented, local, remote, seat: None }
    }

    /// The connection is on a worker.
    pub(super) fn with_seat(self, seat: Option<Seat>) -> Self {
        Self { seat, ..self }
    }

    /// Returns the runtime of the connection's worker. None: without workers.
    #[cfg(feature = "serve")]
    pub(crate) fn runtime(&self) -> Option<&tokio::runtime::Handle> {
        self.seat.as_ref().map(Seat::runtime)
    }

    /// The listener hands the connection over.
    pub(super) fn end_handshake(&mut self) {
        self.tls.get_mut().0.end_handshake();
    }

    /// Waits until a byte or the end of file can be read. Reads no byte.
    #[cfg(feature = "serve")]
    pub(crate) fn poll_readable(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tls).poll_fill_buf(cx).map_ok(drop)
    }

    /// Wraps a service so that its layers see the certificate that this connection's caller presented.
    pub fn capture<S>(&self, service: S) -> Capture<S> {
        Capture::new(service, self.presented.clone(), Some(self.remote))
    }

    /// The state that the connection shares with its listener.
    #[cfg(feature = "serve")]
    pub(crate) fn state(&self) -> &std::sync::Arc<ConnectionState> {
        self.tls.get_ref().0.state()
    }

    #[cfg_attr(
        not(any(feature = "axum", feature = "serve", feature = "tonic")),
        expect(dead_code, reason = "for adapters and the server")
    )]
    pub(crate) fn presented(&self) -> &Presented {
        &self.presented
    }

    /// The remote address.
    pub fn remote_addr(&self) -> SocketAddr {
        self.remote
    }

    /// The local address, if known.
    pub fn local_addr(&self) -> Option<SocketAddr> {
        self.local
    }

    /// Bytes that the operating system has accepted on this connection, TLS overhead included.
    ///
    /// TLS buffers writes, so only this count shows whether the caller still reads.
    pub fn written(&self) -> u64 {
        self.tls.get_ref().0.written()
    }

    /// Returns true if HTTP/2 was negotiated by ALPN.
    pub fn is_http2(&self) -> bool {
        self.tls.get_ref().1.alpn_protocol() == Some(b"h2")
    }

    /// Returns true if the handshake resumed an earlier session.
    pub fn is_resumed(&self) -> bool {
        self.tls.get_ref().1.handshake_kind() == Some(rustls::HandshakeKind::Resumed)
    }

    /// The server name that the caller sent (SNI), lower-case.
    pub fn server_name(&self) -> Option<&str> {
        self.tls.get_ref().1.server_name()
    }
}

impl fmt::Debug for MtlsStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MtlsStream")
            .field("remote", &self.remote)
            .field("presented", &self.presented)
            .finish_non_exhaustive()
    }
}

impl AsyncRead for MtlsStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tls).poll_read(cx, buf)
    }
}

impl AsyncWrite for MtlsStream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.tls).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.tls).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.tls.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tls).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tls).poll_shutdown(cx)
    }
}
