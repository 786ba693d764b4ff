//! Certificates that policy documents find by name.

use std::convert::Infallible;

use tower_mtls::{Shared, apim::DeploymentCertificates};

use super::{
    cache::{Digest, Memo},
    key_pair::LoadedKeyPair,
    sections::SectionsByName,
};
use crate::store::{CurrentStore, DocumentCertificates};

/// Certificates for `context.Deployment.Certificates`: those of all identities, by name, and those of the store.
pub(super) struct Deployment {
    pub(super) deployed: DocumentCertificates,
    pub(super) certificates: Shared<DeploymentCertificates>,
    pub(super) digest: Digest,
    /// Whether all identities are valid.
    pub(super) is_complete: bool,
}

impl Deployment {
    pub(super) fn new(
        identities: &SectionsByName<LoadedKeyPair>,
        store: &CurrentStore,
        memo: &mut Memo<Shared<DeploymentCertificates>>,
    ) -> Self {
        let mut file = DeploymentCertificates::new();
        let mut parts: Vec<&[u8]> = Vec::new();
        for (name, pair) in identities {
            let Some(pair) = pair else { continue };
            file.insert(name.as_str(), pair.identity.certificate().clone(), true);
            parts.extend([name.as_bytes(), pair.digest.as_bytes()]);
        }
        let digest = Digest::of("deployment", parts);
        // Reused documents keep their own.
        let Ok(certificates) = memo.get_or_build(digest, || Ok::<_, Infallible>(Shared::default()));
        let deployed = DocumentCertificates::new(file, certificates.clone());
        deployed.refresh(store);
        Self { deployed, certificates, digest, is_complete: identities.values().all(Option::is_some) }
    }
}
