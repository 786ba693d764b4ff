//! The element `set-backend-service`.

use super::{Attribute, CertificateReference, Compiler, Element, Type, expression};
use crate::apim::{
    backend::{Backend, base_url},
    error::{FindingKind, short},
    program::{Action, BackendTarget, CertificateKey},
};

/// Maximum number of ids that an error lists.
const MAX_LISTED: usize = 5;

impl Compiler<'_> {
    pub(super) fn set_backend_service(&mut self, element: &Element) -> Option<Action> {
        self.check_shape(element, &["base-url", "backend-id"], &[]);
        let target = match (element.attribute("base-url"), element.attribute("backend-id")) {
            (Some(_), None) => {
                let attribute = self.required(element, "base-url")?;
                self.base_url(attribute)?
            }
            (None, Some(_)) => {
                let attribute = self.required(element, "backend-id")?;
                self.known_backend(attribute)?
            }
            (Some(_), Some(id)) => {
                let message = "base-url and backend-id exclude each other; write one of them";
                self.findings.error(id.position, message);
                return None;
            }
            (None, None) => {
                return self
                    .error(element, "attribute base-url or backend-id of <set-backend-service> is missing");
            }
        };
        Some(Action::Backend(target))
    }

    fn base_url(&mut self, attribute: &Attribute) -> Option<BackendTarget> {
        if expression::is_expression(&attribute.value.value) {
            let compiled = self.compile(&attribute.value, Type::TEXT)?;
            return Some(BackendTarget::Expression(Box::new(compiled), attribute.position));
        }
        match base_url(attribute.value.value.trim()) {
            Some(uri) => Some(BackendTarget::Fixed(uri)),
            None => {
                let message = "invalid base-url; use http://host/path or https://host/path with a port from 1 to 65535, without user, \
                               query or fragment";
                self.findings.error(attribute.position, message);
                None
            }
        }
    }

    /// Resolves a backend id, which is case-sensitive.
    fn known_backend(&mut self, attribute: &Attribute) -> Option<BackendTarget> {
        let written = self.literal(attribute)?;
        let Some((id, backend)) = self.backends.get_key_value(written) else {
            let problem = format!("no backend has the id {:?}", short(written));
            let remedy = known_ids("backends", self.backends.keys().map(|id| &**id));
            self.findings.error_about(FindingKind::Backend, attribute.position, &problem, &remedy);
            return None;
        };
        let (id, backend) = (id.clone(), Backend::clone(backend));
        if let Some(identity) = backend.identity() {
            if backend.base_url().scheme_str() == Some("http") {
                let message = format!(
                    "backend {id:?}: requests fail, since its identity is never presented over http; use an https URL"
                );
                self.findings.warn(attribute.position, message);
            }
            self.certificate_references.extend(CertificateKey::of(identity).map(|key| {
                CertificateReference {
                    needs_private_key: true,
                    key,
                    position: attribute.position,
                    backend: Some(id.clone()),
                }
            }));
        }
        Some(BackendTarget::Backend(id, backend))
    }
}

/// Lists the known ids, as the remedy for an unknown one.
pub(super) fn known_ids<'i>(kind: &str, ids: impl Iterator<Item = &'i str>) -> String {
    let ids: Vec<_> = ids.collect();
    match ids.len() {
        0 => format!("no {kind} are configured"),
        1..=MAX_LISTED => format!("known: {}", id_list(&ids)),
        more => format!("{more} others are known"),
    }
}

/// Lists a few ids, or their number.
pub(super) fn id_list(ids: &[&str]) -> String {
    if ids.len() > MAX_LISTED {
        return format!("{} certificates", ids.len());
    }
    ids.iter().map(|id| format!("{id:?}")).collect::<Vec<_>>().join(", ")
}
