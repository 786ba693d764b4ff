//! What is wrong with a request, in the body that Azure's clients read.

use axum::{
    Json,
    response::{IntoResponse, Response},
};
use http::{HeaderValue, StatusCode, header};
use serde_json::{Value, json};

use crate::store::{ChangeError, ItemError, ItemField};

/// An answer that says no.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::management) struct Problem {
    pub(super) status: StatusCode,
    code: &'static str,
    message: String,
    /// The parts of the request that are wrong, and what is wrong with each.
    details: Vec<(&'static str, String)>,
    allow: Option<&'static str>,
}

impl Problem {
    pub(in crate::management) fn new(
        status: StatusCode,
        code: &'static str,
        message: impl Into<String>,
    ) -> Self {
        Self { status, code, message: message.into(), details: Vec::new(), allow: None }
    }

    /// A field of the request cannot be accepted.
    pub(super) fn validation(target: &'static str, message: impl Into<String>) -> Self {
        let message = message.into();
        let problem = Self::new(StatusCode::BAD_REQUEST, "ValidationError", message.clone());
        Self { details: vec![(target, message)], ..problem }
    }

    /// Several parts cannot; there is at least one.
    pub(super) fn invalid(details: Vec<(&'static str, String)>) -> Self {
        let first = details.first().map(|(_, first)| first.as_str()).unwrap_or_default();
        let more = match details.len() {
            0 | 1 => String::new(),
            all => format!(" (and {} more in details)", all - 1),
        };
        let message = format!("One or more fields contain incorrect values: {first}{more}");
        Self { details, ..Self::new(StatusCode::BAD_REQUEST, "ValidationError", message) }
    }

    pub(super) fn not_found(message: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, "ResourceNotFound", message)
    }

    pub(super) fn allowing(self, methods: &'static str) -> Self {
        Self { allow: Some(methods), ..self }
    }

    /// Why the store did not do what was asked of it; `what` is such as `the certificate 'orders'`.
    pub(super) fn of(refusal: ChangeError, what: &str) -> Self {
        let capital = capital(what);
        match refusal {
            ChangeError::Exists => {
                let message = format!(
                    "{capital} exists. To replace it, send its ETag in If-Match, or * to replace whatever is there."
                );
                Self::new(StatusCode::PRECONDITION_FAILED, "PreconditionFailed", message)
            }
            ChangeError::PreconditionFailed => {
                let message = format!(
                    "If-Match is not the ETag of {what}: it was changed or removed meanwhile. Get it again and decide \
                     anew."
                );
                Self::new(StatusCode::PRECONDITION_FAILED, "PreconditionFailed", message)
            }
            ChangeError::Absent => Self::not_found(format!("{capital} does not exist.")),
            ChangeError::Upload(error) => Self::validation(error.field.as_str(), error.problem),
            ChangeError::Invalid(broken) => Self::broken(&broken),
            ChangeError::InUse(users) => {
                let users: String = users.iter().map(|user| format!("{user}\r\n")).collect();
                let message = format!("{capital} is used by the following entities:\r\n{users}");
                Self::new(StatusCode::BAD_REQUEST, "ValidationError", message)
            }
            ChangeError::BreaksUses { users, reason } => {
                let users: String = users.iter().map(|user| format!("{user}\r\n")).collect();
                let message = format!("{reason} {capital} is used by the following entities:\r\n{users}");
                Self::new(StatusCode::BAD_REQUEST, "ValidationError", message)
            }
            ChangeError::Full => {
                let message = "The store holds as many entries of this kind as it takes. Delete some first.";
                Self::new(StatusCode::BAD_REQUEST, "LimitExceeded", message)
            }
            ChangeError::Failed(error) => {
                tracing::error!(what, "{error}");
                let message = "The store failed; the gateway's log says why.";
                Self::new(StatusCode::INTERNAL_SERVER_ERROR, "InternalServerError", message)
            }
        }
    }

    /// What requests could not be served by.
    fn broken(broken: &[ItemError]) -> Self {
        let target = |field| match field {
            ItemField::Path => "path",
            ItemField::ServiceUrl => "serviceUrl",
            ItemField::Url => "url",
            ItemField::Credentials => "credentials",
            ItemField::Document => "representation",
        };
        let problem = Self::invalid(
            broken
                .iter()
                .map(|broken| (target(broken.field), format!("{}: {broken}", broken.item)))
                .collect(),
        );
        if broken.iter().any(|broken| broken.field == ItemField::Path) {
            return Self { status: StatusCode::CONFLICT, code: "Conflict", ..problem };
        }
        problem
    }

    pub(super) fn code(&self) -> &'static str {
        self.code
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let Self { status, code, message, details, allow } = self;
        let details: Vec<_> = details
            .into_iter()
            .map(|(target, message)| json!({ "code": code, "target": target, "message": message }))
            .collect();
        // Azure's own errors have null in place of an empty list.
        let details = if details.is_empty() { Value::Null } else { details.into() };
        let body = json!({ "error": { "code": code, "message": message, "details": details } });
        let mut response = (status, Json(body)).into_response();
        if let Some(allow) = allow {
            response.headers_mut().insert(header::ALLOW, HeaderValue::from_static(allow));
        }
        response
    }
}

/// With a capital at its start.
fn capital(text: &str) -> String {
    let mut characters = text.chars();
    let first = characters.next().map(|first| first.to_ascii_uppercase());
    first.into_iter().chain(characters).collect()
}
