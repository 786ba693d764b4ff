//! Snapshots of the store in memory: their publication after each change, and the one that requests see.

use std::{
    collections::{BTreeMap, HashSet},
    convert::Infallible,
    fmt,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use arc_swap::ArcSwapOption;
use rustls::crypto::{CryptoProvider, aws_lc_rs::default_provider};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio::{sync::watch, task::spawn_blocking, time};
use tower_mtls::{
    Certificate, ClientIdentity, Shared,
    apim::DeploymentCertificates,
    certificate::Timestamp,
    identity::{Identities, IdentityReference, ResolveIdentity},
};

use super::{
    CertificateEntry, Record, RecordKind, Revision, Settings, Store, StoreError, Versioned,
    entry::Sealer,
    settings::{Items, unchanged},
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

/// The store at one revision.
#[derive(Default)]
pub(crate) struct Snapshot {
    pub(super) settings: Arc<Settings>,
    /// By id and thumbprint.
    identities: Identities,
    /// Loaded entries by id, each with the revision of its record.
    entries: BTreeMap<Arc<str>, (Revision, LoadedEntry)>,
    /// Certificates of callers, as DER.
    caller_certificates: HashSet<Box<[u8]>>,
    /// Certificates of identities, as DER.
    identity_certificates: HashSet<Box<[u8]>>,
}

/// An entry whose certificate and key were loaded.
#[derive(Clone)]
enum LoadedEntry {
    Identity(ClientIdentity),
    Caller(Certificate),
}

impl Snapshot {
    pub(crate) fn revision(&self) -> Revision {
        self.settings.revision
    }

    /// Returns the ids of identities, and the expiry of each certificate.
    pub(super) fn expiries(&self) -> Vec<(Arc<str>, Timestamp)> {
        let end = |identity: &ClientIdentity| identity.certificate().validity().not_after;
        self.own_identities().map(|(id, _, identity)| (id.clone(), end(identity))).collect()
    }

    /// Returns the identities that `new` does not contain at the same revision.
    fn retired_by(&self, new: &Self) -> Vec<ClientIdentity> {
        let revision_in_new = |id: &Arc<str>| new.entries.get(id).map(|(revision, _)| *revision);
        let retired =
            self.own_identities().filter(|(id, revision, _)| revision_in_new(id) != Some(*revision));
        retired.map(|(_, _, identity)| identity.clone()).collect()
    }

    fn own_identities(&self) -> impl Iterator<Item = (&Arc<str>, Revision, &ClientIdentity)> {
        self.entries.iter().filter_map(|(id, (revision, entry))| match entry {
            LoadedEntry::Identity(identity) => Some((id, *revision, identity)),
            LoadedEntry::Caller(_) => None,
        })
    }
}

impl fmt::Debug for Snapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Snapshot").field("revision", &self.revision()).finish_non_exhaustive()
    }
}

/// Builds a snapshot; reuses the identities that did not change.
fn build(records: &AllRecords, previous: &Snapshot, sealer: &Sealer) -> Result<Snapshot, StoreError> {
    let provider = default_provider();
    let certificates = decode(&records.certificates, &previous.settings.certificates);
    let settings = Arc::new(Settings::read(certificates, records, &previous.settings)?);
    let mut snapshot = Snapshot { settings: settings.clone(), ..Snapshot::default() };
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

/// Decodes the certificates. Invalid ones are skipped: they do not weaken the rules of a route.
fn decode(records: &[Record], previous: &Items<CertificateEntry>) -> Items<CertificateEntry> {
    let entries = records.iter().filter_map(|record| {
        let decoded = match unchanged(record, previous) {
            Some(entry) => Ok(entry),
            None => CertificateEntry::decode(record).map(|entry| Versioned::new(record.revision, entry)),
        };
        let logged = decoded.inspect_err(|problem| {
            tracing::error!(id = &*record.id, "store: entry is unusable: {problem}");
        });
        logged.ok().map(|entry| (entry.value.id.clone(), entry))
    });
    entries.collect()
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
        let snapshot = spawn_blocking(move || build(&records, &previous, &sealer)).await;
        self.snapshots.send_replace(Arc::new(snapshot.map_err(StoreError::new)??));
        Ok(())
    }

    /// Reads all records at one revision.
    async fn read(&self) -> Result<AllRecords, StoreError> {
        for _ in 0..READS {
            let [certificates, apis, backends, policies] = [
                self.store.list(RecordKind::Certificate).await?,
                self.store.list(RecordKind::Api).await?,
                self.store.list(RecordKind::Backend).await?,
                self.store.list(RecordKind::Policy).await?,
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
            let revision = self.snapshots.borrow().revision();
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

impl fmt::Debug for Publisher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Publisher").field("store", &self.store).finish_non_exhaustive()
    }
}

/// The snapshot that requests see; none until the store is opened.
#[derive(Default)]
pub(crate) struct CurrentStore {
    snapshot: ArcSwapOption<Snapshot>,
    certificates_lock: Mutex<()>,
}

impl CurrentStore {
    /// Publishes a snapshot to all later requests. Returns the identities that were removed or replaced.
    pub(crate) fn replace(&self, new: Arc<Snapshot>) -> Vec<ClientIdentity> {
        let old = self.snapshot.swap(Some(new.clone()));
        old.map(|old| old.retired_by(&new)).unwrap_or_default()
    }

    fn snapshot(&self) -> Option<Arc<Snapshot>> {
        self.snapshot.load_full()
    }

    /// Returns APIs, backends and policies.
    pub(crate) fn settings(&self) -> Arc<Settings> {
        self.snapshot().map(|snapshot| snapshot.settings.clone()).unwrap_or_default()
    }

    /// Returns true if there is a certificate with this id.
    pub(crate) fn has(&self, id: &str) -> bool {
        self.snapshot().is_some_and(|snapshot| snapshot.entries.contains_key(id))
    }

    /// Returns the ids of identities, and the expiry of each certificate.
    pub(crate) fn expiries(&self) -> Vec<(Arc<str>, Timestamp)> {
        self.snapshot().map(|snapshot| snapshot.expiries()).unwrap_or_default()
    }

    /// Returns true if a caller has this certificate, or, if `with_identities`, an identity; None without a snapshot.
    pub(super) fn contains(&self, certificate: &Certificate, with_identities: bool) -> Option<bool> {
        let snapshot = self.snapshot.load();
        let Snapshot { caller_certificates, identity_certificates, .. } = snapshot.as_deref()?;
        let der = certificate.der();
        Some(caller_certificates.contains(der) || (with_identities && identity_certificates.contains(der)))
    }

    /// Returns true once the store is open.
    pub(super) fn is_open(&self) -> bool {
        self.snapshot.load().is_some()
    }

    /// Calls `publish` with a function that inserts all certificates of the snapshot. Calls are serialized, so that
    /// an older state does not replace a newer one.
    pub(super) fn with_certificates(&self, publish: impl FnOnce(&dyn Fn(&mut DeploymentCertificates))) {
        let _guard = self.certificates_lock.lock().unwrap_or_else(PoisonError::into_inner);
        publish(&|certificates| self.insert_into(certificates));
    }

    fn insert_into(&self, certificates: &mut DeploymentCertificates) {
        let Some(snapshot) = self.snapshot() else { return };
        for (id, (_, entry)) in &snapshot.entries {
            let (certificate, has_key) = match entry {
                LoadedEntry::Identity(identity) => (identity.certificate(), true),
                LoadedEntry::Caller(certificate) => (certificate, false),
            };
            // Identities of the configuration file take precedence.
            if certificates.by_id(id).is_none() {
                certificates.insert(&**id, certificate.clone(), has_key);
            }
        }
    }
}

impl ResolveIdentity for CurrentStore {
    fn resolve(&self, reference: &IdentityReference) -> Option<ClientIdentity> {
        self.snapshot.load().as_ref()?.identities.resolve(reference)
    }
}

impl fmt::Debug for CurrentStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CurrentStore")
    }
}

/// Lookup of identities for requests: those of the configuration file, then those of the store, if any.
#[derive(Clone)]
pub(crate) struct IdentityResolver {
    pub(crate) file: Shared<Identities>,
    pub(crate) store: Option<Arc<CurrentStore>>,
}

impl ResolveIdentity for IdentityResolver {
    /// An id is a name in the file, or else an id in the store.
    fn resolve(&self, reference: &IdentityReference) -> Option<ClientIdentity> {
        let of_file = self.file.resolve(reference);
        of_file.or_else(|| self.store.as_ref()?.resolve(reference))
    }
}
