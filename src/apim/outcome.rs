use std::{fmt, sync::Arc};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode, Uri};
use hyper::ext::ReasonPhrase;

use super::{error::Position, run::headers::ResponseChange};
use crate::{certificate::Thumbprint, policy::Verification};

/// What a document decides about a request.
#[derive(Debug)]
#[non_exhaustive]
pub enum Outcome {
    /// It answers the request itself.
    Respond(Answer),
    /// The request goes on.
    Forward(Forward),
}

impl Outcome {
    /// The answer that refuses, carried out or not.
    pub(crate) fn refusal_mut(&mut self) -> Option<&mut Answer> {
        match self {
            Self::Respond(answer) => Some(answer),
            Self::Forward(forward) => forward.refused.as_deref_mut(),
        }
    }

    /// The answer, if the request does not go on.
    pub fn answer(&self) -> Option<&Answer> {
        match self {
            Self::Respond(answer) => Some(answer),
            Self::Forward(_) => None,
        }
    }

    /// How the request goes on, if it does.
    pub fn forward(&self) -> Option<&Forward> {
        match self {
            Self::Forward(forward) => Some(forward),
            Self::Respond(_) => None,
        }
    }
}

/// A document's own answer.
#[derive(Debug)]
pub struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) reason: Option<ReasonPhrase>,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
    pub(crate) cause: Cause,
}

/// The code of an answer to a certificate that cannot be read.
pub(crate) const UNREADABLE: &str = "ClientCertificateUnreadable";

pub(crate) fn refuses_with(status: StatusCode) -> bool {
    status.as_u16() >= 400
}

/// Why a document answered.
#[derive(Debug, Clone)]
pub(crate) struct Cause {
    pub(crate) position: Position,
    pub(crate) element: &'static str,
    /// `context.LastError.Reason`, for `return-response` nothing.
    pub(crate) code: Option<&'static str>,
    pub(crate) message: String,
    /// Why the chain that the document asked for does not stand.
    pub(crate) chain: Option<&'static str>,
}

impl Answer {
    /// The status code.
    pub fn status(&self) -> StatusCode {
        self.status
    }

    /// The reason phrase of HTTP/1.1, if the document states one.
    pub fn reason(&self) -> Option<&str> {
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

    /// The element that answered: its name, line and column.
    pub fn element(&self) -> (&'static str, usize, usize) {
        (self.cause.element, self.cause.position.line, self.cause.position.column)
    }

    /// The reason code of a failure, as `context.LastError.Reason` has it: `ClientCertificateExpired`,
    /// `ExpressionValueEvaluationFailure`; and `ClientCertificateUnreadable`, which APIM does not know. None for
    /// `return-response`.
    pub fn code(&self) -> Option<&'static str> {
        self.cause.code
    }

    /// What failed, for operators. Empty for `return-response`.
    pub fn message(&self) -> &str {
        &self.cause.message
    }

    /// Why no chain leads from the caller's certificate to a trusted root, in words for operators, if the document has
    /// asked for one (`Verify()`, `VerifyNoRevocation()`, `validate-trust`) and there is none. That need not be why it
    /// answered.
    pub fn chain_failure(&self) -> Option<&'static str> {
        self.cause.chain
    }

    /// Whether the answer refuses the caller: a status of 400 or more.
    pub fn refuses(&self) -> bool {
        refuses_with(self.status)
    }

    /// The response to send. An answer to HEAD is sent without its body.
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

/// How a request goes on.
#[derive(Debug, Default)]
pub struct Forward {
    pub(crate) headers: Option<HeaderMap>,
    pub(crate) forwarding: Forwarding,
    pub(crate) response: Vec<ResponseChange>,
    pub(crate) variables: Vec<(Arc<str>, String)>,
    /// None if no certificate is admitted.
    pub(crate) admits: Option<Verification>,
    pub(crate) refused: Option<Box<Answer>>,
}

impl Forward {
    /// The refusal that was not carried out: only [`Document::evaluate_shadow`](super::Document::evaluate_shadow)
    /// has any.
    pub fn refused(&self) -> Option<&Answer> {
        self.refused.as_deref()
    }

    /// The request's headers as the document leaves them. None if it changes none.
    pub fn headers(&self) -> Option<&HeaderMap> {
        self.headers.as_ref()
    }

    /// What was chosen for the backend.
    pub fn forwarding(&self) -> &Forwarding {
        &self.forwarding
    }

    /// The text of a variable that the document has set.
    pub fn variable(&self, name: &str) -> Option<&str> {
        self.variables.iter().find(|(known, _)| **known == *name).map(|(_, value)| value.as_str())
    }

    /// Whether a rule that could have refused the request looked at the caller's certificate, and let it pass.
    pub fn admits(&self) -> bool {
        self.admits.is_some()
    }

    /// Whether a proof stands behind the admitted certificate; None if none is [admitted](Self::admits). Unproven if the
    /// document is not [anchored](super::DocumentSummary::is_anchored), whatever this certificate could show.
    pub fn verification(&self) -> Option<Verification> {
        self.admits
    }
}

/// What a document chose for the backend of one request. Found in the extensions of requests that
/// [`ApimPolicy`](super::ApimPolicy) passes on; absent if the document chose nothing.
#[derive(Debug, Clone, Default)]
pub struct Forwarding {
    pub(crate) identity: Option<ChosenIdentity>,
    pub(crate) base_url: Option<Uri>,
    pub(crate) backend: Option<Arc<str>>,
    pub(crate) headers: Vec<(HeaderName, Vec<HeaderValue>)>,
}

impl Forwarding {
    /// The identity of `authentication-certificate`; where none ran, that of the backend which was chosen by its id.
    pub fn identity(&self) -> Option<&ChosenIdentity> {
        self.identity.as_ref()
    }

    /// The URL of `set-backend-service`, or of the backend that it names: `http` or `https`, a host, and a path that
    /// stands in front of the rest.
    pub fn base_url(&self) -> Option<&Uri> {
        self.base_url.as_ref()
    }

    /// The id of the backend that `set-backend-service` names. None if it says a URL, or does not stand there.
    pub fn backend(&self) -> Option<&str> {
        self.backend.as_deref()
    }

    /// Every header that the document set or removed (then without values). They are in the request already; a
    /// proxy that removes what callers could forge sets them again.
    pub fn header_changes(&self) -> impl ExactSizeIterator<Item = (&HeaderName, &[HeaderValue])> {
        self.headers.iter().map(|(name, values)| (name, values.as_slice()))
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.identity.is_none() && self.base_url.is_none() && self.headers.is_empty()
    }
}

/// The identity that a document names for calls to the backend.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum ChosenIdentity {
    /// The id of a certificate of the deployment (`certificate-id`). It names whatever is there when the call is
    /// made, and nothing if there is nothing: then the call must not be made.
    Id(Arc<str>),
    /// The SHA-1 thumbprint of a certificate of the deployment.
    Thumbprint(Thumbprint),
    /// A certificate and key out of the document itself (`body`).
    #[cfg(feature = "identity")]
    Embedded(crate::identity::ClientIdentity),
}

/// In words, such as `the certificate with the id orders`. Never a key.
impl fmt::Display for ChosenIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Id(id) => {
                // It may be chosen by what a caller sent, and this is for logs: no line breaks, and no length.
                let printed: String = id.chars().take(64).collect();
                write!(f, "the certificate with the id {}", printed.escape_debug())
            }
            Self::Thumbprint(thumbprint) => write!(f, "the certificate with the thumbprint {thumbprint}"),
            #[cfg(feature = "identity")]
            Self::Embedded(identity) => {
                write!(f, "{}, out of the document", identity.certificate().subject())
            }
        }
    }
}
