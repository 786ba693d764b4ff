//! Publication of the store's changes to requests.

use std::{convert::Infallible, fmt, sync::Arc, time::Duration};

use rustls::crypto::{CryptoProvider, aws_lc_rs::default_provider};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio::{sync::watch, task::spawn_blocking, time};
use tower_mtls::{ClientIdentity, identity::IdentityReference};

use super::{
    CertificateEntry, CurrentStore, Record, RecordKind, RecordQuery, Revision, Settings, Store, StoreError,
    current::{LoadedEntry, Snapshot},
    seal::Sealer,
};

/// Delay after a failure of the store.
const RETRY: Duration = Duration::from_secs(1);

/// Maximum number of attempts to read a consistent state of the store.
const READS: usize = 100;

/// All records of the store at one revision.
struct AllRecords {
    revision: Revision,
    certificates: Vec<Record>,
    apis: Vec<Record>,
    backends: Vec<Record>,
    policies: Vec<Record>,
}

/// Called before a change counts as effective, with the identities that were removed or replaced.
type OnPublished = dyn Fn(&[ClientIdentity]) + Send + Sync;

/// Builds the snapshots that requests see.
pub(crate) struct Publisher {
    store: Arc<dyn Store>,
    sealer: Arc<Sealer>,
    published: Arc<CurrentStore>,
    /// Revision that requests see.
    applied: watch::Sender<Revision>,
    on_published: Arc<OnPublished>,
}

impl Publisher {
    pub(super) fn new(
        store: Arc<dyn Store>,
        sealer: Arc<Sealer>,
        published: Arc<CurrentStore>,
        on_published: impl Fn(&[ClientIdentity]) + Send + Sync + 'static,
    ) -> Self {
        Self {
            store,
            sealer,
            published,
            applied: watch::Sender::new(0),
            on_published: Arc::new(on_published),
        }
    }

    /// Subscribes to the revision that requests see.
    pub(super) fn applied(&self) -> watch::Receiver<Revision> {
        self.applied.subscribe()
    }

    /// Publishes the current state of the store.
    pub(super) async fn publish(&self) -> Result<(), StoreError> {
        let records = self.read().await?;
        let (previous, sealer) = (self.published.snapshot(), self.sealer.clone());
        let revision = records.revision;
        // Decrypting and checking keys blocks: not on a runtime thread.
        let snapshot = spawn_blocking(move || build_snapshot(&records, previous.as_deref(), &sealer)).await;
        let snapshot = snapshot.map_err(StoreError::new)??;
        let old = self.published.replace(snapshot);
        let new = self.published.snapshot();
        let on_published = self.on_published.clone();
        // The callback compiles documents, which blocks.
        let called = spawn_blocking(move || {
            let current = |id: &Arc<str>| new.as_ref()?.entries.get(id).map(|(revision, _)| *revision);
            let old_entries = old.iter().flat_map(|old| &old.entries);
            let changed = old_entries.filter(|(id, (revision, _))| current(id) != Some(*revision));
            let retired = changed.filter_map(|(_, (_, entry))| match entry {
                LoadedEntry::Identity(identity) => Some(identity.clone()),
                LoadedEntry::Caller(_) => None,
            });
            on_published(&retired.collect::<Vec<_>>());
        });
        called.await.map_err(StoreError::new)?;
        self.applied.send_replace(revision);
        Ok(())
    }

    /// Reads all records at one revision.
    async fn read(&self) -> Result<AllRecords, StoreError> {
        let list = |kind| self.store.list(kind, RecordQuery::all());
        for _ in 0..READS {
            let [certificates, apis, backends, policies] = [
                list(RecordKind::Certificate).await?,
                list(RecordKind::Api).await?,
                list(RecordKind::Backend).await?,
                list(RecordKind::Policy).await?,
            ];
            let revision = certificates.revision;
            if [&apis, &backends, &policies].iter().all(|list| list.revision == revision) {
                let [certificates, apis, backends, policies] =
                    [certificates, apis, backends, policies].map(|list| list.records);
                return Ok(AllRecords { revision, certificates, apis, backends, policies });
            }
        }
        Err(StoreError::new("changes faster than it can be read"))
    }

    /// Publishes each change for as long as this is polled.
    pub(crate) async fn run(&self) -> Infallible {
        loop {
            let applied = *self.applied.borrow();
            let published = match self.store.watch(applied).await {
                Ok(_) => self.publish().await,
                Err(error) => Err(error),
            };
            if let Err(error) = published {
                tracing::error!("store: changes are not applied: {error}");
                time::sleep(RETRY).await;
            }
        }
    }
}

/// Builds a snapshot; reuses the identities that did not change.
fn build_snapshot(
    records: &AllRecords,
    previous: Option<&Snapshot>,
    sealer: &Sealer,
) -> Result<Snapshot, StoreError> {
    let provider = default_provider();
    let settings = previous.map(|previous| &*previous.settings);
    let settings = Settings::read(&records.apis, &records.backends, &records.policies, settings)?;
    let mut snapshot =
        Snapshot { revision: records.revision, settings: Arc::new(settings), ..Snapshot::default() };
    for record in &records.certificates {
        let unchanged = previous
            .and_then(|previous| previous.entries.get(&record.id))
            .filter(|(revision, _)| *revision == record.revision)
            .map(|(_, entry)| entry.clone());
        let entry = match unchanged.map_or_else(|| load(record, sealer, &provider), Ok) {
            Ok(entry) => entry,
            Err(problem) => {
                tracing::error!(id = &*record.id, "store: entry is unusable: {problem}");
                continue;
            }
        };
        match &entry {
            LoadedEntry::Identity(identity) => {
                snapshot.identity_certificates.insert(identity.certificate().der().into());
                snapshot.identities.insert(IdentityReference::id(record.id.clone()), identity.clone());
            }
            LoadedEntry::Caller(certificate) => {
                snapshot.caller_certificates.insert(certificate.der().into());
            }
        }
        snapshot.entries.insert(record.id.clone(), (record.revision, entry));
    }
    Ok(snapshot)
}

fn load(record: &Record, sealer: &Sealer, provider: &CryptoProvider) -> Result<LoadedEntry, String> {
    let entry = CertificateEntry::decode(record)?;
    let Some(key) = entry.open_key(sealer) else {
        return Ok(LoadedEntry::Caller(entry.certificate));
    };
    let key = key.map_err(|_| "its private key was sealed under another key, or for another entry")?;
    let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(&**key)).clone_key();
    let signer = provider.key_provider.load_private_key(key).map_err(|_| "its private key cannot be used")?;
    let chain = std::iter::once(entry.certificate.der()).chain(entry.certificate.chain());
    let identity = ClientIdentity::from_signer(chain, signer).map_err(|error| error.to_string())?;
    Ok(LoadedEntry::Identity(identity.with_name(format!("id:{}", entry.id))))
}

impl fmt::Debug for Publisher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Publisher").field("store", &self.store).finish_non_exhaustive()
    }
}
