//! `return-response` and its parts.

use http::StatusCode;
use hyper::ext::ReasonPhrase;

use super::{Compiler, Element, Type};
use crate::apim::error::short;
use crate::apim::program::{Action, Reply, Template};

impl Compiler<'_> {
    pub(super) fn return_response(&mut self, element: &Element) -> Option<Action> {
        self.check_shape(element, &[], &["set-status", "set-header", "set-body"]);
        let mut reply = Reply { status: StatusCode::OK, reason: None, headers: Vec::new(), body: None };
        let (mut statuses, mut bodies) = (0, 0);
        for child in &element.children {
            match child.name.as_str() {
                "set-status" => {
                    statuses += 1;
                    if let Some((status, reason)) = self.set_status(child) {
                        (reply.status, reply.reason) = (status, reason);
                    }
                }
                "set-header" => reply.headers.extend(self.set_header(child)),
                "set-body" => {
                    bodies += 1;
                    reply.body = self.set_body(child);
                }
                _ => {}
            }
        }
        if statuses > 1 {
            self.findings.error(element.position, "<return-response> has one <set-status>");
        }
        if bodies > 1 {
            self.findings.warn(element.position, "of several <set-body> the last one counts");
        }
        if statuses == 0 {
            self.findings.warn(element.position, "without <set-status> the answer is 200 OK");
        }
        Some(Action::Return(Box::new(reply)))
    }

    pub(super) fn set_status(&mut self, element: &Element) -> Option<(StatusCode, Option<ReasonPhrase>)> {
        self.check_shape(element, &["code", "reason"], &[]);
        let code = self.required(element, "code")?;
        let reason = match element.attribute("reason") {
            Some(reason) if !reason.value.value.is_empty() => {
                let written = self.literal(reason)?;
                match ReasonPhrase::try_from(written.as_bytes().to_vec()) {
                    Ok(phrase) => Some(phrase),
                    Err(_) => {
                        self.findings.error(reason.position, "a reason phrase is one line of text");
                        return None;
                    }
                }
            }
            _ => None,
        };
        let written = self.literal(code)?;
        // 1xx are no answers, and 101 would change the protocol.
        match written.parse::<u16>().ok().and_then(|code| StatusCode::from_u16(code).ok()) {
            Some(status) if (200..=599).contains(&status.as_u16()) => Some((status, reason)),
            _ => {
                let message = format!("{:?} is no status code from 200 to 599", short(written));
                self.findings.error(code.position, message);
                None
            }
        }
    }

    pub(super) fn set_body(&mut self, element: &Element) -> Option<Template> {
        self.check_shape(element, &[], &[]);
        self.check_plain(&element.text);
        self.template(&element.text, Type::TEXT)
    }
}
