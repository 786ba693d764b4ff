//! Error responses in the format of Azure Resource Manager.

use axum::{
    Json,
    response::{IntoResponse, Response},
};
use http::{HeaderValue, StatusCode, header};
use serde_json::{Value, json};

use crate::store::{ChangeError, ItemError, ItemField};

/// An error response.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::management) struct ApiError {
    pub(super) status: StatusCode,
    code: &'static str,
    message: String,
    /// Invalid fields of the request, each with its problem.
    details: Vec<(&'static str, String)>,
    allow: Option<&'static str>,
}

impl ApiError {
    pub(in crate::management) fn new(
        status: StatusCode,
        code: &'static str,
        message: impl Into<String>,
    ) -> Self {
        Self { status, code, message: message.into(), details: Vec::new(), allow: None }
    }

    /// One field of the request is invalid.
    pub(super) fn validation(target: &'static str, message: impl Into<String>) -> Self {
        let message = message.into();
        let error = Self::new(StatusCode::BAD_REQUEST, "ValidationError", message.clone());
        Self { details: vec![(target, message)], ..error }
    }

    /// One or more fields of the request are invalid.
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

    /// The store rejected a change of `item`, such as `the certificate 'orders'`.
    pub(super) fn from_change(error: ChangeError, item: &str) -> Self {
        let capitalized = capitalize(item);
        match error {
            ChangeError::Exists => {
                let message = format!(
                    "{capitalized} already exists. To replace it, send its ETag in If-Match, or * for any version."
                );
                Self::new(StatusCode::PRECONDITION_FAILED, "PreconditionFailed", message)
            }
            ChangeError::PreconditionFailed => {
                let message = format!(
                    "If-Match does not match the ETag of {item}: it was changed or deleted. Get its current version \
                     and try again."
                );
                Self::new(StatusCode::PRECONDITION_FAILED, "PreconditionFailed", message)
            }
            ChangeError::Absent => Self::not_found(format!("{capitalized} does not exist.")),
            ChangeError::Upload(error) => Self::validation(error.field.as_str(), error.problem),
            ChangeError::Hidden => {
                let message = format!(
                    "{capitalized} has the name of an identity of the configuration file. Choose another id."
                );
                Self::new(StatusCode::CONFLICT, "Conflict", message)
            }
            ChangeError::Invalid(errors) => Self::invalid_items(&errors),
            ChangeError::InUse(users) => Self::in_use(&capitalized, &users),
            ChangeError::BreaksUses { users, reason } => {
                Self::in_use(&format!("{reason} {capitalized}"), &users)
            }
            ChangeError::Full => {
                let message =
                    "The store contains the maximum number of entries of this kind. Delete some first.";
                Self::new(StatusCode::BAD_REQUEST, "LimitExceeded", message)
            }
            ChangeError::Failed(error) => {
                tracing::error!(what = item, "{error}");
                let message = "The store failed. See the gateway's log.";
                Self::new(StatusCode::INTERNAL_SERVER_ERROR, "InternalServerError", message)
            }
        }
    }

    fn in_use(subject: &str, users: &[String]) -> Self {
        let users: String = users.iter().map(|user| format!("{user}\r\n")).collect();
        let message = format!("{subject} is used by the following entities:\r\n{users}");
        Self::new(StatusCode::BAD_REQUEST, "ValidationError", message)
    }

    /// Requests could not be served after the change.
    fn invalid_items(errors: &[ItemError]) -> Self {
        let target = |field| match field {
            ItemField::Path => "path",
            ItemField::ServiceUrl => "serviceUrl",
            ItemField::Url => "url",
            ItemField::Credentials => "credentials",
            ItemField::Document => "representation",
        };
        let details = errors.iter().map(|error| (target(error.field), format!("{}: {error}", error.item)));
        let response = Self::invalid(details.collect());
        if errors.iter().any(|error| error.field == ItemField::Path) {
            return Self { status: StatusCode::CONFLICT, code: "Conflict", ..response };
        }
        response
    }

    pub(super) fn code(&self) -> &'static str {
        self.code
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let Self { status, code, message, details, allow } = self;
        let details: Vec<_> = details
            .into_iter()
            .map(|(target, message)| json!({ "code": code, "target": target, "message": message }))
            .collect();
        // Azure sends null for an empty list.
        let details = if details.is_empty() { Value::Null } else { details.into() };
        let body = json!({ "error": { "code": code, "message": message, "details": details } });
        let mut response = (status, Json(body)).into_response();
        if let Some(allow) = allow {
            response.headers_mut().insert(header::ALLOW, HeaderValue::from_static(allow));
        }
        response
    }
}

/// Capitalizes the first letter.
pub(super) fn capitalize(text: &str) -> String {
    let mut characters = text.chars();
    let first = characters.next().map(|first| first.to_ascii_uppercase());
    first.into_iter().chain(characters).collect()
}
