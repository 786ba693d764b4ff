//! What policy documents see as `context.Deployment.Certificates`: the identities of the configuration file and all that
//! is in the store.

use tower_mtls::{Shared, apim::DeploymentCertificates};

use super::Published;

/// The certificates of one configuration, and what documents see of them and of the store.
#[derive(Debug, Clone)]
pub(crate) struct Deployed {
    file: DeploymentCertificates,
    shared: Shared<DeploymentCertificates>,
}

impl Deployed {
    /// `shared` is what documents were given.
    pub(crate) fn new(file: DeploymentCertificates, shared: Shared<DeploymentCertificates>) -> Self {
        Self { file, shared }
    }

    /// Shows documents the store as it is published now. Of two under the same id the file's counts.
    pub(crate) fn refresh(&self, store: &Published) {
        store.show(|insert| {
            let mut all = self.file.clone();
            insert(&mut all);
            self.shared.replace(all);
        });
    }
}
