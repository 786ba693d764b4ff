//! `set-backend-service`: where the request is sent.

use super::{Attribute, CertificateReference, Compiler, Element, Type, expression};
use crate::apim::{
    backend::{Backend, base_url},
    error::{FindingKind, short},
    program::{Action, CertificateKey, Target},
};

/// More ids than this are not listed: nobody finds a misspelt one among them.
const MOST_LISTED: usize = 5;

impl Compiler<'_> {
    pub(super) fn set_backend_service(&mut self, element: &Element) -> Option<Action> {
        self.check_shape(element, &["base-url", "backend-id"], &[]);
        let target = match (element.attribute("base-url"), element.attribute("backend-id")) {
            (Some(_), None) => {
                let attribute = self.required(element, "base-url")?;
                self.base_url(element, attribute)?
            }
            (None, Some(_)) => {
                let attribute = self.required(element, "backend-id")?;
                self.known_backend(attribute)?
            }
            (Some(_), Some(id)) => {
                let message = "base-url and backend-id exclude each other: write one of them";
                self.findings.error(id.position, message);
                return None;
            }
            (None, None) => {
                return self.error(element, "<set-backend-service> needs base-url or backend-id");
            }
        };
        Some(Action::Backend(target))
    }

    fn base_url(&mut self, element: &Element, attribute: &Attribute) -> Option<Target> {
        if expression::is_expression(&attribute.value.value) {
            let compiled = self.compile(&attribute.value, Type::TEXT)?;
            self.refuse_callers_choice(element, attribute, &compiled, "where requests are sent")?;
            return Some(Target::Expression(Box::new(compiled)));
        }
        match base_url(attribute.value.value.trim()) {
            Some(uri) => Some(Target::Fixed(uri)),
            None => {
                let message = "base-url is http://host/path or https://host/path, a port from 1 to 65535 behind the host, without user, \
                     query or fragment";
                self.findings.error(attribute.position, message);
                None
            }
        }
    }

    /// Ids are compared as they are written: two that differ in case are two.
    fn known_backend(&mut self, attribute: &Attribute) -> Option<Target> {
        let written = self.literal(attribute)?;
        let Some((id, backend)) = self.backends.get_key_value(written) else {
            let problem = format!("no backend has the id {:?}", short(written));
            let remedy = listed(self.backends.keys().map(|id| &**id));
            self.findings.error_about(FindingKind::Backend, attribute.position, &problem, &remedy);
            return None;
        };
        let (id, backend) = (id.clone(), Backend::clone(backend));
        if let Some(identity) = backend.identity() {
            if backend.base_url().scheme_str() == Some("http") {
                let message = format!(
                    "the backend {id:?} has an identity, which is never shown over http: requests that go there fail"
                );
                self.findings.warn(attribute.position, message);
            }
            self.named.extend(CertificateKey::of(identity).map(|named| CertificateReference {
                is_shown: true,
                named,
                position: attribute.position,
                backend: Some(id.clone()),
            }));
        }
        Some(Target::Backend(id, backend))
    }
}

/// What could have been meant.
pub(super) fn listed<'i>(ids: impl Iterator<Item = &'i str>) -> String {
    let ids: Vec<_> = ids.collect();
    match ids.len() {
        0 => "none is known here".into(),
        1..=MOST_LISTED => format!("known are {}", named(&ids)),
        more => format!("{more} others are known"),
    }
}

/// A few ids, or how many there are.
pub(super) fn named(ids: &[&str]) -> String {
    if ids.len() > MOST_LISTED {
        return format!("{} certificates", ids.len());
    }
    ids.iter().map(|id| format!("{id:?}")).collect::<Vec<_>>().join(", ")
}
