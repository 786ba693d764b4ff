//! Connections that switch to another protocol (RFC 9110, section 7.8), WebSocket above all.

use std::{
    fmt, io,
    sync::{Arc, Mutex, PoisonError},
};

use http::{HeaderMap, HeaderValue, Request, Version, header};
use http_body::Body;
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::rt::TokioIo;
use tokio::io::copy_bidirectional;

use crate::outbound::TunnelGuard;

/// Protocols that would lead around the proxy: HTTP again, whose requests nobody would judge, or TLS.
const REFUSED: [&str; 4] = ["h2", "h2c", "http", "tls"];

/// Both sides of a connection that has switched to another protocol: octets flow both ways until both ends are
/// closed, or until the upstream connection is retired and its time is over.
pub struct Tunnel {
    caller: OnUpgrade,
    upstream: OnUpgrade,
    guard: Option<TunnelGuard>,
}

impl Tunnel {
    pub(super) fn new(caller: OnUpgrade, upstream: OnUpgrade, guard: Option<TunnelGuard>) -> Self {
        Self { caller, upstream, guard }
    }

    /// Carries octets both ways until both sides have ended, and returns how many went to the upstream and how
    /// many to the caller.
    ///
    /// # Errors
    ///
    /// Either side failed, or the upstream connection was cut off.
    pub async fn run(self) -> io::Result<(u64, u64)> {
        let Self { caller, upstream, guard } = self;
        let side = async |switched: OnUpgrade| switched.await.map_err(io::Error::other);
        let (caller, upstream): (Upgraded, Upgraded) = tokio::try_join!(side(caller), side(upstream))?;
        let (mut caller, mut upstream) = (TokioIo::new(caller), TokioIo::new(upstream));
        let is_cut = async {
            match &guard {
                Some(guard) => guard.force_closed().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            carried = copy_bidirectional(&mut caller, &mut upstream) => carried,
            () = is_cut => Err(io::Error::new(io::ErrorKind::ConnectionAborted, "the identity was retired")),
        }
    }
}

impl fmt::Debug for Tunnel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tunnel").finish_non_exhaustive()
    }
}

/// In a request's extensions: where its [`Tunnel`] is left if it comes to one, for a server that wants to run it
/// itself (to count it, to end it). Without a slot the tunnel is spawned.
#[derive(Debug, Clone, Default)]
pub struct TunnelSlot(Arc<Mutex<Option<Tunnel>>>);

impl TunnelSlot {
    /// An empty slot.
    pub fn new() -> Self {
        Self::default()
    }

    /// The tunnel, if the upstream has switched protocols.
    pub fn take(&self) -> Option<Tunnel> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    pub(super) fn put(&self, tunnel: Tunnel) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(tunnel);
    }
}

/// The protocol that a request asks to switch to, if it may be passed on.
pub(super) fn wanted<B: Body>(request: &Request<B>) -> Option<HeaderValue> {
    if request.version() != Version::HTTP_11 || !request.body().is_end_stream() {
        return None;
    }
    let headers = request.headers();
    let mut protocols = headers.get_all(header::UPGRADE).iter();
    let protocol = protocols.next().filter(|_| protocols.next().is_none())?;
    let may_pass = protocol.to_str().ok()?.split(',').all(|protocol| {
        let name = protocol.trim().split(['/', ';', ' ', '\t']).next().unwrap_or_default();
        !name.is_empty() && !REFUSED.iter().any(|refused| name.eq_ignore_ascii_case(refused))
    });
    (may_pass && names_upgrade(headers)).then(|| protocol.clone())
}

/// Whether all of these protocols are among those that were asked for.
pub(super) fn is_among(protocols: &HeaderValue, asked: &HeaderValue) -> bool {
    let (Ok(protocols), Ok(asked)) = (protocols.to_str(), asked.to_str()) else { return false };
    let mut protocols = protocols.split(',').map(str::trim);
    protocols.all(|protocol| asked.split(',').any(|asked| asked.trim().eq_ignore_ascii_case(protocol)))
}

/// Whether `Connection` names `upgrade`.
fn names_upgrade(headers: &HeaderMap) -> bool {
    let values = headers.get_all(header::CONNECTION).iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).any(|option| option.trim().eq_ignore_ascii_case("upgrade"))
}

/// Says in a head that the connection switches protocols.
pub(super) fn announce(headers: &mut HeaderMap, protocol: HeaderValue) {
    headers.insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
    headers.insert(header::UPGRADE, protocol);
}
