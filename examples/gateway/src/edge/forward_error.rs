//! Errors of requests that were routed.

use std::{error::Error, fmt};

use tower_mtls::{
    outbound::{ClientError, ClientErrorKind},
    serve::is_malformed_body,
};

/// Reason for which a routed request has no upstream response.
#[derive(Debug)]
pub(crate) enum ForwardError {
    Upstream(ClientError),
    /// The upstream did not send the head of its response in time.
    FirstByteTimeout,
    /// The exchange did not complete in time.
    RequestTimeout,
    /// The caller did not send the rest of the body in time.
    BodyTimeout,
    /// The route's maximum number of requests is in flight.
    TooManyRequests,
}

impl From<ClientError> for ForwardError {
    fn from(error: ClientError) -> Self {
        Self::Upstream(error)
    }
}

impl ForwardError {
    /// Returns the stable code of the response.
    pub(crate) fn code(&self) -> &'static str {
        match self {
            Self::Upstream(error) if is_malformed_body(error) => "malformed_body",
            Self::Upstream(error) => error.kind().as_str(),
            Self::FirstByteTimeout => "first_byte_timeout",
            Self::RequestTimeout => "request_timeout",
            Self::BodyTimeout => "body_timeout",
            Self::TooManyRequests => "too_many_requests_in_flight",
        }
    }

    /// Returns true if the caller's request caused the error.
    pub(crate) fn is_caller_fault(&self) -> bool {
        match self {
            Self::Upstream(error) => is_malformed_body(error),
            Self::BodyTimeout | Self::TooManyRequests => true,
            Self::FirstByteTimeout | Self::RequestTimeout => false,
        }
    }

    /// Returns true if the request names an unknown identity, or none.
    pub(crate) fn is_unknown_identity(&self) -> bool {
        matches!(self, Self::Upstream(error) if error.kind() == ClientErrorKind::UnknownIdentity)
    }
}

impl fmt::Display for ForwardError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Upstream(error) => write!(f, "{error}{}", causes(error)),
            Self::FirstByteTimeout => f.write_str("upstream did not respond in time (first_byte_timeout)"),
            Self::RequestTimeout => f.write_str("request timed out (request_timeout)"),
            Self::BodyTimeout => f.write_str("request body timed out (body_timeout)"),
            Self::TooManyRequests => f.write_str("too many requests in flight for this route (max_requests)"),
        }
    }
}

/// Returns the sources of an error, without repetitions, and a remedy for obscure ones.
fn causes(error: &ClientError) -> String {
    let mut causes = String::new();
    let mut previous = error.to_string();
    let mut cause = error.source();
    while let Some(next) = cause {
        let text = next.to_string();
        if text != previous {
            causes.push_str(": ");
            causes.push_str(&text);
            previous = text;
        }
        cause = next.source();
    }
    if causes.contains("CaUsedAsEndEntity") {
        causes.push_str("; the upstream's certificate is a CA certificate: issue it one signed by a CA");
    }
    causes
}
