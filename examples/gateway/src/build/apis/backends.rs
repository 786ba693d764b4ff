//! Backends of the store, as policy documents refer to them.

use std::{collections::BTreeMap, sync::Arc};

use tower_mtls::{
    Shared, UpstreamTrust,
    apim::{Backend as NamedBackend, ChosenIdentity, DeploymentCertificates},
};

use super::{
    super::{api_trust::ApiTrust, references::reference},
    problem::{ApiProblem, report},
};
use crate::{
    config::{Scheme, UpstreamUrl, Verify},
    routing::ApiRoutes,
    store::{Backend, CertificateUse, Credential, Id, Item, ItemField, Settings},
};

/// A backend for documents, the trust in it, and the record that it was built from.
pub(super) struct ResolvedBackend {
    pub(super) record: Arc<Backend>,
    pub(super) backend: NamedBackend,
    pub(super) trust: UpstreamTrust,
}

pub(super) type Backends = BTreeMap<Id, ResolvedBackend>;

/// Resolves all backends; those that cannot be used are reported in `built`.
pub(super) fn resolve(
    settings: &Settings,
    deployment: &Shared<DeploymentCertificates>,
    upstream_trust: &ApiTrust,
    built: &mut ApiRoutes,
) -> Backends {
    let mut resolved = Backends::new();
    for (id, stored) in &settings.backends {
        match backend(id, &stored.value, deployment, upstream_trust) {
            Ok((backend, trust)) => {
                if let Some(identity) = backend.identity() {
                    let of = reference(identity);
                    built.uses.extend(of.map(|of| CertificateUse {
                        user: format!("/backends/{id}"),
                        reference: of,
                        needs_key: true,
                    }));
                }
                let record = stored.value.clone();
                resolved.insert(id.clone(), ResolvedBackend { record, backend, trust });
            }
            Err(problem) => report(built, &Item::Backend(id.clone()), vec![problem]),
        }
    }
    resolved
}

fn backend(
    id: &Id,
    record: &Backend,
    deployment: &Shared<DeploymentCertificates>,
    upstream_trust: &ApiTrust,
) -> Result<(NamedBackend, UpstreamTrust), ApiProblem> {
    let url = |problem: String| (ItemField::Url, None, problem);
    let parsed = UpstreamUrl::parse(&record.url);
    let parsed = parsed.map_err(|error| url(format!("{}; {}", error.problem, error.remedy)))?;
    let backend = NamedBackend::new(&record.url).map_err(|error| url(error.to_string()))?;
    let trust = upstream_trust.of_backend(id, verify(record)).map_err(url)?;
    let Some(credential) = &record.credential else { return Ok((backend, trust)) };
    let credentials = |problem: String| (ItemField::Credentials, None, problem);
    if parsed.scheme == Scheme::Http {
        return Err(credentials("a certificate cannot be presented over http: write an https url".into()));
    }
    let certificates = tower_mtls::apim::Deployment::certificates(deployment);
    let (identity, found, named) = match credential {
        Credential::Id(id) => {
            (ChosenIdentity::Id(id.as_str().into()), certificates.by_id(id), format!("id '{id}'"))
        }
        Credential::Thumbprint(text) => {
            let thumbprint = text.parse().map_err(|error| credentials(format!("{text:?}: {error}")))?;
            let found = certificates.by_thumbprint(thumbprint);
            (ChosenIdentity::Thumbprint(thumbprint), found, format!("thumbprint '{text}'"))
        }
    };
    match found {
        Some(found) if found.has_private_key() => Ok((backend.with_identity(identity), trust)),
        Some(_) => Err(credentials(format!(
            "Certificate with {named} has no private key, so it cannot be shown to a backend."
        ))),
        None => Err(credentials(format!("Certificate with {named} not found."))),
    }
}

/// Verification of the backend's certificate.
pub(super) fn verify(backend: &Backend) -> Verify {
    match (backend.validates_chain, backend.validates_name) {
        (true, true) => Verify::Full,
        (true, false) => Verify::Chain,
        (false, true) => Verify::Name,
        (false, false) => Verify::None,
    }
}
