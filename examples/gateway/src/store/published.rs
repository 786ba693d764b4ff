//! What requests see of the store: one snapshot in memory, replaced whole.

use std::{
    collections::{BTreeMap, HashSet},
    fmt,
    sync::{Arc, Mutex, PoisonError},
};

use arc_swap::ArcSwapOption;
use tower_mtls::{
    Answer, Certificate, CertificateSet, ClientIdentity, Timestamp,
    apim::DeploymentCertificates,
    identity::{Identities, IdentityReference, ResolveIdentity},
};

use super::{Revision, Settings};

/// The store as it is published; nothing until it has been opened.
#[derive(Default)]
pub(crate) struct Published {
    snapshot: ArcSwapOption<Snapshot>,
    showing: Mutex<()>,
}

/// The store at one moment.
#[derive(Default)]
pub(super) struct Snapshot {
    /// Its last change.
    pub(super) revision: Revision,
    pub(super) settings: Arc<Settings>,
    /// By id and thumbprint.
    pub(super) identities: Identities,
    /// What is behind each id, with the revision that it was made of.
    pub(super) made: BTreeMap<Arc<str>, (Revision, Made)>,
    /// The certificates of callers, and those of identities, as DER.
    pub(super) callers: HashSet<Box<[u8]>>,
    pub(super) own: HashSet<Box<[u8]>>,
}

/// What was made of an entry.
#[derive(Clone)]
pub(super) enum Made {
    Identity(ClientIdentity),
    Caller(Certificate),
}

impl Snapshot {
    /// The identities, with their ids.
    pub(super) fn own_identities(&self) -> impl Iterator<Item = (&Arc<str>, &ClientIdentity)> {
        self.made.iter().filter_map(|(id, (_, made))| match made {
            Made::Identity(identity) => Some((id, identity)),
            Made::Caller(_) => None,
        })
    }
}

impl Published {
    /// Every request that starts from now on sees this; what was there before is returned.
    pub(super) fn replace(&self, snapshot: Snapshot) -> Option<Arc<Snapshot>> {
        self.snapshot.swap(Some(Arc::new(snapshot)))
    }

    pub(super) fn snapshot(&self) -> Option<Arc<Snapshot>> {
        self.snapshot.load_full()
    }

    /// APIs, backends and policies, with the last change that this shows.
    pub(crate) fn settings(&self) -> (Revision, Arc<Settings>) {
        self.snapshot().map(|snapshot| (snapshot.revision, snapshot.settings.clone())).unwrap_or_default()
    }

    /// Whether there is a certificate under this id.
    pub(crate) fn has(&self, id: &str) -> bool {
        self.snapshot().is_some_and(|snapshot| snapshot.made.contains_key(id))
    }

    /// Ids of identities, and the end of each one's certificate.
    pub(crate) fn expiries(&self) -> Vec<(Arc<str>, Timestamp)> {
        let Some(snapshot) = self.snapshot() else { return Vec::new() };
        let end = |identity: &ClientIdentity| identity.certificate().validity().not_after;
        snapshot.own_identities().map(|(id, identity)| (id.clone(), end(identity))).collect()
    }

    /// Shows documents all certificates: `show` is given what adds them. One after the other, each as they are then, so
    /// that nobody puts an older state in the place of a newer one.
    pub(super) fn show(&self, show: impl FnOnce(&dyn Fn(&mut DeploymentCertificates))) {
        let _turn = self.showing.lock().unwrap_or_else(PoisonError::into_inner);
        show(&|deployed| self.insert_into(deployed));
    }

    fn insert_into(&self, deployed: &mut DeploymentCertificates) {
        let Some(snapshot) = self.snapshot() else { return };
        for (id, (_, made)) in &snapshot.made {
            let (certificate, has_key) = match made {
                Made::Identity(identity) => (identity.certificate(), true),
                Made::Caller(certificate) => (certificate, false),
            };
            // The configuration file's own identities keep their names.
            if deployed.by_id(id).is_none() {
                deployed.insert(&**id, certificate.clone(), has_key);
            }
        }
    }
}

impl ResolveIdentity for Published {
    fn resolve(&self, reference: &IdentityReference) -> Option<ClientIdentity> {
        self.snapshot.load().as_ref()?.identities.resolve(reference)
    }
}

impl fmt::Debug for Published {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Published")
    }
}

/// The certificates in the store, as a set that a rule asks on each request.
#[derive(Debug)]
pub(crate) struct Members {
    store: Arc<Published>,
    with_identities: bool,
}

impl Members {
    /// The callers', and with `with_identities` all of them.
    pub(crate) fn new(store: Arc<Published>, with_identities: bool) -> Self {
        Self { store, with_identities }
    }
}

impl CertificateSet for Members {
    fn contains(&self, certificate: &Certificate) -> Answer {
        let store = self.store.snapshot.load();
        // `gateway check` and `gateway explain` do not open it.
        let Some(store) = store.as_ref() else { return Answer::CannotTell };
        let der = certificate.der();
        (store.callers.contains(der) || (self.with_identities && store.own.contains(der))).into()
    }

    fn name(&self) -> String {
        match (self.store.snapshot.load().is_some(), self.with_identities) {
            (false, _) => "the store, which only a gateway that serves can ask".into(),
            (true, false) => "the store's caller certificates".into(),
            (true, true) => "the store".into(),
        }
    }
}
