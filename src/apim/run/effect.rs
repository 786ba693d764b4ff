//! Effects of elements: responses, headers, variables, identity and backend.

use std::borrow::Cow;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, StatusCode, header};

use super::Execution;
use crate::{
    apim::{
        backend::ChosenIdentity,
        decision::{Cause, DocumentResponse},
        expression::{Evaluated, Expression, Fault, LastError, Value, Variable},
        headers::{HeaderMode, ResponseChange},
        program::{ElementLocation, HeaderTemplate, ReturnResponse, Section, Selection, Template},
        validation::Invalid,
    },
    request::claims::is_claim,
};

/// A failed element, which ends its section.
pub(super) struct Failure {
    pub(super) error: LastError,
    /// The response, which `on-error` may change.
    pub(super) response: DocumentResponse,
}

impl Failure {
    pub(super) fn of_fault(location: &ElementLocation, path: &str, fault: Fault) -> Self {
        let message = format!("Expression evaluation failed. {}", fault.message());
        let texts = ("ExpressionValueEvaluationFailure", message, "Internal server error");
        Self::new(location, path, StatusCode::INTERNAL_SERVER_ERROR, texts)
    }

    pub(super) fn of_certificate(location: &ElementLocation, invalid: Invalid) -> Self {
        let texts = (invalid.code, invalid.message.to_owned(), invalid.response);
        Self::new(location, &location.path, StatusCode::UNAUTHORIZED, texts)
    }

    fn new(
        location: &ElementLocation,
        path: &str,
        status: StatusCode,
        (reason, message, body): (&'static str, String, &str),
    ) -> Self {
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        let response = DocumentResponse {
            status,
            reason: None,
            headers,
            body: format!(r#"{{"statusCode":{},"message":"{body}"}}"#, status.as_u16()).into(),
            cause: Cause {
                position: location.position,
                element: location.element,
                code: Some(reason),
                message: message.clone(),
                chain: None,
            },
        };
        let error = LastError {
            source: location.element.to_owned(),
            reason,
            message,
            scope: location.scope,
            section: location.section.as_str(),
            path: path.to_owned(),
            policy_id: location.id.clone(),
        };
        Self { error, response }
    }
}

impl<'r> Execution<'r, '_> {
    pub(super) fn return_response(
        &mut self,
        element: &'r ReturnResponse,
        location: &ElementLocation,
    ) -> Evaluated<DocumentResponse> {
        let mut headers = HeaderMap::new();
        for change in &element.headers {
            self.header(change)?.apply(&mut headers);
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

    fn header(&mut self, template: &'r HeaderTemplate) -> Evaluated<ResponseChange> {
        const INVALID: Fault =
            Fault::Format("The value contains a character that is not allowed in a header.");
        let mut values = Vec::with_capacity(template.values.len());
        for value in &template.values {
            match value {
                Template::Literal(value) => values.push(value.clone()),
                Template::Expression(expression) => {
                    let text = self.expression_text(expression)?;
                    let value = text.map(|text| HeaderValue::from_bytes(text.as_bytes())).transpose();
                    values.extend(value.map_err(|_| INVALID)?);
                }
            }
        }
        Ok(ResponseChange { name: template.name.clone(), mode: template.mode, values })
    }

    pub(super) fn change_header(
        &mut self,
        template: &'r HeaderTemplate,
        location: &ElementLocation,
    ) -> Evaluated<()> {
        let change = match self.header(template) {
            Ok(change) => change,
            Err(fault) => {
                // In shadow mode the request is forwarded, without the caller's value of this header.
                if self.is_shadow && self.section == Section::Inbound {
                    let (name, values) = (template.name.clone(), Vec::new());
                    self.change_request(&ResponseChange { name, mode: HeaderMode::Delete, values });
                }
                return Err(fault);
            }
        };
        self.note(location.position, || match change.values.first() {
            Some(first) => format!("sets header {}: {first:?}", change.name),
            None => format!("removes header {}", change.name),
        });
        match self.section {
            Section::OnError => {
                if let Some(response) = &mut self.error_response {
                    change.apply(&mut response.headers);
                }
            }
            Section::Outbound => self.response_changes.push(change),
            Section::Inbound | Section::Backend => self.change_request(&change),
        }
        Ok(())
    }

    fn change_request(&mut self, change: &ResponseChange) {
        let name = &change.name;
        let headers = self.state.headers.get_or_insert_with(|| self.inputs.facts.headers.clone());
        let is_first = !self.changed.contains(name);
        // The caller's value of an identity header is never kept: upstreams would take it for the gateway's.
        if is_first && is_claim(name.as_str()) {
            headers.remove(name);
        }
        change.apply(headers);
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

    pub(super) fn identity(&mut self, selection: &'r Selection<ChosenIdentity>) -> Evaluated<ChosenIdentity> {
        const NONE: Fault = Fault::Format("The value is not a certificate id or thumbprint.");
        match &selection.value {
            Template::Literal(identity) => Ok(identity.clone()),
            Template::Expression(expression) => {
                let text = self.expression_text(expression)?;
                text.and_then(|text| selection.attribute.identity(&text)).ok_or(NONE)
            }
        }
    }
}
