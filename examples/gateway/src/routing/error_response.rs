//! Error responses of the gateway: RFC 9457 problems with a stable code.

use std::{error::Error, fmt};

use bytes::Bytes;
use http::{HeaderValue, Response, StatusCode, header};
use http_body_util::Full;
use tower_mtls::outbound::{ClientError, ClientErrorKind};

use crate::edge::is_malformed_body;

/// Returns a problem response. Title and code must not need JSON escapes.
fn problem(status: StatusCode, title: &str, code: &str) -> Response<Full<Bytes>> {
    let number = status.as_u16();
    let body = format!(r#"{{"type":"about:blank","title":"{title}","status":{number},"code":"{code}"}}"#);
    let mut response = Response::new(Full::new(Bytes::from(body)));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
    response
}

/// Returns the trailers-only gRPC response for an error response.
pub(super) fn to_grpc(status: StatusCode, code: &'static str) -> Response<Full<Bytes>> {
    let number = match status.as_u16() {
        // INTERNAL, UNIMPLEMENTED, DEADLINE_EXCEEDED, RESOURCE_EXHAUSTED, UNAVAILABLE and UNKNOWN.
        400 => "13",
        404 | 405 | 501 => "12",
        408 | 504 => "4",
        413 | 414 | 431 => "8",
        502 | 503 => "14",
        _ => "2",
    };
    let mut response = Response::new(Full::default());
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    headers.insert("grpc-status", HeaderValue::from_static(number));
    headers.insert("grpc-message", HeaderValue::from_static(code));
    response
}

/// Reason for which a request is not routed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RoutingError {
    NoRoute,
    /// The path has two interpretations.
    AmbiguousPath,
    Connect,
    /// The target could exceed the maximum length of a URI once it is rewritten.
    TargetTooLong,
    /// A transfer coding other than `chunked`, which cannot be forwarded.
    TransferCoding,
    /// The head is larger than upstreams commonly accept.
    HeadTooLarge,
    /// Missing, repeated or invalid Host (RFC 9112, section 3.2).
    Host,
    /// The route's API in the store cannot be served with the configuration file.
    BrokenApi,
}

impl RoutingError {
    /// Returns the stable code of the response.
    pub(super) fn code(self) -> &'static str {
        match self {
            Self::NoRoute => "no_route",
            Self::AmbiguousPath => "ambiguous_path",
            Self::TargetTooLong => "target_too_long",
            Self::TransferCoding => "transfer_coding",
            Self::HeadTooLarge => "head_too_large",
            Self::Host => "bad_host",
            Self::Connect => "connect_refused",
            Self::BrokenApi => "broken_api",
        }
    }

    pub(super) fn response(self) -> Response<Full<Bytes>> {
        let (status, title) = match self {
            Self::NoRoute => (StatusCode::NOT_FOUND, "No such route"),
            Self::AmbiguousPath => (StatusCode::BAD_REQUEST, "Ambiguous path"),
            Self::TargetTooLong => (StatusCode::URI_TOO_LONG, "URI too long"),
            Self::TransferCoding => (StatusCode::NOT_IMPLEMENTED, "Not implemented"),
            Self::HeadTooLarge => {
                (StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE, "Request header fields too large")
            }
            Self::Host => (StatusCode::BAD_REQUEST, "Bad Host"),
            Self::Connect => (StatusCode::METHOD_NOT_ALLOWED, "Method not allowed"),
            Self::BrokenApi => (StatusCode::SERVICE_UNAVAILABLE, "Service unavailable"),
        };
        let mut response = problem(status, title, self.code());
        if self == Self::TransferCoding {
            // Another parser that does not support the coding could frame the body differently.
            response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
        response
    }
}

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
    pub(super) fn code(&self) -> &'static str {
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
    pub(super) fn is_caller_fault(&self) -> bool {
        match self {
            Self::Upstream(error) => is_malformed_body(error),
            Self::BodyTimeout | Self::TooManyRequests => true,
            Self::FirstByteTimeout | Self::RequestTimeout => false,
        }
    }

    /// Returns true if the request names an unknown identity, or none.
    pub(super) fn is_unknown_identity(&self) -> bool {
        matches!(self, Self::Upstream(error) if error.kind() == ClientErrorKind::UnknownIdentity)
    }

    /// Returns the response for the caller, without the cause, which is logged only.
    pub(super) fn response(&self) -> Response<Full<Bytes>> {
        let (status, title) = match self {
            // The upstream is not at fault: it did not receive the whole body.
            Self::Upstream(error) if is_malformed_body(error) => (StatusCode::BAD_REQUEST, "Malformed body"),
            Self::Upstream(error) if error.kind() == ClientErrorKind::ConnectTimeout => GATEWAY_TIMEOUT,
            Self::Upstream(error) if error.kind() == ClientErrorKind::TooManyConnections => {
                (StatusCode::SERVICE_UNAVAILABLE, "Service unavailable")
            }
            Self::Upstream(_) => (StatusCode::BAD_GATEWAY, "Bad gateway"),
            Self::FirstByteTimeout | Self::RequestTimeout => GATEWAY_TIMEOUT,
            Self::BodyTimeout => (StatusCode::REQUEST_TIMEOUT, "Request timeout"),
            Self::TooManyRequests => (StatusCode::SERVICE_UNAVAILABLE, "Service unavailable"),
        };
        problem(status, title, self.code())
    }
}

const GATEWAY_TIMEOUT: (StatusCode, &str) = (StatusCode::GATEWAY_TIMEOUT, "Gateway timeout");

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
