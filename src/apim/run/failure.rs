//! Failures of elements and the responses to them.

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, StatusCode, header};

use super::json;
use crate::apim::{
    decision::{Cause, DocumentResponse},
    error::Position,
    expression::{Fault, LastError},
    program::ElementLocation,
    validation::Invalid,
};

/// A failed element, which ends its section.
pub(super) struct Failure {
    pub(super) error: LastError,
    position: Position,
    element: &'static str,
    status: StatusCode,
    body: String,
}

impl Failure {
    /// Converts into the response, which `on-error` may change.
    pub(super) fn into_response(self) -> DocumentResponse {
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        DocumentResponse {
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

    /// Sets the element and position that operators see; `context.LastError` keeps the enclosing element.
    pub(super) fn at(self, element: &'static str, position: Position) -> Self {
        Self { element, position, ..self }
    }

    pub(super) fn of_fault(location: &ElementLocation, path: &str, fault: Fault) -> Self {
        let status = StatusCode::INTERNAL_SERVER_ERROR;
        Self {
            error: LastError {
                source: location.element.to_owned(),
                reason: "ExpressionValueEvaluationFailure",
                message: format!("Expression evaluation failed. {}", fault.message()),
                scope: location.scope,
                section: location.section.as_str(),
                path: path.to_owned(),
                policy_id: location.id.clone(),
            },
            position: location.position,
            element: location.element,
            status,
            body: json(status, "Internal server error"),
        }
    }

    pub(super) fn of_certificate(location: &ElementLocation, invalid: Invalid) -> Self {
        let status = StatusCode::UNAUTHORIZED;
        Self {
            error: LastError {
                source: location.element.to_owned(),
                reason: invalid.code,
                message: invalid.message.to_owned(),
                scope: location.scope,
                section: location.section.as_str(),
                path: location.path.clone(),
                policy_id: location.id.clone(),
            },
            position: location.position,
            element: location.element,
            status,
            body: json(status, invalid.response),
        }
    }
}
