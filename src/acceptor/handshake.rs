use crate::shared::Shared;
use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use socket2::{SockRef, TcpKeepalive};
use tokio::{net::TcpStream, time};
use tokio_rustls::TlsAcceptor;

use super::{
    MtlsStream, ServerTls, admission::Place, connection_state::ConnectionState,
    recent_certificates::RecentCertificates, socket::Socket,
};

/// TLS acceptor for own accept loops.
///
/// [`MtlsListener`](super::MtlsListener) limits concurrent handshakes; here that is the caller's task. With the feature
/// `axum-server` it implements `axum_server::accept::Accept`.
///
/// ```no_run
/// # async fn accept(tls: tower_mtls::ServerTls) -> std::io::Result<()> {
/// use tokio::net::TcpListener;
/// use tower_mtls::acceptor::MtlsAcceptor;
///
/// let acceptor = MtlsAcceptor::new(tls);
/// let socket = TcpListener::bind("127.0.0.1:8443").await?;
/// let (stream, remote) = socket.accept().await?;
/// let stream = acceptor.accept(stream, remote).await?;
/// assert_eq!(stream.remote_addr(), remote);
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct MtlsAcceptor {
    tls: Shared<ServerTls>,
    recent: Arc<RecentCertificates>,
    timeout: Duration,
}

/// TCP keep-alive, which ends connections of callers that disappeared.
const KEEP_ALIVE: TcpKeepalive =
    TcpKeepalive::new().with_time(Duration::from_secs(60)).with_interval(Duration::from_secs(15));

/// Limit of unsent bytes in the operating system's buffer. With more, a slow reader would appear stalled for long, and
/// closed connections would occupy memory.
#[cfg(any(target_os = "android", target_os = "linux"))]
const MAX_UNSENT: u32 = 128 * 1024;

pub(super) const DEFAULT_TIMEOUT: Duration = Duration::from_secs(10);

impl MtlsAcceptor {
    /// Accepts with a handshake timeout of 10 seconds. `tls` is a [`ServerTls`] or a
    /// [`Shared<ServerTls>`](crate::Shared).
    ///
    /// ```
    /// # #[cfg(any(feature = "aws-lc-rs", feature = "ring"))]
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let made = rcgen::generate_simple_self_signed(["localhost".to_owned()])?;
    /// # let (chain, key) = (made.cert.pem(), made.signing_key.serialize_pem());
    /// use std::time::Duration;
    /// use tower_mtls::{ServerTls, acceptor::MtlsAcceptor};
    ///
    /// let acceptor = MtlsAcceptor::new(ServerTls::from_pem(chain, key)?);
    /// assert_eq!(format!("{acceptor:?}"), "MtlsAcceptor { timeout: 10s, .. }");
    /// # let _ = acceptor.with_timeout(Duration::from_secs(5));
    /// # Ok(())
    /// # }
    /// # #[cfg(not(any(feature = "aws-lc-rs", feature = "ring")))]
    /// # fn main() {}
    /// ```
    pub fn new(tls: impl Into<Shared<ServerTls>>) -> Self {
        Self { tls: tls.into(), recent: Arc::default(), timeout: DEFAULT_TIMEOUT }
    }

    /// Time limit of a handshake. Default: 10 seconds.
    #[must_use]
    pub fn with_timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Completes the handshake on a connection from `remote`. Sets `TCP_NODELAY`, and TCP keep-alive probes every 15
    /// seconds after 60 seconds of silence.
    ///
    /// # Errors
    ///
    /// The handshake fails, or takes longer than the timeout ([`io::ErrorKind::TimedOut`]).
    pub async fn accept(&self, socket: TcpStream, remote: SocketAddr) -> io::Result<MtlsStream> {
        self.accept_at(socket, Arc::new(ConnectionState::new(remote)), None, self.timeout).await
    }

    /// Completes the handshake on a connection that has a place in its listener's table.
    pub(super) async fn accept_at(
        &self,
        socket: TcpStream,
        state: Arc<ConnectionState>,
        place: Option<Place>,
        timeout: Duration,
    ) -> io::Result<MtlsStream> {
        let remote = state.remote();
        // Failures show at the first use of the socket.
        let _ = socket.set_nodelay(true);
        let options = SockRef::from(&socket);
        let _ = options.set_tcp_keepalive(&KEEP_ALIVE);
        #[cfg(any(target_os = "android", target_os = "linux"))]
        let _ = options.set_tcp_notsent_lowat(MAX_UNSENT);
        let local = socket.local_addr().ok();
        let tls = TlsAcceptor::from(self.tls.load().config.clone());
        let accepted =
            match time::timeout(timeout, tls.accept(Socket::new(socket, state.clone(), place))).await {
                Ok(accepted) => accepted,
                Err(_) => Err(io::Error::new(io::ErrorKind::TimedOut, "the TLS handshake timed out")),
            };
        match accepted {
            Ok(stream) => {
                state.establish();
                let chain = stream.get_ref().1.peer_certificates().unwrap_or_default();
                let presented = self.recent.presented(chain);
                Ok(MtlsStream::new(stream, presented, local, remote))
            }
            Err(error) => {
                report(&error, remote);
                Err(error)
            }
        }
    }
}

fn report(error: &io::Error, remote: SocketAddr) {
    let reason = match error.kind() {
        io::ErrorKind::TimedOut => "timeout",
        // Closed by the listener.
        io::ErrorKind::ConnectionAborted if error.raw_os_error().is_none() => "given_up",
        _ => "failed",
    };
    tracing::debug!(%remote, reason, %error, "TLS handshake failed");
    #[cfg(feature = "metrics")]
    metrics::counter!("tower_mtls_handshakes_failed_total", "reason" => reason).increment(1);
}

impl std::fmt::Debug for MtlsAcceptor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MtlsAcceptor").field("timeout", &self.timeout).finish_non_exhaustive()
    }
}
