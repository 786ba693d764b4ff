//! Certificates and backends of the store that routes and policy documents refer to.

use std::sync::Arc;

use tower_mtls::{
    apim::{ChosenIdentity, Document},
    identity::IdentityReference,
};

use crate::{
    config::{Config, RouteIdentity},
    routing::Route,
    store::CertificateUse,
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

/// References to certificates of the store, from routes and their policy documents. Names of the file's identities are
/// not such references.
pub(super) fn route_uses(config: &Config, routes: &[Arc<Route>]) -> Vec<CertificateUse> {
    if config.store.is_none() {
        return Vec::new();
    }
    let mut uses = Vec::new();
    for (configured, built) in config.routes.iter().zip(routes) {
        let host = configured.host.as_ref().map_or("", |host| host.as_str());
        let by = format!("route {host}{}", configured.path.value);
        let of = match &configured.identity {
            Some(RouteIdentity::Id(id)) => Some(IdentityReference::id(id.as_str())),
            Some(RouteIdentity::Thumbprint(thumbprint)) => Some(thumbprint.value.into()),
            Some(RouteIdentity::Named(_) | RouteIdentity::PerRequest(_)) | None => None,
        };
        uses.extend(of.map(|of| CertificateUse { user: by.clone(), reference: of, needs_key: true }));
        let Some(summary) = built.policy.document().map(Document::summary) else { continue };
        let named = summary.certificates.iter().map(|(named, at)| (named, format!(", line {}", at.line)));
        let possible = summary.possible_certificates.iter().map(|named| (named, String::new()));
        for (named, line) in named.chain(possible) {
            let Some(of) = reference(named) else { continue };
            // It can be an issuer, which needs no key.
            uses.push(CertificateUse {
                user: format!("policy of {by}{line}"),
                reference: of,
                needs_key: false,
            });
        }
    }
    uses
}
