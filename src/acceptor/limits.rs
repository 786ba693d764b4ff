use std::time::Duration;

use ipnet::IpNet;

use super::handshake::DEFAULT_TIMEOUT;
use crate::shared::sealed::Sealed;

/// Open files that are reserved for other purposes than connections.
const RESERVED_FILES: u64 = 64;

/// Default limit of connections where the limit of open files is unlimited or unknown.
const MAX_CONNECTIONS: usize = 100_000;

/// Limits of a listener, on connections that have not shown yet whether they are admitted, and on all together. Replaced
/// at run time through a [`Shared`](crate::Shared): effective on the next connection.
///
/// From three quarters of the limit of connections on, each new connection closes another one, in this order:
///
/// 1. no request in flight, and none ever admitted by a layer; the handshake included;
/// 2. requests in flight, none of which makes progress because of its caller;
/// 3. no request in flight, the longest idle first;
/// 4. requests in flight, none of which a layer admitted, the slowest first.
///
/// Admitted requests that make progress are never closed. In 1, 2 and 4 the address that holds most connections loses
/// first; an IPv6 network of 64 bits counts as one address. In 1, connections of less than half a second go last,
/// and an eighth of the limit of them is not closed; more of them are churn, for which 3 and 4 are not closed. Without
/// [`serve`](crate::serve()) the listener cannot see requests: connections belong to 1 until a layer has admitted a
/// request, and to 3 afterwards.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let made = rcgen::generate_simple_self_signed(["localhost".to_owned()])?;
/// # let (chain, key) = (made.cert.pem(), made.signing_key.serialize_pem());
/// use std::time::Duration;
/// use tokio::net::TcpListener;
/// use tower_mtls::{MtlsListener, ServerTls, acceptor::ListenerLimits};
///
/// let limits = ListenerLimits::default()
///     .with_connections(10_000)
///     .with_connections_per_address(Some(500))
///     .with_exempt_networks(["10.0.0.0/8".parse()?])
///     .with_handshakes(256)
///     .with_handshake_timeout(Duration::from_secs(5));
/// let socket = TcpListener::bind("127.0.0.1:0").await?;
/// let listener = MtlsListener::new(socket, ServerTls::from_pem(chain, key)?, limits)?;
/// assert_ne!(listener.local_addr().port(), 0);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
pub struct ListenerLimits {
    pub(super) connections: usize,
    pub(super) connections_per_address: Option<usize>,
    pub(super) handshakes: usize,
    pub(super) handshakes_per_address: Option<usize>,
    pub(super) exempt_networks: Vec<IpNet>,
    pub(super) handshake_timeout: Duration,
    pub(super) idle_timeout: Option<Duration>,
    pub(super) stall_timeout: Option<Duration>,
}

impl Default for ListenerLimits {
    fn default() -> Self {
        Self {
            connections: default_connections(),
            connections_per_address: None,
            handshakes: 1_024,
            handshakes_per_address: None,
            exempt_networks: Vec::new(),
            handshake_timeout: DEFAULT_TIMEOUT,
            idle_timeout: Some(Duration::from_secs(60 * 60)),
            stall_timeout: Some(Duration::from_secs(60)),
        }
    }
}

/// Returns the limit of open files, less a reserve.
fn default_connections() -> usize {
    #[cfg(unix)]
    let files = rustix::process::getrlimit(rustix::process::Resource::Nofile).current;
    #[cfg(not(unix))]
    let files: Option<u64> = None;
    let files = files.and_then(|files| usize::try_from(files.saturating_sub(RESERVED_FILES)).ok());
    files.unwrap_or(MAX_CONNECTIONS).clamp(16, MAX_CONNECTIONS)
}

impl ListenerLimits {
    /// Limit of open connections, handshakes included. Default: the process's limit of open files less 64, at most
    /// 100,000; at least 1.
    ///
    /// At the limit the listener accepts no connection until one has been closed.
    pub fn with_connections(mut self, connections: usize) -> Self {
        self.connections = connections.max(1);
        self
    }

    /// Limit of open connections of one address; further ones are closed at once. Default: None, unlimited, because many
    /// callers can share an address behind a NAT or a load balancer.
    pub fn with_connections_per_address(mut self, connections: Option<usize>) -> Self {
        self.connections_per_address = connections;
        self
    }

    /// Limit of handshakes in progress, or completed and waiting for [`MtlsListener::accept`](super::MtlsListener::accept). Default: 1,024, at least
    /// 1.
    ///
    /// At the limit a new connection closes a handshake of the address that holds most, the oldest first, once that has
    /// taken half a second, so that stalled callers do not exclude others.
    pub fn with_handshakes(mut self, handshakes: usize) -> Self {
        self.handshakes = handshakes.max(1);
        self
    }

    /// Limit of handshakes of one address; further connections are closed at once. Default: None, unlimited.
    pub fn with_handshakes_per_address(mut self, handshakes: Option<usize>) -> Self {
        self.handshakes_per_address = handshakes;
        self
    }

    /// Networks whose addresses have no limits of their own, such as a load balancer's. Default: none.
    pub fn with_exempt_networks(mut self, networks: impl IntoIterator<Item = IpNet>) -> Self {
        self.exempt_networks = networks.into_iter().collect();
        self
    }

    /// Time limit of a handshake, from the accepted connection on. Default: 10 seconds.
    pub fn with_handshake_timeout(mut self, timeout: Duration) -> Self {
        self.handshake_timeout = timeout;
        self
    }

    /// Time after which a connection without any byte in either direction is closed. Default: one hour. None: unlimited.
    ///
    /// Of servers other than [`serve`](crate::serve()), which has its own [limits](crate::serve::HttpLimits).
    pub fn with_idle_timeout(mut self, timeout: Option<Duration>) -> Self {
        self.idle_timeout = timeout;
        self
    }

    /// Time after which a connection whose caller accepts no bytes is closed. Default: 60 seconds. None: unlimited.
    ///
    /// Of servers other than [`serve`](crate::serve()).
    pub fn with_stall_timeout(mut self, timeout: Option<Duration>) -> Self {
        self.stall_timeout = timeout;
        self
    }
}

impl Sealed for ListenerLimits {}
