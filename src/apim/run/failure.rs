//! Why a document was left.

use http::StatusCode;

use super::json;
use crate::apim::{
    elements::validate::Invalid,
    error::Position,
    expression::{Fault, LastError},
    program::Place,
};

/// Why the section was left.
pub(super) struct Failure {
    pub(super) error: LastError,
    pub(super) position: Position,
    pub(super) element: &'static str,
    pub(super) status: StatusCode,
    pub(super) body: String,
}

impl Failure {
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
        }
    }
}
