//! Publication of snapshots of the store.

use std::{convert::Infallible, fmt, sync::Arc, time::Duration};

use rustls::crypto::{CryptoProvider, aws_lc_rs::default_provider};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio::{sync::watch, task::spawn_blocking, time};
use tower_mtls::{ClientIdentity, identity::IdentityReference};

use super::{
    CertificateEntry, Record, RecordKind, Revision, Settings, Snapshot, Store, StoreError, Versioned,
    current::LoadedEntry, seal::Sealer,
};

/// Delay after a failure of the store.
const RETRY: Duration = Duration::from_secs(1);

/// Maximum number of attempts to read a consistent state of the store.
const READS: usize = 100;

/// All records of the store at one revision.
pub(super) struct AllRecords {
    pub(super) revision: Revision,
    pub(super) certificates: Vec<Record>,
    pub(super) apis: Vec<Record>,
    pub(super) backends: Vec<Record>,
    pub(super) policies: Vec<Record>,
}

/// Publishes a snapshot of the store after each change.
pub(crate) struct Publisher {
    store: Arc<dyn Store>,
    sealer: Arc<Sealer>,
    snapshots: watch::Sender<Arc<Snapshot>>,
}

impl Publisher {
    /// Publishes the current state of the store.
    pub(super) async fn start(store: Arc<dyn Store>, sealer: Arc<Sealer>) -> Result<Self, StoreError> {
        let publisher = Self { store, sealer, snapshots: watch::Sender::default() };
        publisher.publish().await?;
        Ok(publisher)
    }

    /// Subscribes to the snapshots.
    pub(crate) fn subscribe(&self) -> watch::Receiver<Arc<Snapshot>> {
        self.snapshots.subscribe()
    }

    async fn publish(&self) -> Result<(), StoreError> {
        let records = self.read().await?;
        let (previous, sealer) = (self.snapshots.borrow().clone(), self.sealer.clone());
        // Decrypting and checking keys blocks: not on a runtime thread.
        let snapshot = spawn_blocking(move || build_snapshot(&records, &previous, &sealer)).await;
        self.snapshots.send_replace(Arc::new(snapshot.map_err(StoreError::new)??));
        Ok(())
    }

    /// Reads all records at one revision.
    async fn read(&self) -> Result<AllRecords, StoreError> {
        let list = |kind| self.store.list(kind);
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
            let revision = self.snapshots.borrow().revision;
            let published = match self.store.watch(revision).await {
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
    previous: &Snapshot,
    sealer: &Sealer,
) -> Result<Snapshot, StoreError> {
    let provider = default_provider();
    let settings = Arc::new(Settings::read(records, &previous.settings)?);
    let mut snapshot =
        Snapshot { revision: records.revision, settings: settings.clone(), ..Snapshot::default() };
    for (id, Versioned { revision, value: entry }) in &settings.certificates {
        let unchanged = previous.entries.get(&**id).filter(|(known, _)| known == revision);
        let unchanged = unchanged.map(|(_, entry)| entry.clone());
        let entry = match unchanged.map_or_else(|| load(entry, sealer, &provider), Ok) {
            Ok(entry) => entry,
            Err(problem) => {
                tracing::error!(id = &**id, "store: entry is unusable: {problem}");
                continue;
            }
        };
        match &entry {
            LoadedEntry::Identity(identity) => {
                snapshot.identity_certificates.insert(identity.certificate().der().into());
                snapshot.identities.insert(IdentityReference::id(id.shared()), identity.clone());
            }
            LoadedEntry::Caller(certificate) => {
                snapshot.caller_certificates.insert(certificate.der().into());
            }
        }
        snapshot.entries.insert(id.shared(), (*revision, entry));
    }
    Ok(snapshot)
}

fn load(entry: &CertificateEntry, sealer: &Sealer, provider: &CryptoProvider) -> Result<LoadedEntry, String> {
    let Some(key) = entry.open_key(sealer) else {
        return Ok(LoadedEntry::Caller(entry.certificate.clone()));
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
