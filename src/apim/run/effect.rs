//! Effects of elements: responses, headers, variables, identity and backend.

use std::borrow::Cow;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Uri};

use super::Execution;
use crate::{
    apim::{
        backend::base_url,
        decision::{Cause, ChosenIdentity, DocumentResponse},
        expression::{Evaluated, Expression, Fault, Value, Variable},
        headers::{ResponseChange, apply},
        program::{
            BackendTarget, ElementLocation, HeaderChange, HeaderMode, HeaderText, IdentitySource,
            ReturnResponse, Section, Template,
        },
    },
    certificate::Thumbprint,
    request::claims::is_claim,
};

impl<'r> Execution<'r, '_> {
    pub(super) fn return_response(
        &mut self,
        element: &'r ReturnResponse,
        location: &ElementLocation,
    ) -> Evaluated<DocumentResponse> {
        let mut headers = HeaderMap::new();
        for change in &element.headers {
            let values = self.header_values(change)?;
            apply(&mut headers, &change.name, change.mode, &values);
        }
        let body = match &element.body {
            Some(template) => self.text(template)?.unwrap_or_default().into_owned(),
            None => String::new(),
        };
        Ok(DocumentResponse {
            status: element.status,
            reason: element.reason.clone(),
            headers,
            body: Bytes::from(body),
            cause: Cause {
                position: location.position,
                element: location.element,
                code: None,
                message: String::new(),
                chain: None,
            },
        })
    }

    pub(super) fn expression_text(&mut self, expression: &'r Expression) -> Evaluated<Option<Cow<'r, str>>> {
        match self.evaluation().value(&expression.root)? {
            Value::Text(text) => Ok(Some(text)),
            Value::Null => Ok(None),
            _ => Err(Fault::InvalidCast),
        }
    }

    pub(super) fn text(&mut self, template: &'r Template) -> Evaluated<Option<Cow<'r, str>>> {
        match template {
            Template::Literal(text) => Ok(Some(Cow::Borrowed(text))),
            Template::Expression(expression) => self.expression_text(expression),
        }
    }

    pub(super) fn header_values(&mut self, change: &'r HeaderChange) -> Evaluated<Vec<HeaderValue>> {
        const INVALID: Fault =
            Fault::Format("The value contains a character that is not allowed in a header.");
        let mut values = Vec::with_capacity(change.values.len());
        for value in &change.values {
            values.push(match value {
                HeaderText::Literal(value) => value.clone(),
                HeaderText::Expression(expression) => match self.expression_text(expression)? {
                    Some(text) => HeaderValue::from_bytes(text.as_bytes()).map_err(|_| INVALID)?,
                    None => continue,
                },
            });
        }
        Ok(values)
    }

    pub(super) fn change_header(
        &mut self,
        change: &'r HeaderChange,
        location: &ElementLocation,
    ) -> Evaluated<()> {
        let values = match self.header_values(change) {
            Ok(values) => values,
            Err(fault) => {
                // In shadow mode the request is forwarded, without the caller's value of this header.
                if self.is_shadow && self.section == Section::Inbound {
                    self.change_request(&change.name, HeaderMode::Delete, &[]);
                }
                return Err(fault);
            }
        };
        self.note_at(location.position, || match values.first() {
            Some(first) => format!("sets header {}: {first:?}", change.name),
            None => format!("removes header {}", change.name),
        });
        match self.section {
            Section::OnError => {
                if let Some(response) = &mut self.error_response {
                    apply(&mut response.headers, &change.name, change.mode, &values);
                }
            }
            Section::Outbound => {
                self.response_changes.push(ResponseChange {
                    name: change.name.clone(),
                    mode: change.mode,
                    values,
                });
            }
            Section::Inbound | Section::Backend => {
                self.change_request(&change.name, change.mode, &values);
            }
        }
        Ok(())
    }

    fn change_request(&mut self, name: &HeaderName, mode: HeaderMode, values: &[HeaderValue]) {
        let headers = self.state.headers.get_or_insert_with(|| self.inputs.facts.headers.clone());
        let is_first = !self.changed.contains(name);
        // The caller's value of an identity header is never kept: upstreams would take it for the gateway's.
        if is_first && is_claim(name.as_str()) {
            headers.remove(name);
        }
        apply(headers, name, mode, values);
        if is_first {
            self.changed.push(name.clone());
        }
    }

    pub(super) fn set_variable(&mut self, name: &'r str, template: &'r Template) -> Evaluated<()> {
        self.state.certificate_read = false;
        let value = match template {
            Template::Literal(text) => Value::Text(Cow::Borrowed(&**text)),
            Template::Expression(expression) => self.evaluation().value(&expression.root)?,
        };
        let variable = Variable { name, value, reads_certificate: self.state.certificate_read };
        match self.state.variables.iter_mut().find(|known| known.name == name) {
            Some(known) => *known = variable,
            None => self.state.variables.push(variable),
        }
        Ok(())
    }

    pub(super) fn identity(&mut self, source: &'r IdentitySource) -> Evaluated<ChosenIdentity> {
        const NONE: Fault = Fault::Format("The value is not a certificate id or thumbprint.");
        match source {
            IdentitySource::Fixed(identity) => Ok(identity.clone()),
            IdentitySource::Id(expression, _) => match self.expression_text(expression)? {
                Some(id) if !id.is_empty() => Ok(ChosenIdentity::Id(id.into())),
                _ => Err(NONE),
            },
            IdentitySource::Thumbprint(expression, _) => {
                let text = self.expression_text(expression)?.ok_or(NONE)?;
                match text.parse::<Thumbprint>() {
                    Ok(thumbprint @ Thumbprint::Sha1(_)) => Ok(ChosenIdentity::Thumbprint(thumbprint)),
                    _ => Err(NONE),
                }
            }
        }
    }

    pub(super) fn target(&mut self, target: &'r BackendTarget) -> Evaluated<Uri> {
        match target {
            BackendTarget::Fixed(uri) => Ok(uri.clone()),
            BackendTarget::Backend(_, backend) => Ok(backend.base_url().clone()),
            BackendTarget::Expression(expression, _) => {
                let text = self.expression_text(expression)?;
                text.and_then(|text| base_url(&text)).ok_or(Fault::Format("The value is not a base URL."))
            }
        }
    }
}
