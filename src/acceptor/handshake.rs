use crate::shared::Shared;
use std::{io, net::SocketAddr, time::Duration};

use socket2::{SockRef, TcpKeepalive};
use tokio::{net::TcpStream, time};
use tokio_rustls::TlsAcceptor;

use super::{MtlsStream, ServerTls, counted::Counted};

/// Finishes one TLS handshake at a time: for accept loops that are not this crate's.
///
/// [`MtlsListener`](super::MtlsListener) bounds how many run at once; here that is up to the caller. With the
/// feature `axum-server` it is an `axum_server::accept::Accept`.
#[derive(Clone)]
pub struct MtlsAcceptor {
    tls: Shared<ServerTls>,
    timeout: Duration,
}

/// Probes of a silent connection, so that one whose caller is gone without a word ends.
const KEEP_ALIVE: TcpKeepalive =
    TcpKeepalive::new().with_time(Duration::from_secs(60)).with_interval(Duration::from_secs(15));

/// Bytes that the operating system buffers before it has sent them. With more, a slow reader would seem to take nothing
/// for long, and a connection that has been closed would hold memory.
#[cfg(any(target_os = "android", target_os = "linux"))]
const UNSENT: u32 = 128 * 1024;

pub(super) const DEFAULT_TIMEOUT: Duration = Duration::from_secs(10);

impl MtlsAcceptor {
    /// Accepts with a handshake timeout of 10 seconds: a [`ServerTls`](super::ServerTls), or a
    /// [`Shared<ServerTls>`](crate::Shared) that is replaced while connections are accepted.
    pub fn new(tls: impl Into<Shared<ServerTls>>) -> Self {
        Self { tls: tls.into(), timeout: DEFAULT_TIMEOUT }
    }

    /// How long a handshake may take. Default: 10 seconds.
    #[must_use]
    pub fn with_timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Finishes the handshake on a connection from `remote`, whose socket gets `TCP_NODELAY` and TCP keep-alive probes
    /// after 60 seconds of silence, every 15 seconds.
    ///
    /// # Errors
    ///
    /// The handshake fails, or takes longer than the timeout ([`io::ErrorKind::TimedOut`]).
    pub async fn accept(&self, socket: TcpStream, remote: SocketAddr) -> io::Result<MtlsStream> {
        // A failure shows on first use.
        let _ = socket.set_nodelay(true);
        let options = SockRef::from(&socket);
        let _ = options.set_tcp_keepalive(&KEEP_ALIVE);
        #[cfg(any(target_os = "android", target_os = "linux"))]
        let _ = options.set_tcp_notsent_lowat(UNSENT);
        let local = socket.local_addr().ok();
        let tls = TlsAcceptor::from(self.tls.load().config.clone());
        let accepted = match time::timeout(self.timeout, tls.accept(Counted::new(socket))).await {
            Ok(accepted) => accepted,
            Err(_) => Err(io::Error::new(io::ErrorKind::TimedOut, "the TLS handshake took too long")),
        };
        match accepted {
            Ok(stream) => Ok(MtlsStream::new(stream, local, remote)),
            Err(error) => {
                report(&error, remote);
                Err(error)
            }
        }
    }
}

fn report(error: &io::Error, remote: SocketAddr) {
    let reason = if error.kind() == io::ErrorKind::TimedOut { "timeout" } else { "failed" };
    tracing::debug!(%remote, reason, %error, "TLS handshake failed");
    #[cfg(feature = "metrics")]
    metrics::counter!("tower_mtls_handshakes_failed_total", "reason" => reason).increment(1);
}

impl std::fmt::Debug for MtlsAcceptor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MtlsAcceptor").field("timeout", &self.timeout).finish_non_exhaustive()
    }
}
