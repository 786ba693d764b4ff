//! Connections that switch to another protocol (RFC 9110, section 7.8), such as WebSocket.

mod copy;
mod log;
#[cfg(test)]
mod tests;

use std::{
    fmt, io,
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use http::{HeaderMap, HeaderValue, Request, Version, header};
use http_body::Body;
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::rt::TokioIo;

use self::copy::{Progress, copy};
use crate::outbound::TunnelGuard;

/// Protocols that bypass the proxy: HTTP, whose requests no layer would judge, and TLS.
const REJECTED: [&str; 4] = ["h2", "h2c", "http", "tls"];

/// Both sides of a connection that switched to another protocol. Bytes are copied both ways until
///
/// 1. both sides are closed, or one fails;
/// 2. no byte has moved in either direction for the route's
///    [`tunnel_idle_timeout`](super::ReverseProxyLayer::tunnel_idle_timeout): neither side sends, or the other does not
///    read. It also ends a tunnel of which only one side is closed;
/// 3. the upstream connection is retired and its grace period ends.
///
/// [`ReverseProxy`](super::ReverseProxy) spawns it, or puts it into a [`TunnelSlot`]. A spawned tunnel logs ends that
/// neither side initiated, with the client's address as `remote`.
///
/// ```
/// use tower_mtls::proxy::{Tunnel, TunnelSlot};
///
/// /// Runs the tunnel of a request, after the response was sent. Returns the number of bytes both ways.
/// async fn carry(slot: TunnelSlot) -> std::io::Result<u64> {
///     let Some(tunnel) = slot.take() else {
///         return Ok(0); // the upstream did not switch protocols
///     };
///     let (to_upstream, to_client) = Tunnel::run(tunnel).await?;
///     Ok(to_upstream + to_client)
/// }
/// # assert_eq!(tokio_test::block_on(carry(TunnelSlot::new())).unwrap(), 0);
/// ```
pub struct Tunnel {
    client: OnUpgrade,
    upstream: OnUpgrade,
    guard: Option<TunnelGuard>,
    idle_timeout: Option<Duration>,
    /// The client's address, if the acceptor captured it.
    remote: Option<SocketAddr>,
}

impl Tunnel {
    pub(super) fn new(
        client: OnUpgrade,
        upstream: OnUpgrade,
        guard: Option<TunnelGuard>,
        idle_timeout: Option<Duration>,
        remote: Option<SocketAddr>,
    ) -> Self {
        Self { client, upstream, guard, idle_timeout, remote }
    }

    /// Runs the tunnel in a task of its own, which logs its end.
    pub(super) fn spawn(self) {
        let remote = self.remote;
        tokio::spawn(log::end(self.run(), remote));
    }

    /// Copies bytes both ways until both sides are closed. Returns the numbers of bytes to the upstream and to the client.
    ///
    /// # Errors
    ///
    /// 1. Either side failed.
    /// 2. The upstream connection was closed after its identity was retired:
    ///    [`ConnectionAborted`](io::ErrorKind::ConnectionAborted).
    /// 3. No byte moved in either direction for the idle timeout: [`TimedOut`](io::ErrorKind::TimedOut).
    pub async fn run(self) -> io::Result<(u64, u64)> {
        let Self { client, upstream, guard, idle_timeout, remote: _ } = self;
        let progress = Progress::new();
        let side = async |switched: OnUpgrade| switched.await.map_err(io::Error::other);
        let copied = async {
            let (client, upstream): (Upgraded, Upgraded) = tokio::try_join!(side(client), side(upstream))?;
            copy(TokioIo::new(client), TokioIo::new(upstream), &progress).await
        };
        let is_cut = async {
            match &guard {
                Some(guard) => guard.force_closed().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            copied = copied => copied,
            stalled = progress.stalled(idle_timeout) => Err(stalled),
            () = is_cut => Err(io::Error::new(io::ErrorKind::ConnectionAborted, "the identity was retired")),
        }
    }
}

impl fmt::Debug for Tunnel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tunnel").finish_non_exhaustive()
    }
}

/// Request extension that receives the [`Tunnel`] after a switch of protocols, for applications that run it themselves, to
/// count or end it. Without a slot the tunnel is spawned, and logs its end.
///
/// ```
/// use http::Request;
/// use tower_mtls::proxy::TunnelSlot;
///
/// let slot = TunnelSlot::new();
/// let mut request = Request::new(());
/// request.extensions_mut().insert(slot.clone());
/// // After the proxy has responded with 101 the slot contains the tunnel.
/// assert!(slot.take().is_none());
/// ```
#[derive(Debug, Clone, Default)]
pub struct TunnelSlot(Arc<Mutex<Option<Tunnel>>>);

impl TunnelSlot {
    /// An empty slot.
    ///
    /// ```
    /// use tower_mtls::proxy::TunnelSlot;
    ///
    /// assert!(TunnelSlot::new().take().is_none());
    /// ```
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes the tunnel out of the slot. None unless the upstream switched protocols.
    pub fn take(&self) -> Option<Tunnel> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    pub(super) fn put(&self, tunnel: Tunnel) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(tunnel);
    }
}

/// The protocol to which a request switches, if the proxy forwards it.
pub(super) fn requested_protocol<B: Body>(request: &Request<B>) -> Option<HeaderValue> {
    if request.version() != Version::HTTP_11 || !request.body().is_end_stream() {
        return None;
    }
    let headers = request.headers();
    let mut protocols = headers.get_all(header::UPGRADE).iter();
    let protocol = protocols.next().filter(|_| protocols.next().is_none())?;
    let may_pass = protocol.to_str().ok()?.split(',').all(|protocol| {
        let name = protocol.trim().split(['/', ';', ' ', '\t']).next().unwrap_or_default();
        !name.is_empty() && !REJECTED.iter().any(|rejected| name.eq_ignore_ascii_case(rejected))
    });
    (may_pass && names_upgrade(headers)).then(|| protocol.clone())
}

/// Returns true if all of these protocols were requested.
pub(super) fn contains_all(protocols: &HeaderValue, requested: &HeaderValue) -> bool {
    let (Ok(protocols), Ok(requested)) = (protocols.to_str(), requested.to_str()) else { return false };
    let mut protocols = protocols.split(',').map(str::trim);
    protocols.all(|protocol| requested.split(',').any(|name| name.trim().eq_ignore_ascii_case(protocol)))
}

/// Returns true if `Connection` names `upgrade`.
fn names_upgrade(headers: &HeaderMap) -> bool {
    let values = headers.get_all(header::CONNECTION).iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).any(|option| option.trim().eq_ignore_ascii_case("upgrade"))
}

/// Sets the fields of a switch of protocols.
pub(super) fn set_upgrade(headers: &mut HeaderMap, protocol: HeaderValue) {
    headers.insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
    headers.insert(header::UPGRADE, protocol);
}
