//! Error responses of the gateway: RFC 9457 problems with a stable code.

use bytes::Bytes;
use http::{HeaderValue, Response, StatusCode, header};
use http_body_util::Full;
use tower_mtls::{outbound::ClientErrorKind, request::grpc_error};

use crate::edge::ForwardError;
use tower_mtls::serve::is_malformed_body;

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
    grpc_error(status, HeaderValue::from_static(code)).map(|()| Full::default())
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

/// Returns the response for a routed request without an upstream response. The cause is logged only.
pub(super) fn forward_error_response(error: &ForwardError) -> Response<Full<Bytes>> {
    let (status, title) = match error {
        // The upstream is not at fault: it did not receive the whole body.
        ForwardError::Upstream(error) if is_malformed_body(error) => {
            (StatusCode::BAD_REQUEST, "Malformed body")
        }
        ForwardError::Upstream(error) if error.kind() == ClientErrorKind::ConnectTimeout => GATEWAY_TIMEOUT,
        ForwardError::Upstream(error) if error.kind() == ClientErrorKind::TooManyConnections => {
            (StatusCode::SERVICE_UNAVAILABLE, "Service unavailable")
        }
        ForwardError::Upstream(_) => (StatusCode::BAD_GATEWAY, "Bad gateway"),
        ForwardError::FirstByteTimeout | ForwardError::RequestTimeout => GATEWAY_TIMEOUT,
        ForwardError::BodyTimeout => (StatusCode::REQUEST_TIMEOUT, "Request timeout"),
        ForwardError::TooManyRequests => (StatusCode::SERVICE_UNAVAILABLE, "Service unavailable"),
    };
    problem(status, title, error.code())
}

const GATEWAY_TIMEOUT: (StatusCode, &str) = (StatusCode::GATEWAY_TIMEOUT, "Gateway timeout");
