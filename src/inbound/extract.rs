use std::fmt;

use axum_core::{
    body::Body,
    extract::{FromRequestParts, OptionalFromRequestParts},
    response::{IntoResponse, Response},
};
use http::{HeaderValue, StatusCode, header, request::Parts};

use super::{
    ClientCertificate,
    capture::{Verdict, admitted, verdict},
    report::{Cut, cut_path},
};

/// Extracts the admitted certificate; answers 500 on a route that no
/// [`RequireCertificateLayer`](crate::RequireCertificateLayer) guards, or that let the caller through without
/// one. Behind a layer with `shadow` or `allow_missing`, extract `Option<ClientCertificate>`.
impl<S: Sync> FromRequestParts<S> for ClientCertificate {
    type Rejection = NotAdmitted;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, NotAdmitted> {
        admitted(&parts.extensions).ok_or_else(|| not_admitted(parts))
    }
}

/// Extracts the admitted certificate, or None if the layer let the caller through without one (`allow_missing`) or
/// without admitting it (`shadow`); answers 500 on a route that no
/// [`RequireCertificateLayer`](crate::RequireCertificateLayer) guards.
impl<S: Sync> OptionalFromRequestParts<S> for ClientCertificate {
    type Rejection = NotAdmitted;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Option<Self>, NotAdmitted> {
        match verdict(&parts.extensions) {
            Verdict::Unjudged => Err(not_admitted(parts)),
            _ => Ok(admitted(&parts.extensions)),
        }
    }
}

#[cold]
fn not_admitted(parts: &Parts) -> NotAdmitted {
    let not_admitted = NotAdmitted { verdict: verdict(&parts.extensions) };
    tracing::error!(
        method = %Cut(&parts.method),
        path = &*cut_path(parts.uri.path()),
        "request answered with 500: its handler extracts a ClientCertificate, but {not_admitted}"
    );
    not_admitted
}

/// Why a handler could not extract a [`ClientCertificate`]: no layer admitted one on this route. Its text names the
/// cause and the remedy.
///
/// Answered with 500, because it is a mistake in how the service is put together, not the caller's.
#[derive(Debug)]
pub struct NotAdmitted {
    verdict: Verdict,
}

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
        f.write_str(match self.verdict {
            Verdict::Shadowed => {
                "the layer of this route is in shadow mode and did not admit the caller; extract \
                 Option<ClientCertificate>, or enforce the policy"
            }
            Verdict::LetThrough => {
                "the layer of this route let the caller through without a certificate; extract \
                 Option<ClientCertificate>"
            }
            Verdict::Unjudged | Verdict::Admitted(_) => {
                "no RequireCertificateLayer judged the request; add the layer to this route"
            }
        })
    }
}

impl std::error::Error for NotAdmitted {}
