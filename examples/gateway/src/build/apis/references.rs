//! Certificates and backends that the APIs refer to.

use tower_mtls::{
    apim::{ChosenIdentity, Document},
    identity::IdentityReference,
};

/// Certificates and backends that a policy document refers to.
#[derive(Clone, Default)]
pub(super) struct DocumentReferences {
    pub(super) certificates: Vec<IdentityReference>,
    pub(super) backends: Vec<String>,
}

impl DocumentReferences {
    pub(super) fn of(document: &Document) -> Self {
        let summary = document.summary();
        let named = summary.certificates.iter().map(|(identity, _)| identity);
        let certificates = named.chain(&summary.possible_certificates).filter_map(reference).collect();
        Self { certificates, backends: summary.backends.iter().map(|(id, _)| id.to_string()).collect() }
    }
}

/// The reference by which the store finds a chosen identity; None if the identity is part of the document.
pub(super) fn reference(identity: &ChosenIdentity) -> Option<IdentityReference> {
    match identity {
        ChosenIdentity::Id(id) => Some(IdentityReference::id(id.clone())),
        ChosenIdentity::Thumbprint(thumbprint) => Some((*thumbprint).into()),
        _ => None,
    }
}
