//! The pools of a client; lookup takes no lock.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError, Weak},
    time::Duration,
};

use arc_swap::ArcSwap;
use http::uri::Authority;
use http_body::Body;
use tokio::{task::JoinHandle, time};
use tower_layer::Layer;

use super::Settings;
use crate::{
    generation::Generation,
    identity::ClientIdentity,
    outbound::{
        ClientError, ClientErrorKind, MtlsConnectorLayer, UpstreamTrust, UpstreamTrustError,
        pool::{ConnectionLimit, Connector, Key, Limits, Pool, PoolSettings, Shares},
    },
};

/// Interval at which pools are swept.
const SWEEP: Duration = Duration::from_secs(1);

/// Lower limit of that interval, for short idle timeouts.
const SHORTEST_SWEEP: Duration = Duration::from_millis(10);

/// Time without use after which a pool is removed together with its TLS sessions.
const UNUSED: Duration = Duration::from_secs(600);

type PoolMap<B> = HashMap<Key, Arc<Pool<B>>>;

pub(super) struct Pools<B> {
    published: ArcSwap<PoolMap<B>>,
    changing: Mutex<Changing>,
    /// The limit of all connections together.
    total: Option<Arc<ConnectionLimit>>,
    shares: Arc<Shares>,
}

#[derive(Default)]
struct Changing {
    /// The limits of single upstreams.
    limits: HashMap<Authority, Weak<ConnectionLimit>>,
    sweeper: Option<JoinHandle<()>>,
}

/// Identity, trust and destination of a request.
pub(super) struct Profile {
    key: Key,
    identity: Option<ClientIdentity>,
    /// None: plain `http`.
    trust: Option<UpstreamTrust>,
}

impl Profile {
    pub(super) fn new(
        identity: Option<ClientIdentity>,
        trust: Option<UpstreamTrust>,
        http1_only: bool,
        authority: Authority,
    ) -> Self {
        let key = Key {
            identity: identity.as_ref().map(ClientIdentity::generation),
            trust: trust.as_ref().map(UpstreamTrust::generation),
            http1_only,
            authority,
        };
        Self { key, identity, trust }
    }
}

impl<B> Pools<B> {
    pub(super) fn new(settings: &Settings) -> Self {
        let shares = Arc::<Shares>::default();
        let total = settings.max_total_connections;
        let total = total.map(|most| Arc::new(ConnectionLimit::new(most, None, shares.clone())));
        Self { published: ArcSwap::default(), changing: Mutex::default(), total, shares }
    }

    pub(super) fn shares(&self) -> &Arc<Shares> {
        &self.shares
    }
}

impl<B> Pools<B>
where
    B: Body + Send + 'static + Unpin,
    B::Data: Send,
{
    /// Returns the pool of this profile; created on first use.
    pub(super) fn get(
        self: &Arc<Self>,
        profile: Profile,
        settings: &Settings,
    ) -> Result<Arc<Pool<B>>, ClientError> {
        match self.published.load().get(&profile.key) {
            Some(pool) => Ok(pool.clone()),
            None => self.add(profile, settings),
        }
    }

    #[cold]
    fn add(self: &Arc<Self>, profile: Profile, settings: &Settings) -> Result<Arc<Pool<B>>, ClientError> {
        let mut changing = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        let mut pools = PoolMap::clone(&self.published.load());
        if let Some(pool) = pools.get(&profile.key) {
            return Ok(pool.clone());
        }
        let connector = connector(&profile, settings).map_err(|error| {
            tracing::error!(%error, "TLS settings for an upstream cannot be used");
            ClientError::unsent(ClientErrorKind::Settings)
        })?;
        let owners = profile.identity.iter().map(ClientIdentity::downgrade);
        let owners = owners.chain(profile.trust.iter().map(UpstreamTrust::downgrade)).collect();
        let identity = profile.identity.as_ref().map_or_else(|| "".into(), ClientIdentity::name);
        let of_upstream = |most| changing.limit(&profile.key.authority, most, &self.shares);
        let limits =
            Limits { upstream: settings.max_connections.map(of_upstream), total: self.total.clone() };
        let pool_settings = PoolSettings {
            key: profile.key.clone(),
            connector,
            owners,
            limits,
            shares: self.shares.clone(),
            identity,
            connect_timeout: settings.connect_timeout,
        };
        let pool =
            Pool::new(pool_settings).ok_or_else(|| ClientError::unsent(ClientErrorKind::InvalidUri))?;
        let pool = Arc::new(pool);
        pools.insert(profile.key, pool.clone());
        self.published.store(Arc::new(pools));
        changing.keep_sweeping(self, settings);
        Ok(pool)
    }

    /// Retires the pools for which `is_over` returns true: see [`Pool::retire`].
    pub(super) fn retire(&self, drain: Duration, is_over: impl Fn(&Pool<B>) -> bool) {
        let _turn = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        let pools = self.published.load_full();
        let over: Vec<_> = pools.values().filter(|pool| is_over(pool)).cloned().collect();
        if over.is_empty() {
            return;
        }
        let mut pools = PoolMap::clone(&pools);
        pools.retain(|_, pool| !over.iter().any(|over| Arc::ptr_eq(over, pool)));
        // Unpublished before they are closed: a request that found one before counts as in flight.
        self.published.store(Arc::new(pools));
        for pool in over {
            pool.retire(drain);
        }
    }

    /// Closes an idle connection of another pool, to free a permit for `pool`. With `insists`, if there is none and `pool`
    /// has no connection, another pool's HTTP/2 connection ends after its requests in flight.
    pub(super) fn make_room(&self, pool: &Pool<B>, insists: bool) {
        let pools = self.published.load();
        let is_rival = |it: &&Arc<Pool<B>>| pool.contends_with(it);
        let is_freed = pools.values().filter(is_rival).any(|rival| rival.close_an_idle_one());
        if !is_freed && insists && pool.is_empty() {
            let _ = pools.values().filter(is_rival).any(|rival| rival.finish_one());
        }
    }

    fn sweep(&self, idle: Duration, drain: Duration) {
        let mut is_any_over = false;
        for pool in self.published.load().values() {
            is_any_over |= pool.sweep(idle, UNUSED) || !pool.has_owners();
        }
        if is_any_over {
            self.retire(drain, |pool| !pool.has_owners() || pool.sweep(idle, UNUSED));
        }
    }
}

fn connector(profile: &Profile, settings: &Settings) -> Result<Connector, UpstreamTrustError> {
    let Some(trust) = &profile.trust else {
        return Ok(Connector::Plain(settings.tcp()));
    };
    let tls = MtlsConnectorLayer::for_one_upstream(profile.identity.as_ref(), trust, profile.key.http1_only)?;
    let timeout = settings.connect_timeout.saturating_add(settings.handshake_timeout);
    Ok(Connector::Tls(tls.with_timeout(timeout).layer(settings.tcp())))
}

impl Changing {
    fn limit(&mut self, authority: &Authority, most: usize, shares: &Arc<Shares>) -> Arc<ConnectionLimit> {
        if let Some(limit) = self.limits.get(authority).and_then(Weak::upgrade) {
            return limit;
        }
        self.limits.retain(|_, limit| limit.strong_count() > 0);
        let limit = Arc::new(ConnectionLimit::new(most, Some(authority.clone()), shares.clone()));
        self.limits.insert(authority.clone(), Arc::downgrade(&limit));
        limit
    }

    /// Starts the sweeping task, unless it runs; it ends with the pools or the runtime.
    fn keep_sweeping<B>(&mut self, pools: &Arc<Pools<B>>, settings: &Settings)
    where
        B: Body + Send + 'static + Unpin,
        B::Data: Send,
    {
        if self.sweeper.as_ref().is_some_and(|sweeper| !sweeper.is_finished()) {
            return;
        }
        let (pools, idle, drain) = (Arc::downgrade(pools), settings.idle_timeout, settings.drain_timeout);
        self.sweeper = Some(tokio::spawn(async move {
            let mut ticks = time::interval(idle.clamp(SHORTEST_SWEEP, SWEEP));
            ticks.set_missed_tick_behavior(time::MissedTickBehavior::Delay);
            loop {
                ticks.tick().await;
                let Some(pools) = pools.upgrade() else { return };
                pools.sweep(idle, drain);
            }
        }));
    }
}

impl Key {
    pub(super) fn is_of_identity(&self, identity: Generation) -> bool {
        self.identity == Some(identity)
    }

    pub(super) fn is_of_trust(&self, trust: Generation) -> bool {
        self.trust == Some(trust)
    }
}
