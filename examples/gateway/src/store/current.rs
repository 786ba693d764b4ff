//! The store as requests see it: a snapshot in memory, replaced as a whole.

use std::{
    collections::{BTreeMap, HashSet},
    fmt,
    sync::{Arc, Mutex, PoisonError},
};

use arc_swap::ArcSwapOption;
use tower_mtls::{
    Certificate, ClientIdentity,
    apim::DeploymentCertificates,
    certificate::Timestamp,
    identity::{Identities, IdentityReference, ResolveIdentity},
    policy::{Answer, CertificateSet},
};

use super::{Revision, Settings};

/// The snapshot that requests see; none until the store is opened.
#[derive(Default)]
pub(crate) struct CurrentStore {
    snapshot: ArcSwapOption<Snapshot>,
    certificates_lock: Mutex<()>,
}

/// The store at one revision.
#[derive(Default)]
pub(crate) struct Snapshot {
    pub(crate) revision: Revision,
    pub(super) settings: Arc<Settings>,
    /// By id and thumbprint.
    pub(super) identities: Identities,
    /// Loaded entries by id, each with the revision of its record.
    pub(super) entries: BTreeMap<Arc<str>, (Revision, LoadedEntry)>,
    /// Certificates of callers, as DER.
    pub(super) caller_certificates: HashSet<Box<[u8]>>,
    /// Certificates of identities, as DER.
    pub(super) identity_certificates: HashSet<Box<[u8]>>,
}

/// An entry whose certificate and key were loaded.
#[derive(Clone)]
pub(super) enum LoadedEntry {
    Identity(ClientIdentity),
    Caller(Certificate),
}

impl Snapshot {
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

impl fmt::Debug for Snapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Snapshot").field("revision", &self.revision).finish_non_exhaustive()
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

/// The certificates of the store, as a set for rules.
#[derive(Debug)]
pub(crate) struct StoreMembers {
    store: Arc<CurrentStore>,
    with_identities: bool,
}

impl StoreMembers {
    /// Creates the set of caller certificates, and with `with_identities` also of identities.
    pub(crate) fn new(store: Arc<CurrentStore>, with_identities: bool) -> Self {
        Self { store, with_identities }
    }
}

impl CertificateSet for StoreMembers {
    fn contains(&self, certificate: &Certificate) -> Answer {
        let store = self.store.snapshot.load();
        // `gateway check` and `gateway explain` do not open the store.
        let Some(store) = store.as_ref() else { return Answer::CannotTell };
        let der = certificate.der();
        let is_identity = self.with_identities && store.identity_certificates.contains(der);
        (is_identity || store.caller_certificates.contains(der)).into()
    }

    fn name(&self) -> String {
        match (self.store.snapshot.load().is_some(), self.with_identities) {
            (false, _) => "the store, which only a running gateway reads".into(),
            (true, false) => "the store's caller certificates".into(),
            (true, true) => "the store".into(),
        }
    }
}
