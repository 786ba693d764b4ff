//! Publishes what the store says, as often as it says something new.

use std::{convert::Infallible, fmt, sync::Arc, time::Duration};

use rustls::crypto::{CryptoProvider, aws_lc_rs::default_provider};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio::{sync::watch, task::spawn_blocking, time};
use tower_mtls::{ClientIdentity, identity::IdentityReference};

use super::{
    Entry, Kind, ListQuery, Published, Record, Revision, Settings, Store, StoreError,
    published::{Made, Snapshot},
    seal::Sealer,
};

/// How long a store that fails is left alone.
const RETRY: Duration = Duration::from_secs(1);

/// How often the store is read again when it changes meanwhile.
const READS: usize = 100;

/// The store's records.
struct Records {
    /// The last change that they show.
    revision: Revision,
    certificates: Vec<Record>,
    apis: Vec<Record>,
    backends: Vec<Record>,
    policies: Vec<Record>,
}

/// Told, before a change is called effective, which identities are gone.
type Served = dyn Fn(&[ClientIdentity]) + Send + Sync;

/// Makes the snapshot that requests see.
pub(crate) struct Follower {
    store: Arc<dyn Store>,
    sealer: Arc<Sealer>,
    published: Arc<Published>,
    /// The last change that requests see.
    applied: watch::Sender<Revision>,
    served: Arc<Served>,
}

impl Follower {
    pub(super) fn new(
        store: Arc<dyn Store>,
        sealer: Arc<Sealer>,
        published: Arc<Published>,
        served: impl Fn(&[ClientIdentity]) + Send + Sync + 'static,
    ) -> Self {
        Self { store, sealer, published, applied: watch::Sender::new(0), served: Arc::new(served) }
    }

    /// The last change that requests see, now and later.
    pub(super) fn applied(&self) -> watch::Receiver<Revision> {
        self.applied.subscribe()
    }

    /// Publishes the store as it is.
    pub(super) async fn publish(&self) -> Result<(), StoreError> {
        let records = self.read().await?;
        let (before, sealer) = (self.published.snapshot(), self.sealer.clone());
        let revision = records.revision;
        // Keys are opened and checked off the threads that serve.
        let made = spawn_blocking(move || snapshot(&records, before.as_deref(), &sealer)).await;
        let made = made.map_err(StoreError::new)??;
        let old = self.published.replace(made);
        let new = self.published.snapshot();
        let served = self.served.clone();
        // Documents are compiled there.
        let done = spawn_blocking(move || {
            let kept = |id: &Arc<str>| new.as_ref()?.made.get(id).map(|(revision, _)| *revision);
            let gone = old.iter().flat_map(|old| &old.made).filter(|(id, (was, _))| kept(id) != Some(*was));
            let gone = gone.filter_map(|(_, (_, made))| match made {
                Made::Identity(identity) => Some(identity.clone()),
                Made::Caller(_) => None,
            });
            served(&gone.collect::<Vec<_>>());
        });
        done.await.map_err(StoreError::new)?;
        self.applied.send_replace(revision);
        Ok(())
    }

    /// All records at one moment: lists that show the same last change.
    async fn read(&self) -> Result<Records, StoreError> {
        let list = |kind| self.store.list(kind, ListQuery::all());
        for _ in 0..READS {
            let [certificates, apis, backends, policies] = [
                list(Kind::Certificate).await?,
                list(Kind::Api).await?,
                list(Kind::Backend).await?,
                list(Kind::Policy).await?,
            ];
            let revision = certificates.revision;
            if [&apis, &backends, &policies].iter().all(|list| list.revision == revision) {
                let [certificates, apis, backends, policies] =
                    [certificates, apis, backends, policies].map(|list| list.records);
                return Ok(Records { revision, certificates, apis, backends, policies });
            }
        }
        Err(StoreError::new("it changes faster than it can be read"))
    }

    /// Publishes each change for as long as this is polled.
    pub(crate) async fn follow(&self) -> Infallible {
        loop {
            let seen = *self.applied.borrow();
            let published = match self.store.watch(seen).await {
                Ok(_) => self.publish().await,
                Err(error) => Err(error),
            };
            if let Err(error) = published {
                tracing::error!("changes of the store are not served: {error}");
                time::sleep(RETRY).await;
            }
        }
    }
}

/// What requests are to see; identities that did not change are the very same as before.
fn snapshot(records: &Records, before: Option<&Snapshot>, sealer: &Sealer) -> Result<Snapshot, StoreError> {
    let provider = default_provider();
    let settings = before.map(|before| &*before.settings);
    let settings = Settings::read(&records.apis, &records.backends, &records.policies, settings)?;
    let mut snapshot =
        Snapshot { revision: records.revision, settings: Arc::new(settings), ..Snapshot::default() };
    for record in &records.certificates {
        let kept = before.and_then(|before| before.made.get(&record.id));
        let kept = kept.filter(|(revision, _)| *revision == record.revision).map(|(_, kept)| kept.clone());
        let made = match kept.map_or_else(|| read(record, sealer, &provider), Ok) {
            Ok(made) => made,
            Err(problem) => {
                tracing::error!(id = &*record.id, "an entry of the store cannot be used: {problem}");
                continue;
            }
        };
        match &made {
            Made::Identity(identity) => {
                snapshot.own.insert(identity.certificate().der().into());
                snapshot.identities.insert(IdentityReference::id(record.id.clone()), identity.clone());
            }
            Made::Caller(certificate) => {
                snapshot.callers.insert(certificate.der().into());
            }
        }
        snapshot.made.insert(record.id.clone(), (record.revision, made));
    }
    Ok(snapshot)
}

fn read(record: &Record, sealer: &Sealer, provider: &CryptoProvider) -> Result<Made, String> {
    let entry = Entry::decode(record)?;
    let Some(key) = entry.open_key(sealer) else {
        return Ok(Made::Caller(entry.certificate));
    };
    let key = key.map_err(|_| "its private key was sealed under another key, or for another entry")?;
    let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(&**key)).clone_key();
    let signer = provider.key_provider.load_private_key(key).map_err(|_| "its private key cannot be used")?;
    let chain = std::iter::once(entry.certificate.der()).chain(entry.certificate.chain());
    let identity = ClientIdentity::from_signer(chain, signer).map_err(|error| error.to_string())?;
    Ok(Made::Identity(identity.with_name(format!("id:{}", entry.id))))
}

impl fmt::Debug for Follower {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Follower").field("store", &self.store).finish_non_exhaustive()
    }
}
