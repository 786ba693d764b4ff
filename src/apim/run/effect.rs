//! What elements make: answers, headers, variables, and what is chosen for the backend.

use std::borrow::Cow;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Uri};

use super::{
    Run,
    headers::{ResponseChange, apply},
};
use crate::{
    apim::{
        backend::base_url,
        expression::{Evaluated, Expression, Fault, Value, Variable},
        outcome::{Answer, Cause, ChosenIdentity},
        program::{
            HeaderChange, HeaderMode, HeaderText, IdentitySource, Place, Reply, Section, Slot, Target,
            Template,
        },
    },
    certificate::Thumbprint,
    claims::is_claim,
};

impl<'r> Run<'r, '_> {
    pub(super) fn reply(&mut self, reply: &'r Reply, place: &Place) -> Evaluated<Answer> {
        let mut headers = HeaderMap::new();
        for change in &reply.headers {
            let values = self.header_values(change)?;
            apply(&mut headers, &change.name, change.mode, &values);
        }
        let body = match &reply.body {
            Some(template) => self.text(template)?.unwrap_or_default().into_owned(),
            None => String::new(),
        };
        Ok(Answer {
            status: reply.status,
            reason: reply.reason.clone(),
            headers,
            body: Bytes::from(body),
            cause: Cause {
                position: place.position,
                element: place.element,
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
        const INVALID: Fault = Fault::Format("The value holds a character that no header may hold.");
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

    pub(super) fn change_header(&mut self, change: &'r HeaderChange, place: &Place) -> Evaluated<()> {
        self.state.certificate_read = false;
        let values = match self.header_values(change) {
            Ok(values) => values,
            Err(fault) => {
                // In shadow the request goes on all the same, and not with what the caller wrote there.
                if self.is_shadow && self.section == Section::Inbound {
                    self.change_request(&change.name, HeaderMode::Delete, &[]);
                }
                return Err(fault);
            }
        };
        self.note_at(place.position, || match values.first() {
            Some(first) => format!("header {} is set to {first:?}", change.name),
            None => format!("header {} is removed", change.name),
        });
        match self.section {
            Section::OnError => {
                if let Some(answer) = &mut self.answer {
                    apply(&mut answer.headers, &change.name, change.mode, &values);
                }
            }
            Section::Outbound => {
                self.response.push(ResponseChange { name: change.name.clone(), mode: change.mode, values });
            }
            Section::Inbound | Section::Backend => {
                let slot = Slot::Header(&change.name);
                if change.mode.keeps() {
                    // Of what was there before, something stays.
                    self.state.record_read(slot);
                }
                self.state.record_write(slot);
                self.change_request(&change.name, change.mode, &values);
            }
        }
        Ok(())
    }

    fn change_request(&mut self, name: &HeaderName, mode: HeaderMode, values: &[HeaderValue]) {
        let headers = self.state.headers.get_or_insert_with(|| self.inputs.facts.headers.clone());
        let is_first = !self.changed.contains(name);
        // What a caller claims by such a header is neither kept nor added to: it would pass for the gateway's word.
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
        let variable = Variable { name, value };
        self.state.record_write(Slot::Variable(name));
        match self.state.variables.iter_mut().find(|known| known.name == name) {
            Some(known) => *known = variable,
            None => self.state.variables.push(variable),
        }
        Ok(())
    }

    pub(super) fn identity(&mut self, source: &'r IdentitySource) -> Evaluated<ChosenIdentity> {
        const NONE: Fault = Fault::Format("The expression names no certificate.");
        match source {
            IdentitySource::Fixed(identity) => Ok(identity.clone()),
            IdentitySource::Id(expression) => match self.expression_text(expression)? {
                Some(id) if !id.is_empty() => Ok(ChosenIdentity::Id(id.into())),
                _ => Err(NONE),
            },
            IdentitySource::Thumbprint(expression) => {
                let text = self.expression_text(expression)?.ok_or(NONE)?;
                match text.parse::<Thumbprint>() {
                    Ok(thumbprint @ Thumbprint::Sha1(_)) => Ok(ChosenIdentity::Thumbprint(thumbprint)),
                    _ => Err(NONE),
                }
            }
        }
    }

    pub(super) fn target(&mut self, target: &'r Target) -> Evaluated<Uri> {
        match target {
            Target::Fixed(uri) => Ok(uri.clone()),
            Target::Backend(_, backend) => Ok(backend.base_url().clone()),
            Target::Expression(expression) => {
                let text = self.expression_text(expression)?;
                text.and_then(|text| base_url(&text))
                    .ok_or(Fault::Format("The expression yields no base URL."))
            }
        }
    }
}
