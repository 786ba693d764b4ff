//! Connection pool of one upstream, under one identity generation, one trust and one TLS session store.

mod availability;
mod body;
mod connection;
mod connection_guard;
mod connection_limit;
mod connection_use;
mod force_close;
mod generation_map;
mod handover;
mod http2;
mod idle;
mod in_use;
mod key;
mod lease;
mod meters;
mod open;
mod share;
mod share_rule;
mod stream_users;

use std::{
    any::Any,
    sync::{
        Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use http::{HeaderValue, Uri};
use http_body::Body;
use tokio::{
    sync::{Notify, watch},
    time::Instant,
};

pub use self::body::UpstreamBody;
#[cfg(feature = "proxy")]
pub(crate) use self::lease::TunnelGuard;
pub use self::share::ConnectionShare;
use self::{
    availability::Availability, connection::Http1, force_close::ForceClose, http2::Http2,
    idle::IdleConnections, meters::Meters,
};
pub(super) use self::{
    connection::Connector,
    connection_limit::ConnectionLimit,
    connection_use::{Claim, Limits},
    key::Key,
    lease::Lease,
    share::Shares,
};
use super::{ClientError, ClientErrorKind};
use crate::workers;

/// Interval at which a retired pool is swept.
const RETIRED_SWEEP: Duration = Duration::from_secs(1);

/// Time for which an unused connection is reserved for the requests that waited for it.
const RESERVED: Duration = Duration::from_secs(1);

/// Settings of a pool.
pub(super) struct PoolSettings {
    pub(super) key: Key,
    pub(super) connector: Connector,
    /// The identity and the trust, which the pool itself must not keep alive.
    pub(super) owners: Vec<Weak<dyn Any + Send + Sync>>,
    pub(super) limits: Limits,
    /// The shares of the client.
    pub(super) shares: Arc<Shares>,
    /// The identity's name, for metrics.
    pub(super) identity: Arc<str>,
    pub(super) connect_timeout: Duration,
}

pub(super) struct Pool<B> {
    settings: PoolSettings,
    /// The URI to connect to.
    uri: Uri,
    /// The Host field of requests without one.
    host: HeaderValue,
    /// The share of requests without one, if there were any.
    own_share: OnceLock<ConnectionShare>,
    state: Mutex<State<B>>,
    /// Number of connection attempts.
    opening: AtomicUsize,
    /// Notified when an attempt begins to wait for a permit.
    room_needed: Notify,
    availability: Arc<Availability>,
    force_close: Arc<ForceClose>,
    meters: Arc<Meters>,
}

struct State<B> {
    /// HTTP/1.1 connections without a request.
    idle: IdleConnections<B>,
    /// HTTP/2 connections.
    shared: Vec<Arc<Http2<B>>>,
    /// The connection attempt that requests share.
    attempt: Option<PendingAttempt>,
    protocol: Protocol,
    /// Number of HTTP/2 connections that the upstream closed without sending anything.
    silent_closes: usize,
    is_retired: bool,
    /// True if a request used the pool since the last sweep.
    is_fresh: bool,
    /// The last sweep that found the pool used.
    used: Instant,
}

/// The protocol of the last connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Protocol {
    Unknown,
    Http1,
    Http2,
}

/// A connection attempt that is under way.
struct PendingAttempt {
    result: AttemptResult,
    since: Instant,
}

/// The result of an attempt, shared by all requests that wait for it.
type AttemptResult = watch::Receiver<Option<Result<(), Arc<ClientError>>>>;

impl<B> Pool<B> {
    /// Returns None if the authority is not valid in a URI or header.
    pub(super) fn new(settings: PoolSettings) -> Option<Self> {
        let authority = &settings.key.authority;
        let (scheme, default_port) = if settings.key.trust.is_some() { ("https", 443) } else { ("http", 80) };
        let uri =
            Uri::builder().scheme(scheme).authority(authority.clone()).path_and_query("/").build().ok()?;
        let host = match authority.port_u16() {
            Some(port) if port == default_port => authority.host(),
            _ => authority.as_str(),
        };
        let host = HeaderValue::from_str(host).ok()?;
        let meters = Arc::new(Meters::new(&settings.identity, authority.as_str()));
        let state = State {
            idle: IdleConnections::new(),
            shared: Vec::new(),
            attempt: None,
            protocol: Protocol::Unknown,
            silent_closes: 0,
            is_retired: false,
            is_fresh: true,
            used: Instant::now(),
        };
        let force_close = Arc::new(ForceClose::new());
        Some(Self {
            settings,
            uri,
            host,
            own_share: OnceLock::new(),
            state: Mutex::new(state),
            opening: AtomicUsize::new(0),
            room_needed: Notify::new(),
            availability: Arc::default(),
            force_close,
            meters,
        })
    }

    pub(super) fn key(&self) -> &Key {
        &self.settings.key
    }

    /// Returns true if connections to the upstream are limited.
    pub(super) fn is_limited(&self) -> bool {
        !self.settings.limits.is_empty()
    }

    /// Returns true if no connection is open.
    pub(super) fn is_empty(&self) -> bool {
        self.meters.connections() == 0
    }

    /// Returns the claim of a request to a connection. `share`: that of its route, if it has one.
    pub(super) fn claim<'a>(&'a self, share: Option<&'a ConnectionShare>) -> Claim<'a> {
        let own = || {
            let of_pool = || self.settings.shares.of_pool(&self.key().authority);
            self.own_share.get_or_init(of_pool)
        };
        let share = self.is_limited().then(|| share.unwrap_or_else(own));
        Claim::new(&self.settings.limits, share)
    }

    /// Returns true if a limit allows no further connection.
    pub(super) fn is_full(&self) -> bool {
        self.settings.limits.iter().any(|limit| limit.is_full())
    }

    /// Returns true if a connection is being opened.
    pub(super) fn is_opening(&self) -> bool {
        self.opening.load(Ordering::Relaxed) > 0
    }

    /// Completes when a connection that is being opened waits for a permit.
    pub(super) async fn needs_room(&self) {
        self.room_needed.notified().await;
    }

    /// Returns true if both pools share a limit that is reached.
    pub(super) fn contends_with(&self, other: &Self) -> bool {
        let is_shared = |limit: &Arc<ConnectionLimit>| {
            other.settings.limits.iter().any(|others| Arc::ptr_eq(limit, others))
        };
        self.key() != other.key()
            && self.settings.limits.iter().any(|limit| limit.is_full() && is_shared(limit))
    }

    /// Counts a request that failed.
    pub(super) fn failed(&self, kind: ClientErrorKind) {
        self.meters.failed(kind);
    }

    fn state(&self) -> MutexGuard<'_, State<B>> {
        // Every change is a single step: a panic leaves no partial change behind.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns true if clones of the identity and the trust are left.
    pub(super) fn has_owners(&self) -> bool {
        self.settings.owners.iter().all(|owner| owner.strong_count() > 0)
    }

    /// Closes connections that have been idle for `idle`. Returns true if none is left and no request used the pool for
    /// longer than `forget`.
    pub(super) fn sweep(&self, idle: Duration, forget: Duration) -> bool {
        let now = Instant::now();
        self.force_close.remove_finished();
        let mut state = self.state();
        if std::mem::take(&mut state.is_fresh) {
            state.used = now;
        }
        state.idle.sweep(idle, now);
        state.shared.retain(|it| !it.is_closed() && !it.is_idle_for(idle, now));
        state.shared.iter().filter(|it| it.is_idle(RESERVED)).for_each(|it| it.end_reserved());
        let is_empty = state.idle.is_empty() && state.shared.is_empty() && state.attempt.is_none();
        is_empty && now - state.used > forget && self.meters.connections() == 0
    }

    /// Closes one idle connection, if there is one, to free a permit for another pool.
    pub(super) fn close_an_idle_one(&self) -> bool {
        let mut state = self.state();
        if state.idle.close_oldest() {
            return true;
        }
        let idle = state.shared.iter().position(|it| it.is_idle(RESERVED));
        idle.map(|at| state.shared.remove(at)).is_some()
    }

    /// Removes one HTTP/2 connection, if there is one: it ends after its requests in flight, and frees its permit.
    pub(super) fn finish_one(&self) -> bool {
        let mut state = self.state();
        let used = state.shared.iter().position(|it| it.is_used());
        used.map(|at| state.shared.remove(at)).is_some()
    }
}

impl<B> Pool<B>
where
    B: Body + Send + 'static + Unpin,
    B::Data: Send,
{
    /// Closes idle connections and starts no new requests; requests in flight have `drain` to finish.
    pub(super) fn retire(self: &Arc<Self>, drain: Duration) {
        {
            let mut state = self.state();
            state.is_retired = true;
            state.idle.clear();
            // Requests in flight own the connection; the last one closes it.
            state.shared.clear();
        }
        let Ok(runtime) = tokio::runtime::Handle::try_current() else {
            return;
        };
        let (pool, since) = (self.clone(), Instant::now());
        runtime.spawn(async move {
            while let Some(left) = drain.checked_sub(since.elapsed()).filter(|left| !left.is_zero()) {
                // A request that found the pool before may still open a connection.
                if pool.meters.connections() == 0 && Arc::strong_count(&pool) == 1 {
                    return;
                }
                tokio::time::sleep(left.min(RETIRED_SWEEP)).await;
                pool.sweep(Duration::ZERO, Duration::ZERO);
            }
            pool.force_close.abort_all();
        });
    }

    /// Returns a connection that can be used at once, if the request's share may use it.
    pub(super) fn ready(self: &Arc<Self>, claim: &mut Claim<'_>) -> Option<Lease<B>> {
        let mut state = self.state();
        state.is_fresh = true;
        if !state.shared.is_empty() {
            let State { shared, silent_closes, .. } = &mut *state;
            shared.retain(|it| {
                let is_closed = it.is_closed();
                *silent_closes += usize::from(is_closed && !it.is_settled());
                !is_closed
            });
            if let Some(stream) = state.shared.iter().find_map(|it| it.reserve(claim)) {
                return Some(Lease::http2(self.clone(), stream));
            }
        }
        let at = state.idle.find(workers::current())?;
        let used = claim.take()?;
        let connection = state.idle.take(at);
        Some(Lease::http1(self.clone(), connection, used))
    }

    /// Returns a connection without requests in flight to the pool.
    fn put(&self, connection: Http1<B>) {
        let is_owed = |limit: &Arc<ConnectionLimit>| {
            limit.is_awaited() && (limit.is_starving() || !self.availability.is_awaited())
        };
        if self.settings.limits.iter().any(is_owed) {
            // The permit goes to another pool, which has no connection or more waiting requests.
            return;
        }
        // Ends once the connection can be found.
        let _used = connection.guard.take_use();
        let mut state = self.state();
        if !state.is_retired {
            state.idle.push(connection);
        }
        drop(state);
        self.availability.notify_one();
    }
}
