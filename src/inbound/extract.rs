use std::fmt;

use axum_core::{
    body::Body,
    extract::{FromRequestParts, OptionalFromRequestParts},
    response::{IntoResponse, Response},
};
use http::{HeaderValue, StatusCode, header, request::Parts};

use super::report::{Shortened, shortened_path};
use crate::request::{
    ClientCertificate, admitted,
    captured::{Verdict, verdict},
};

/// Extracts the admitted certificate. Responds with 500 on a route without a
/// [`RequireCertificateLayer`](crate::RequireCertificateLayer), or if the layer passed the request without an admission.
/// Behind a layer with `shadow` or `allow_missing`, extract `Option<ClientCertificate>`.
impl<S: Sync> FromRequestParts<S> for ClientCertificate {
    type Rejection = NotAdmitted;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, NotAdmitted> {
        admitted(&parts.extensions).ok_or_else(|| not_admitted(parts))
    }
}

/// Extracts the admitted certificate, or None if the layer passed the request without a certificate (`allow_missing`) or
/// without admitting it (`shadow`). Responds with 500 on a route without a
/// [`RequireCertificateLayer`](crate::RequireCertificateLayer).
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
        method = %Shortened(&parts.method),
        path = &*shortened_path(parts.uri.path()),
        "request answered with 500: its handler extracts a ClientCertificate, but {not_admitted}"
    );
    not_admitted
}

/// Rejection of the [`ClientCertificate`] extractor: no layer on this route admitted a certificate. Its text names the
/// cause and the remedy.
///
/// The response is 500: a mistake in the setup of the service, not the client's.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use axum::extract::FromRequestParts;
/// use tower_mtls::ClientCertificate;
///
/// let (mut parts, ()) = http::Request::new(()).into_parts();
/// let error = ClientCertificate::from_request_parts(&mut parts, &()).await.unwrap_err();
/// assert!(error.to_string().ends_with("add the layer to this route"));
/// # Ok(())
/// # }
/// ```
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
                "the layer of this route is in shadow mode and did not admit the certificate; extract \
                 Option<ClientCertificate>, or enforce the policy"
            }
            Verdict::MissingAllowed => {
                "the layer of this route passed the request without a certificate; extract \
                 Option<ClientCertificate>"
            }
            Verdict::Unjudged | Verdict::Admitted(_) => {
                "no RequireCertificateLayer judged the request; add the layer to this route"
            }
        })
    }
}

impl std::error::Error for NotAdmitted {}
