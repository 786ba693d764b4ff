//! Answers of the gateway's own: RFC 9457 problems with a stable code.

use std::{error::Error, fmt};

use bytes::Bytes;
use http::{HeaderValue, Response, StatusCode, header};
use http_body_util::Full;
use tower_mtls::{ClientError, ClientErrorKind};

use super::strict_http1::is_malformed_body;

/// A problem with a status, a title and a stable code, which are all constants of ours.
fn problem(status: StatusCode, title: &str, code: &str) -> Response<Full<Bytes>> {
    let number = status.as_u16();
    let body = format!(r#"{{"type":"about:blank","title":"{title}","status":{number},"code":"{code}"}}"#);
    let mut response = Response::new(Full::new(Bytes::from(body)));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
    response
}

/// The same answer for a caller that speaks gRPC, which looks for nothing but a status of its own, here without any
/// message before it.
pub(super) fn as_grpc(status: StatusCode, code: &'static str) -> Response<Full<Bytes>> {
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

/// Why a request never gets to a route.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refused {
    NoRoute,
    /// Its path can be read in two ways.
    AmbiguousPath,
    Connect,
    /// Its target is longer than what is left of a URI once it is rewritten.
    TargetTooLong,
    /// A transfer coding that is not `chunked`, which cannot be handed on.
    TransferCoding,
    /// Its head is larger than upstreams can be expected to read.
    HeadTooLarge,
    /// Not exactly one Host on HTTP/1.1 (RFC 9112, section 3.2), or one that is no host.
    Host,
    /// It is an API's, of which the store says more than the configuration file can serve.
    Broken,
}

impl Refused {
    /// The stable code of the answer.
    pub(super) fn code(self) -> &'static str {
        match self {
            Self::NoRoute => "no_route",
            Self::AmbiguousPath => "ambiguous_path",
            Self::TargetTooLong => "target_too_long",
            Self::TransferCoding => "transfer_coding",
            Self::HeadTooLarge => "head_too_large",
            Self::Host => "bad_host",
            Self::Connect => "connect_refused",
            Self::Broken => "broken_api",
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
            Self::Broken => (StatusCode::SERVICE_UNAVAILABLE, "Service unavailable"),
        };
        let mut response = problem(status, title, self.code());
        if self == Self::TransferCoding {
            // Who does not know the coding either may disagree on where the body ends.
            response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
        response
    }
}

/// Why a route has no answer of its upstream.
#[derive(Debug)]
pub(crate) enum Failure {
    Upstream(ClientError),
    /// The upstream took too long to begin its answer.
    FirstByteTimeout,
    /// The whole exchange took too long.
    RequestTimeout,
    /// The caller sent no more of the body that the upstream wanted.
    BodyTimeout,
    /// As many requests as the route may have are in flight.
    TooManyRequests,
}

impl From<ClientError> for Failure {
    fn from(error: ClientError) -> Self {
        Self::Upstream(error)
    }
}

impl Failure {
    /// The stable code of the answer.
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

    /// Whether the caller's request caused it.
    pub(super) fn is_of_caller(&self) -> bool {
        match self {
            Self::Upstream(error) => is_malformed_body(error),
            Self::BodyTimeout | Self::TooManyRequests => true,
            Self::FirstByteTimeout | Self::RequestTimeout => false,
        }
    }

    /// Whether there is none by the name, or no name to look for.
    pub(super) fn is_unknown_identity(&self) -> bool {
        matches!(self, Self::Upstream(error) if error.kind() == ClientErrorKind::UnknownIdentity)
    }

    /// What a caller is told; the cause is for the log.
    pub(super) fn response(&self) -> Response<Full<Bytes>> {
        let (status, title) = match self {
            // The upstream did not get the whole body from this very caller.
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

impl fmt::Display for Failure {
    /// From the outside in, each cause once, and what can be done about those that puzzle people.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Upstream(error) => write!(f, "{error}{}", causes(error)),
            Self::FirstByteTimeout => f.write_str("the upstream did not begin its answer in time"),
            Self::RequestTimeout => f.write_str("the request took too long"),
            Self::BodyTimeout => f.write_str("the caller sent no more of the body"),
            Self::TooManyRequests => f.write_str("too many requests of this route are in flight"),
        }
    }
}

/// What is behind an error.
fn causes(error: &ClientError) -> String {
    let mut causes = String::new();
    let mut said = error.to_string();
    let mut cause = error.source();
    while let Some(next) = cause {
        let text = next.to_string();
        if text != said {
            causes.push_str(": ");
            causes.push_str(&text);
            said = text;
        }
        cause = next.source();
    }
    if causes.contains("CaUsedAsEndEntity") {
        causes
            .push_str(" (the upstream shows a CA certificate as its own; give it one that a CA has signed)");
    }
    causes
}
