//! The element `return-response` and its children.

use http::StatusCode;
use hyper::ext::ReasonPhrase;

use super::{Compiler, Element, Type};
use crate::apim::error::short;
use crate::apim::program::{Action, ReturnResponse, Template};

impl Compiler<'_> {
    pub(super) fn return_response(&mut self, element: &Element) -> Option<Action> {
        self.check_shape(element, &[], &["set-status", "set-header", "set-body"]);
        let mut response =
            ReturnResponse { status: StatusCode::OK, reason: None, headers: Vec::new(), body: None };
        for child in &element.children {
            match child.name.as_str() {
                "set-status" => {
                    if let Some((status, reason)) = self.set_status(child) {
                        (response.status, response.reason) = (status, reason);
                    }
                }
                "set-header" => response.headers.extend(self.set_header(child)),
                "set-body" => response.body = self.set_body(child),
                _ => {}
            }
        }
        let count = |name: &str| element.children.iter().filter(|child| child.name == name).count();
        match count("set-status") {
            0 => {
                let message = "<return-response> has no <set-status>: the status is 200 OK";
                self.findings.warn(element.position, message);
            }
            1 => {}
            _ => self.findings.error(element.position, "duplicate <set-status>; keep one"),
        }
        if count("set-body") > 1 {
            self.findings.warn(element.position, "duplicate <set-body>; the last one applies");
        }
        Some(Action::Return(Box::new(response)))
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
                        return self.error(reason.position, "invalid reason phrase; write one line of text");
                    }
                }
            }
            _ => None,
        };
        let written = self.literal(code)?;
        // 1xx are not final responses, and 101 would change the protocol.
        match written.parse::<u16>().ok().and_then(|code| StatusCode::from_u16(code).ok()) {
            Some(status) if (200..=599).contains(&status.as_u16()) => Some((status, reason)),
            _ => {
                let message = format!("invalid status code {:?}; use 200 to 599", short(written));
                self.error(code.position, message)
            }
        }
    }

    pub(super) fn set_body(&mut self, element: &Element) -> Option<Template> {
        self.check_shape(element, &[], &[]);
        self.check_plain(&element.text);
        self.template(&element.text, Type::TEXT, |_, text| Some(text.into()))
    }
}
