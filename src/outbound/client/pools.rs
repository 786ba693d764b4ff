//! All pools of a client, found without a lock.

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
        pool::{ConnectionLimit, Connector, Key, Parts, Pool},
    },
};

/// How often connections are looked over.
const SWEEP: Duration = Duration::from_secs(1);

/// The same where connections may be idle for a shorter time.
const SHORTEST_SWEEP: Duration = Duration::from_millis(10);

/// After how long without use a pool is forgotten, and its TLS sessions with it.
const FORGET: Duration = Duration::from_secs(600);

type Published<B> = HashMap<Key, Arc<Pool<B>>>;

pub(super) struct Pools<B> {
    published: ArcSwap<Published<B>>,
    changing: Mutex<Changing>,
    /// Of all connections together, if they are limited.
    total: Option<Arc<ConnectionLimit>>,
}

#[derive(Default)]
struct Changing {
    /// Of upstreams whose connections are limited.
    places: HashMap<Authority, Weak<ConnectionLimit>>,
    sweeper: Option<JoinHandle<()>>,
}

/// What a request is sent under.
pub(super) struct Profile {
    key: Key,
    identity: Option<ClientIdentity>,
    /// None: not protected.
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
        let total = settings.max_total_connections.map(|most| Arc::new(ConnectionLimit::new(most)));
        Self { published: ArcSwap::default(), changing: Mutex::default(), total }
    }
}

impl<B> Pools<B>
where
    B: Body + Send + 'static + Unpin,
    B::Data: Send,
{
    /// The pool of this profile; made on first use.
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
        let mut pools = Published::clone(&self.published.load());
        if let Some(pool) = pools.get(&profile.key) {
            return Ok(pool.clone());
        }
        let connector = connector(&profile, settings).map_err(|error| {
            tracing::error!(%error, "an upstream profile cannot be used");
            ClientError::unsent(ClientErrorKind::Settings)
        })?;
        let owners = profile.identity.iter().map(ClientIdentity::downgrade);
        let owners = owners.chain(profile.trust.iter().map(UpstreamTrust::downgrade)).collect();
        let identity = profile.identity.as_ref().map_or_else(|| "".into(), ClientIdentity::name);
        let of_backend = settings.max_connections.map(|most| changing.places(&profile.key.authority, most));
        let limits = of_backend.into_iter().chain(self.total.clone()).collect();
        let parts = Parts {
            key: profile.key.clone(),
            connector,
            owners,
            limits,
            identity,
            connect_timeout: settings.connect_timeout,
        };
        let pool = Pool::new(parts).ok_or_else(|| ClientError::unsent(ClientErrorKind::InvalidUri))?;
        let pool = Arc::new(pool);
        pools.insert(profile.key, pool.clone());
        self.published.store(Arc::new(pools));
        changing.keep_sweeping(self, settings);
        Ok(pool)
    }

    /// Retires the pools for which `is_over` holds: see [`Pool::retire`].
    pub(super) fn retire(&self, drain: Duration, is_over: impl Fn(&Pool<B>) -> bool) {
        let _turn = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        let pools = self.published.load_full();
        let over: Vec<_> = pools.values().filter(|pool| is_over(pool)).cloned().collect();
        if over.is_empty() {
            return;
        }
        let mut pools = Published::clone(&pools);
        pools.retain(|_, pool| !over.iter().any(|over| Arc::ptr_eq(over, pool)));
        // First nobody can find them, then they are closed: a request that has found one is in flight.
        self.published.store(Arc::new(pools));
        for pool in over {
            pool.retire(drain);
        }
    }

    /// Closes an idle connection to the upstream of `pool`, whose connections are all taken. `insists`: if none is
    /// idle and `pool` has none at all, another pool's HTTP/2 connection is left to end.
    pub(super) fn make_room(&self, pool: &Pool<B>, insists: bool) {
        let pools = self.published.load();
        let is_rival = |it: &&Arc<Pool<B>>| pool.contends_with(it);
        let is_made = pools.values().filter(is_rival).any(|rival| rival.close_an_idle_one());
        if !is_made && insists && pool.is_empty() {
            let _ = pools.values().filter(is_rival).any(|rival| rival.finish_one());
        }
    }

    fn sweep(&self, idle: Duration, drain: Duration) {
        let mut is_any_over = false;
        for pool in self.published.load().values() {
            is_any_over |= pool.sweep(idle, FORGET) || !pool.has_owners();
        }
        if is_any_over {
            self.retire(drain, |pool| !pool.has_owners() || pool.sweep(idle, FORGET));
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
    fn places(&mut self, authority: &Authority, most: usize) -> Arc<ConnectionLimit> {
        if let Some(places) = self.places.get(authority).and_then(Weak::upgrade) {
            return places;
        }
        self.places.retain(|_, places| places.strong_count() > 0);
        let places = Arc::new(ConnectionLimit::new(most));
        self.places.insert(authority.clone(), Arc::downgrade(&places));
        places
    }

    /// Looks over the pools as long as there are any; ends with them, or with the runtime.
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

/// What a key says of its identity and trust.
impl Key {
    pub(super) fn is_of_identity(&self, identity: Generation) -> bool {
        self.identity == Some(identity)
    }

    pub(super) fn is_of_trust(&self, trust: Generation) -> bool {
        self.trust == Some(trust)
    }
}
