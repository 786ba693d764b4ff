use std::fmt;

use axum_core::{
    body::Body,
    extract::{FromRequestParts, OptionalFromRequestParts},
    response::{IntoResponse, Response},
};
use http::{HeaderValue, StatusCode, header, request::Parts};

use super::{
    capture::judged,
    report::{Cut, cut_path},
};
use crate::certificate::ClientCertificate;

/// Extracts the admitted certificate; answers 500 on a route that no
/// [`RequireCertificateLayer`](crate::RequireCertificateLayer) guards, or that let the caller through without
/// one.
impl<S: Sync> FromRequestParts<S> for ClientCertificate {
    type Rejection = NotAdmitted;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, NotAdmitted> {
        judged(&parts.extensions).flatten().cloned().ok_or_else(|| not_admitted(parts))
    }
}

/// Extracts the admitted certificate, or None if the layer let the caller through without one; answers 500 on a
/// route that no [`RequireCertificateLayer`](crate::RequireCertificateLayer) guards.
impl<S: Sync> OptionalFromRequestParts<S> for ClientCertificate {
    type Rejection = NotAdmitted;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Option<Self>, NotAdmitted> {
        judged(&parts.extensions).map(|certificate| certificate.cloned()).ok_or_else(|| not_admitted(parts))
    }
}

#[cold]
fn not_admitted(parts: &Parts) -> NotAdmitted {
    tracing::error!(
        method = %Cut(&parts.method),
        path = &*cut_path(parts.uri.path()),
        "request answered with 500: its handler extracts a ClientCertificate, but no \
         RequireCertificateLayer admitted one; add the layer to this route, or extract \
         Option<ClientCertificate> where it lets callers pass without"
    );
    NotAdmitted(())
}

/// Why a handler could not extract a [`ClientCertificate`]: no layer admitted one on this route.
///
/// Answered with 500, because it is a mistake in how the service is put together, not the caller's.
#[derive(Debug)]
pub struct NotAdmitted(());

impl IntoResponse for NotAdmitted {
    fn into_response(self) -> Response {
        let problem = r#"{"type":"about:blank","title":"Internal server error","status":500}"#;
        let mut response = Response::new(Body::from(problem));
        *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
        response
            .headers_mut()
            .insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        response
    }
}

impl fmt::Display for NotAdmitted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("no RequireCertificateLayer admitted a client certificate on this route")
    }
}

impl std::error::Error for NotAdmitted {}
