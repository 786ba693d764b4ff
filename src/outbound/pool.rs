//! The connections to one upstream under one identity generation, one trust and one TLS session store.

mod availability;
mod body;
mod connection;
mod connection_limit;
mod force_close;
mod http2;
mod lease;
mod meters;
mod open;

use std::{
    any::Any,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    time::Duration,
};

use http::{HeaderValue, Uri, uri::Authority};
use http_body::Body;
use tokio::{sync::watch, time::Instant};

pub use self::body::UpstreamBody;
#[cfg(feature = "proxy")]
pub(crate) use self::lease::TunnelGuard;
use self::{
    availability::Availability, connection::Http1, force_close::ForceClose, http2::Http2, meters::Meters,
};
pub(super) use self::{connection::Connector, connection_limit::ConnectionLimit, lease::Lease};
use super::{ClientError, ClientErrorKind};
use crate::generation::Generation;

/// How often a pool that was retired is looked after.
const LOOK_AFTER: Duration = Duration::from_secs(1);

/// How long a connection that nobody has used is left to those who waited for it.
const UNUSED: Duration = Duration::from_secs(1);

/// A connection belongs to exactly one of these.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Key {
    /// None: no certificate is presented.
    pub(super) identity: Option<Generation>,
    /// None: the connection is not protected (`http`).
    pub(super) trust: Option<Generation>,
    pub(super) http1_only: bool,
    pub(super) authority: Authority,
}

/// What a pool is made of.
pub(super) struct Parts {
    pub(super) key: Key,
    pub(super) connector: Connector,
    /// The identity and the trust, which the pool itself must not keep alive.
    pub(super) owners: Vec<Weak<dyn Any + Send + Sync>>,
    /// The limits that a connection needs a place of.
    pub(super) limits: Vec<Arc<ConnectionLimit>>,
    /// The identity's name, for metrics.
    pub(super) identity: Arc<str>,
    pub(super) connect_timeout: Duration,
}

pub(super) struct Pool<B> {
    parts: Parts,
    /// What is connected to.
    uri: Uri,
    /// The upstream's own, for requests that name none.
    host: HeaderValue,
    state: Mutex<State<B>>,
    returned: Arc<Availability>,
    cut: Arc<ForceClose>,
    meters: Arc<Meters>,
}

struct State<B> {
    /// HTTP/1.1 connections without a request; the last one used at the end.
    idle: Vec<Idle<B>>,
    /// HTTP/2 connections.
    shared: Vec<Arc<Http2<B>>>,
    /// One connection is being made for everyone.
    opening: Option<PendingAttempt>,
    protocol: Protocol,
    /// How many HTTP/2 connections have ended without a word of the upstream.
    silent_closes: usize,
    is_retired: bool,
    /// It was asked for since it was last looked over.
    is_fresh: bool,
    /// When it was found to have been used.
    used: Instant,
}

/// What the upstream spoke last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Protocol {
    Unknown,
    Http1,
    Http2,
}

struct Idle<B> {
    connection: Http1<B>,
    /// Since when it was found idle. The clock is asked when connections are looked over, not on each request.
    since: Option<Instant>,
}

/// The attempt that whoever comes next waits for.
struct PendingAttempt {
    opening: AttemptResult,
    since: Instant,
}

/// The outcome of an attempt that several requests wait for.
type AttemptResult = watch::Receiver<Option<Result<(), Arc<ClientError>>>>;

impl<B> Pool<B> {
    /// None if the authority makes no URI or header.
    pub(super) fn new(parts: Parts) -> Option<Self> {
        let authority = &parts.key.authority;
        let (scheme, default_port) = if parts.key.trust.is_some() { ("https", 443) } else { ("http", 80) };
        let uri =
            Uri::builder().scheme(scheme).authority(authority.clone()).path_and_query("/").build().ok()?;
        let host = match authority.port_u16() {
            Some(port) if port == default_port => authority.host(),
            _ => authority.as_str(),
        };
        let host = HeaderValue::from_str(host).ok()?;
        let meters = Arc::new(Meters::new(&parts.identity, authority.as_str()));
        let state = State {
            idle: Vec::new(),
            shared: Vec::new(),
            opening: None,
            protocol: Protocol::Unknown,
            silent_closes: 0,
            is_retired: false,
            is_fresh: true,
            used: Instant::now(),
        };
        let cut = Arc::new(ForceClose::new());
        Some(Self { parts, uri, host, state: Mutex::new(state), returned: Arc::default(), cut, meters })
    }

    pub(super) fn key(&self) -> &Key {
        &self.parts.key
    }

    /// Whether connections to the upstream are limited.
    pub(super) fn is_limited(&self) -> bool {
        !self.parts.limits.is_empty()
    }

    /// Whether it has no connection at all.
    pub(super) fn is_empty(&self) -> bool {
        self.meters.connections() == 0
    }

    /// Whether there is no place for another connection to the upstream.
    pub(super) fn is_full(&self) -> bool {
        self.parts.limits.iter().any(|places| places.is_full())
    }

    /// Whether a connection of `other` takes a place that this one lacks.
    pub(super) fn contends_with(&self, other: &Self) -> bool {
        let shared = |places: &Arc<ConnectionLimit>| {
            other.parts.limits.iter().any(|others| Arc::ptr_eq(places, others))
        };
        self.key() != other.key() && self.parts.limits.iter().any(|places| places.is_full() && shared(places))
    }

    /// Counts an answer that never came.
    pub(super) fn failed(&self, kind: ClientErrorKind) {
        self.meters.failed(kind);
    }

    fn state(&self) -> MutexGuard<'_, State<B>> {
        // Whoever panicked held no half-made state: every change below is a single step.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether anyone can still send under this identity and trust.
    pub(super) fn has_owners(&self) -> bool {
        self.parts.owners.iter().all(|owner| owner.strong_count() > 0)
    }

    /// Closes connections that have been idle for too long. True if nothing is left and nobody asked for longer
    /// than `forget`.
    pub(super) fn sweep(&self, idle: Duration, forget: Duration) -> bool {
        let now = Instant::now();
        self.cut.tidy();
        let mut state = self.state();
        if std::mem::take(&mut state.is_fresh) {
            state.used = now;
        }
        state.idle.retain_mut(|it| !it.connection.is_closed() && now - *it.since.get_or_insert(now) < idle);
        state.shared.retain(|it| !it.is_closed() && !it.is_idle_for(idle, now));
        let is_empty = state.idle.is_empty() && state.shared.is_empty() && state.opening.is_none();
        is_empty && now - state.used > forget && self.meters.connections() == 0
    }

    /// Closes one idle connection, if there is one, to make room for another identity's.
    pub(super) fn close_an_idle_one(&self) -> bool {
        let mut state = self.state();
        if !state.idle.is_empty() {
            state.idle.remove(0);
            return true;
        }
        let idle = state.shared.iter().position(|it| it.is_idle(UNUSED));
        idle.map(|at| state.shared.remove(at)).is_some()
    }

    /// Starts nothing new on one HTTP/2 connection, if there is one, so that it ends and makes room.
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
    /// Closes what is idle and starts nothing new; what is in flight has `drain` to finish.
    pub(super) fn retire(self: &Arc<Self>, drain: Duration) {
        {
            let mut state = self.state();
            state.is_retired = true;
            state.idle.clear();
            // Whoever is in flight holds the connection; the last one closes it.
            state.shared.clear();
        }
        let Ok(runtime) = tokio::runtime::Handle::try_current() else {
            return;
        };
        let (pool, since) = (self.clone(), Instant::now());
        runtime.spawn(async move {
            while let Some(left) = drain.checked_sub(since.elapsed()).filter(|left| !left.is_zero()) {
                // Whoever found the pool before may still make a connection.
                if pool.meters.connections() == 0 && Arc::strong_count(&pool) == 1 {
                    return;
                }
                tokio::time::sleep(left.min(LOOK_AFTER)).await;
                pool.sweep(Duration::ZERO, Duration::ZERO);
            }
            pool.cut.cut();
        });
    }

    /// A connection that can be used right away.
    pub(super) fn ready(self: &Arc<Self>) -> Option<Lease<B>> {
        let mut state = self.state();
        state.is_fresh = true;
        if !state.shared.is_empty() {
            let State { shared, silent_closes, .. } = &mut *state;
            shared.retain(|it| {
                let is_closed = it.is_closed();
                *silent_closes += usize::from(is_closed && !it.is_settled());
                !is_closed
            });
            if let Some(stream) = state.shared.iter().find_map(Http2::reserve) {
                return Some(Lease::http2(self.clone(), stream));
            }
        }
        while let Some(idle) = state.idle.pop() {
            if idle.connection.is_ready() {
                return Some(Lease::http1(self.clone(), idle.connection));
            }
        }
        None
    }

    /// Takes back a connection that has nothing in flight.
    fn put(&self, connection: Http1<B>) {
        let is_others = |places: &Arc<ConnectionLimit>| {
            places.is_wanted() && (places.is_needed() || !self.returned.is_awaited())
        };
        if self.parts.limits.iter().any(is_others) {
            // The place is another pool's, which has none or has more to do.
            return;
        }
        let mut state = self.state();
        if !state.is_retired {
            state.idle.push(Idle { connection, since: None });
        }
        drop(state);
        self.returned.one();
    }
}
