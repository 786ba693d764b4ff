//! Why a document was left.

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, StatusCode, header};

use super::json;
use crate::apim::{
    elements::validate::Invalid,
    error::Position,
    expression::{Fault, LastError},
    outcome::{Answer, Cause},
    program::Place,
};

/// Why the section was left.
pub(super) struct Failure {
    pub(super) error: LastError,
    position: Position,
    element: &'static str,
    status: StatusCode,
    body: String,
    /// An expression failed, so it is not known what the document would have done.
    pub(super) is_fault: bool,
}

impl Failure {
    /// The answer that `on-error` may change.
    pub(super) fn into_answer(self) -> Answer {
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        Answer {
            status: self.status,
            reason: None,
            headers,
            body: Bytes::from(self.body),
            cause: Cause {
                position: self.position,
                element: self.element,
                code: Some(self.error.reason),
                message: self.error.message,
                chain: None,
            },
        }
    }

    /// For operators it failed here, within the element that `context.LastError` tells.
    pub(super) fn at(self, element: &'static str, position: Position) -> Self {
        Self { element, position, ..self }
    }

    pub(super) fn of_fault(place: &Place, path: &str, fault: Fault) -> Self {
        let status = StatusCode::INTERNAL_SERVER_ERROR;
        Self {
            error: LastError {
                source: place.element.to_owned(),
                reason: "ExpressionValueEvaluationFailure",
                message: format!("Expression evaluation failed. {}", fault.message()),
                scope: place.scope,
                section: place.section.as_str(),
                path: path.to_owned(),
                policy_id: place.id.clone(),
            },
            position: place.position,
            element: place.element,
            status,
            body: json(status, "Internal server error"),
            is_fault: true,
        }
    }

    pub(super) fn of_certificate(place: &Place, invalid: Invalid) -> Self {
        let status = StatusCode::UNAUTHORIZED;
        Self {
            error: LastError {
                source: place.element.to_owned(),
                reason: invalid.code,
                message: invalid.message.to_owned(),
                scope: place.scope,
                section: place.section.as_str(),
                path: place.path.clone(),
                policy_id: place.id.clone(),
            },
            position: place.position,
            element: place.element,
            status,
            body: json(status, invalid.answer),
            is_fault: false,
        }
    }
}
