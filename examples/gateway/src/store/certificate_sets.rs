//! The certificates of the store, as sets for rules and for policy documents.

use std::sync::Arc;

use tower_mtls::{
    Certificate, Shared,
    apim::DeploymentCertificates,
    policy::{Answer, CertificateSet},
};

use super::CurrentStore;

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
        // `gateway check` and `gateway explain` do not open the store.
        self.store.contains(certificate, self.with_identities).map_or(Answer::CannotTell, Answer::from)
    }

    fn name(&self) -> String {
        match (self.store.is_open(), self.with_identities) {
            (false, _) => "the store, which only a running gateway reads".into(),
            (true, false) => "the store's caller certificates".into(),
            (true, true) => "the store".into(),
        }
    }
}

/// Certificates visible to policy documents as `context.Deployment.Certificates`: the identities of the configuration
/// file and all certificates of the store.
#[derive(Debug, Clone)]
pub(crate) struct DocumentCertificates {
    file: DeploymentCertificates,
    shared: Shared<DeploymentCertificates>,
}

impl DocumentCertificates {
    /// Creates the merger. `shared` is the value that the documents were compiled with.
    pub(crate) fn new(file: DeploymentCertificates, shared: Shared<DeploymentCertificates>) -> Self {
        Self { file, shared }
    }

    /// Publishes the current certificates of the store to documents. An id of the configuration file takes precedence.
    pub(crate) fn refresh(&self, store: &CurrentStore) {
        store.with_certificates(|insert| {
            let mut all = self.file.clone();
            insert(&mut all);
            self.shared.replace(all);
        });
    }
}
