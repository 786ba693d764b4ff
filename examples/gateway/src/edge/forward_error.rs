//! Errors of requests that were routed.

use std::{error::Error, fmt, time::Duration};

use tower_mtls::{
    outbound::{ClientError, ClientErrorKind},
    serve::{HeadRejection, UploadError},
};

use super::bounds::StreamIdleTimeout;
use crate::config::RateLimitKey;

/// Reason for which a routed request has no upstream response.
#[derive(Debug)]
pub(crate) enum ForwardError {
    Upstream(ClientError),
    /// The upstream did not send the head of its response in time.
    FirstByteTimeout,
    /// The exchange did not complete in time.
    RequestTimeout,
    /// The request's body failed.
    Upload(UploadError),
    /// The request's head is larger than the route permits.
    Head(HeadRejection),
    /// The request's body is larger than the route permits.
    BodyTooLarge,
    /// The upstream's response has more header fields than the route permits.
    TooManyResponseFields,
    /// The route's maximum number of requests is in flight.
    TooManyRequests,
    /// The request is over a rate limit, which allows the next one after this time.
    RateLimited {
        by: RateLimitKey,
        retry_after: Duration,
    },
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
            Self::Upstream(error) => error.kind().as_str(),
            Self::FirstByteTimeout => "first_byte_timeout",
            Self::RequestTimeout => "request_timeout",
            Self::Upload(UploadError::Idle) => StreamIdleTimeout::CODE,
            Self::Upload(UploadError::Disconnected | UploadError::NotAdmitted) => "caller_disconnected",
            Self::Upload(UploadError::Malformed) => "malformed_body",
            // Stalled, or too slow.
            Self::Upload(_) => "body_timeout",
            Self::Head(rejection) => rejection.code(),
            Self::BodyTooLarge => "body_too_large",
            Self::TooManyResponseFields => ClientErrorKind::Connection.as_str(),
            Self::TooManyRequests => "too_many_requests_in_flight",
            Self::RateLimited { .. } => "rate_limited",
        }
    }

    /// Returns true if the caller's request caused the error.
    pub(crate) fn is_caller_fault(&self) -> bool {
        match self {
            Self::Upload(error) => *error != UploadError::Idle,
            Self::Head(_) | Self::BodyTooLarge | Self::TooManyRequests | Self::RateLimited { .. } => true,
            Self::Upstream(_)
            | Self::FirstByteTimeout
            | Self::RequestTimeout
            | Self::TooManyResponseFields => false,
        }
    }

    /// Returns true if the caller does not wait for the response.
    pub(crate) fn is_disconnect(&self) -> bool {
        matches!(self, Self::Upload(UploadError::Disconnected | UploadError::NotAdmitted))
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
            Self::Upload(error) => error.fmt(f),
            Self::Head(rejection) => {
                let key = match rejection {
                    HeadRejection::TargetTooLong => "max_target_size",
                    HeadRejection::TooManyFields => "max_header_fields",
                    _ => "max_head_size",
                };
                write!(f, "{rejection} ({key})")
            }
            Self::TooManyResponseFields => {
                f.write_str("response has too many header fields (max_header_fields)")
            }
            Self::BodyTooLarge => f.write_str("request body is too large (max_body_size)"),
            Self::TooManyRequests => f.write_str("too many requests in flight for this route (max_requests)"),
            Self::RateLimited { by, .. } => {
                write!(f, "too many requests by this {} (rate_limit)", by.as_str())
            }
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
