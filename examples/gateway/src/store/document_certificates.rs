//! Certificates visible to policy documents as `context.Deployment.Certificates`: the identities of the configuration
//! file and all certificates of the store.

use tower_mtls::{Shared, apim::DeploymentCertificates};

use super::CurrentStore;

/// The certificates of one configuration, merged with those of the store.
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
