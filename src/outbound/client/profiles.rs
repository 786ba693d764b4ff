//! One pooled client for each pair of identity and trust, found without a lock.

use std::{
    any::Any,
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError, Weak},
};

use arc_swap::ArcSwap;
use http_body::Body;
use hyper_util::client::legacy::{Client, connect::HttpConnector};
use tower_layer::Layer;

use super::Settings;
use crate::{
    generation::Generation,
    identity::ClientIdentity,
    outbound::{BackEndTrust, BackEndTrustError, MtlsConnector, MtlsConnectorLayer, identity_layer::Profile},
};

/// A connection belongs to exactly one of these; the client's own pool adds scheme and authority.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Key {
    identity: Option<Generation>,
    trust: Generation,
    http1_only: bool,
}

type Pool<B> = Client<MtlsConnector<HttpConnector>, B>;

struct Entry<B> {
    pool: Pool<B>,
    /// The identity and the trust, which the pool itself must not keep alive.
    owners: Vec<Weak<dyn Any + Send + Sync>>,
}

pub(super) struct Profiles<B> {
    published: ArcSwap<HashMap<Key, Arc<Entry<B>>>>,
    adding: Mutex<()>,
}

impl<B> Default for Profiles<B> {
    fn default() -> Self {
        Self { published: ArcSwap::default(), adding: Mutex::new(()) }
    }
}

impl<B> Profiles<B>
where
    B: Body + Send + 'static + Unpin,
    B::Data: Send,
{
    /// The client of this profile; made on first use.
    pub(super) fn client(
        &self,
        profile: &Profile,
        settings: &Settings,
    ) -> Result<Pool<B>, BackEndTrustError> {
        let trust = match &profile.trust {
            Some(trust) => trust,
            None => settings.trust()?,
        };
        let key = Key {
            identity: profile.identity.as_ref().map(ClientIdentity::generation),
            trust: trust.generation(),
            http1_only: profile.http1_only,
        };
        if let Some(entry) = self.published.load().get(&key) {
            return Ok(entry.pool.clone());
        }
        self.add(key, profile.identity.as_ref(), trust, settings)
    }

    #[cold]
    fn add(
        &self,
        key: Key,
        identity: Option<&ClientIdentity>,
        trust: &BackEndTrust,
        settings: &Settings,
    ) -> Result<Pool<B>, BackEndTrustError> {
        let _turn = self.adding.lock().unwrap_or_else(PoisonError::into_inner);
        let published = self.published.load_full();
        if let Some(entry) = published.get(&key) {
            return Ok(entry.pool.clone());
        }
        let connector = MtlsConnectorLayer::for_profile(identity, trust, key.http1_only)?
            .with_timeout(settings.connect_timeout + settings.handshake_timeout)
            .layer(settings.tcp());
        let pool = settings.pool().build(connector);
        let owners = identity.map(ClientIdentity::holders).into_iter().chain([trust.holders()]).collect();
        let entry = Entry { pool: pool.clone(), owners };

        // Whoever was replaced is forgotten here: dropping its pool closes idle connections, while requests
        // in flight hold theirs until they are done.
        let mut profiles: HashMap<_, _> = published
            .iter()
            .filter(|(_, entry)| entry.is_in_use())
            .map(|(key, entry)| (*key, entry.clone()))
            .collect();
        profiles.insert(key, Arc::new(entry));
        self.published.store(Arc::new(profiles));
        Ok(pool)
    }
}

impl<B> Entry<B> {
    /// Whether anyone can still send under this profile.
    fn is_in_use(&self) -> bool {
        self.owners.iter().all(|owner| owner.strong_count() > 0)
    }
}
