use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode, Uri};
use hyper::ext::ReasonPhrase;

use super::{backend::ChosenIdentity, error::Position, headers::ResponseChange};
use crate::policy::{RejectionKind, Verification};

/// The decision of a document about one request.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use http::Request;
/// use tower_mtls::{apim::{Document, RequestFacts}, certificate::{Presented, Timestamp}};
///
/// let (request, now) = (Request::new(()), Timestamp::from_unix(1_750_000_000));
/// let facts = RequestFacts::new(&request, &Presented::Nothing);
///
/// let decision = Document::parse(r#"<set-variable name="team" value="orders" />"#)?.evaluate(&facts, now);
/// let forward = decision.forward().expect("no element responds");
/// assert!(forward.variable("team") == Some("orders") && !forward.admits());
///
/// let decision = Document::parse("<return-response><set-status code='403' /></return-response>")?.evaluate(&facts, now);
/// let response = decision.response().expect("the document responds");
/// assert!(response.is_rejection());
/// assert_eq!(response.element(), ("return-response", 1, 1));
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
#[non_exhaustive]
pub enum DocumentDecision {
    /// The document responds to the request itself.
    Respond(DocumentResponse),
    /// The request is forwarded.
    Forward(Forward),
}

impl DocumentDecision {
    /// The rejecting response, sent or withheld.
    pub(crate) fn rejection_mut(&mut self) -> Option<&mut DocumentResponse> {
        match self {
            Self::Respond(response) => Some(response),
            Self::Forward(forward) => forward.withheld.as_deref_mut(),
        }
    }

    /// The response, if the request is not forwarded.
    pub fn response(&self) -> Option<&DocumentResponse> {
        match self {
            Self::Respond(response) => Some(response),
            Self::Forward(_) => None,
        }
    }

    /// The forwarded request, if the document does not respond.
    pub fn forward(&self) -> Option<&Forward> {
        match self {
            Self::Forward(forward) => Some(forward),
            Self::Respond(_) => None,
        }
    }
}

/// A response that a document sends itself. See [`DocumentDecision`] for an example.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use http::Request;
/// use tower_mtls::{apim::{Document, RequestFacts}, certificate::{Presented, Timestamp}};
///
/// let document = Document::parse(
///     r#"<return-response><set-status code="403" reason="No" /><set-body>rejected</set-body></return-response>"#,
/// )?;
/// let request = Request::new(());
/// let facts = RequestFacts::new(&request, &Presented::Nothing);
/// let decision = document.evaluate(&facts, Timestamp::from_unix(1_750_000_000));
/// let response = decision.response().expect("the document responds");
/// assert_eq!((response.status().as_u16(), response.reason_phrase()), (403, Some("No")));
/// assert_eq!(response.body(), "rejected");
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct DocumentResponse {
    pub(crate) status: StatusCode,
    pub(crate) reason: Option<ReasonPhrase>,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
    pub(crate) cause: Cause,
}

/// The code of the response to a certificate that cannot be read.
pub(crate) const UNREADABLE: &str = "ClientCertificateUnreadable";

/// Returns the kind of a rejection with this reason code.
pub(crate) fn rejection_kind(code: Option<&str>) -> RejectionKind {
    match code {
        Some("ClientCertificateNotFound") => RejectionKind::Missing,
        Some("ClientCertificateNotYetValid") => RejectionKind::NotYetValid,
        Some("ClientCertificateExpired") => RejectionKind::Expired,
        Some("ClientCertificateNotTrusted") => RejectionKind::NotTrusted,
        Some("ClientCertificateRevoked") => RejectionKind::Revoked,
        Some("ClientCertificateRevocationUnknown") => RejectionKind::RevocationUnknown,
        Some(UNREADABLE) => RejectionKind::Unreadable,
        Some("ExpressionValueEvaluationFailure") => RejectionKind::Undecidable,
        _ => RejectionKind::Document,
    }
}

pub(crate) fn is_rejection(status: StatusCode) -> bool {
    status.as_u16() >= 400
}

/// The cause of a response.
#[derive(Debug, Clone)]
pub(crate) struct Cause {
    pub(crate) position: Position,
    pub(crate) element: &'static str,
    /// `context.LastError.Reason`; none for `return-response`.
    pub(crate) code: Option<&'static str>,
    pub(crate) message: String,
    /// Reason why the chain that the document requires could not be built.
    pub(crate) chain: Option<&'static str>,
}

impl DocumentResponse {
    /// The status code.
    pub fn status(&self) -> StatusCode {
        self.status
    }

    /// The reason phrase of HTTP/1.1, if the document sets one.
    pub fn reason_phrase(&self) -> Option<&str> {
        std::str::from_utf8(self.reason.as_ref()?.as_bytes()).ok()
    }

    /// The headers.
    pub fn headers(&self) -> &HeaderMap {
        &self.headers
    }

    /// The body, often empty.
    pub fn body(&self) -> &Bytes {
        &self.body
    }

    /// Name, line and column of the element that responded.
    pub fn element(&self) -> (&'static str, usize, usize) {
        (self.cause.element, self.cause.position.line, self.cause.position.column)
    }

    /// The reason code of a failure, as in `context.LastError.Reason`, such as `ClientCertificateExpired` or
    /// `ExpressionValueEvaluationFailure`; also `ClientCertificateUnreadable`, which APIM does not have. None for
    /// `return-response`.
    pub fn code(&self) -> Option<&'static str> {
        self.cause.code
    }

    /// The error message, for operators. Empty for `return-response`.
    pub fn message(&self) -> &str {
        &self.cause.message
    }

    /// The reason why no chain leads from the caller's certificate to a trusted root, for operators, if the document
    /// checks the chain (`Verify()`, `VerifyNoRevocation()`, `validate-trust`). Not necessarily the cause of the response.
    pub fn chain_failure(&self) -> Option<&'static str> {
        self.cause.chain
    }

    /// Returns true if the response rejects the request: a status of 400 or above.
    pub fn is_rejection(&self) -> bool {
        is_rejection(self.status)
    }

    /// Converts into the response to send. Remove the body for HEAD.
    pub fn into_response(self) -> Response<Bytes> {
        let mut response = Response::new(self.body);
        *response.status_mut() = self.status;
        *response.headers_mut() = self.headers;
        if let Some(reason) = self.reason {
            response.extensions_mut().insert(reason);
        }
        response
    }
}

/// A request that a document forwards. See [`DocumentDecision`] for an example.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use http::Request;
/// use tower_mtls::{apim::{Document, RequestFacts}, certificate::{Presented, Timestamp}};
///
/// let document = Document::parse("<return-response><set-status code='403' /></return-response>")?;
/// let request = Request::new(());
/// let facts = RequestFacts::new(&request, &Presented::Nothing);
/// let decision = document.evaluate_shadow(&facts, Timestamp::from_unix(1_750_000_000));
/// let forward = decision.forward().expect("shadow mode rejects nothing");
/// assert_eq!(forward.withheld_response().map(|response| response.status().as_u16()), Some(403));
/// assert!(!forward.admits());
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Default)]
pub struct Forward {
    pub(crate) headers: Option<HeaderMap>,
    pub(crate) forwarding: Forwarding,
    pub(crate) response: Vec<ResponseChange>,
    pub(crate) variables: Vec<(Arc<str>, String)>,
    /// None if no certificate is admitted.
    pub(crate) admits: Option<Verification>,
    pub(crate) withheld: Option<Box<DocumentResponse>>,
}

impl Forward {
    /// The first rejecting response that was not sent. Only
    /// [`Document::evaluate_shadow`](super::Document::evaluate_shadow) withholds responses.
    pub fn withheld_response(&self) -> Option<&DocumentResponse> {
        self.withheld.as_deref()
    }

    /// The request's headers after all changes. None if the document changes none.
    pub fn headers(&self) -> Option<&HeaderMap> {
        self.headers.as_ref()
    }

    /// Identity, URL and headers that the document chose for the backend.
    pub fn forwarding(&self) -> &Forwarding {
        &self.forwarding
    }

    /// The value of a variable that the document has set to a string.
    pub fn variable(&self, name: &str) -> Option<&str> {
        self.variables.iter().find(|(known, _)| **known == *name).map(|(_, value)| value.as_str())
    }

    /// Returns true if the certificate is admitted: a rule that could have rejected the request has read it.
    pub fn admits(&self) -> bool {
        self.admits.is_some()
    }

    /// The verification of the admitted certificate; None if no certificate is [admitted](Self::admits). `Unproven` for every
    /// certificate if the document is not [anchored](super::DocumentSummary::is_anchored).
    pub fn verification(&self) -> Option<Verification> {
        self.admits
    }
}

/// Identity, URL and headers that a document chose for the backend of one request. In the extensions of requests that
/// [`ApimPolicy`](super::ApimPolicy) forwards; absent if the document chose none.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use http::Request;
/// use tower_mtls::{apim::{Document, RequestFacts}, certificate::{Presented, Timestamp}};
///
/// let document = Document::parse(r#"
///     <set-backend-service base-url="https://orders.internal/v2" />
///     <authentication-certificate certificate-id="orders" />"#)?;
/// let request = Request::new(());
/// let facts = RequestFacts::new(&request, &Presented::Nothing);
/// let decision = document.evaluate(&facts, Timestamp::from_unix(1_750_000_000));
/// let forwarding = decision.forward().expect("no element responds").forwarding();
/// assert_eq!(forwarding.base_url().expect("chosen"), "https://orders.internal/v2");
/// assert_eq!(forwarding.identity().expect("chosen").to_string(), "the certificate with the id orders");
/// assert!(forwarding.backend().is_none());
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, Default)]
pub struct Forwarding {
    pub(crate) identity: Option<ChosenIdentity>,
    pub(crate) base_url: Option<Uri>,
    pub(crate) backend: Option<Arc<str>>,
    pub(crate) headers: Vec<(HeaderName, Vec<HeaderValue>)>,
}

impl Forwarding {
    /// The identity of `authentication-certificate`, or else that of the backend chosen by id.
    pub fn identity(&self) -> Option<&ChosenIdentity> {
        self.identity.as_ref()
    }

    /// The URL of `set-backend-service`, or of the backend that it names: `http` or `https`, a host, and a path prefix.
    pub fn base_url(&self) -> Option<&Uri> {
        self.base_url.as_ref()
    }

    /// The id of the backend that `set-backend-service` names. None if it has a URL, or did not run.
    pub fn backend(&self) -> Option<&str> {
        self.backend.as_deref()
    }

    /// Headers that the document set or removed; without values if removed. The request already contains them; a proxy
    /// that removes forgeable headers must set them again.
    pub fn header_changes(&self) -> impl ExactSizeIterator<Item = (&HeaderName, &[HeaderValue])> {
        self.headers.iter().map(|(name, values)| (name, values.as_slice()))
    }
}
