//! Error responses of the gateway: RFC 9457 problems with a stable code.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, Response, StatusCode, header};
use http_body_util::Full;
use tower_mtls::{outbound::ClientErrorKind, request::grpc_error, serve::UploadError};

use crate::edge::ForwardError;

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
    /// A transfer coding other than `chunked`, which cannot be forwarded.
    TransferCoding,
    /// Missing, repeated or invalid Host (RFC 9112, section 3.2).
    Host,
    /// The route's API in the store cannot be served with the configuration file.
    BrokenApi,
    /// The listener's own requirement for certificates is not met. The connection is closed.
    CertificateNotTrusted,
}

impl RoutingError {
    /// Returns the stable code of the response.
    pub(super) fn code(self) -> &'static str {
        match self {
            Self::NoRoute => "no_route",
            Self::AmbiguousPath => "ambiguous_path",
            Self::TransferCoding => "transfer_coding",
            Self::Host => "bad_host",
            Self::Connect => "connect_refused",
            Self::BrokenApi => "broken_api",
            Self::CertificateNotTrusted => "client_certificate_not_trusted",
        }
    }

    pub(super) fn response(self) -> Response<Full<Bytes>> {
        let (status, title) = match self {
            Self::NoRoute => (StatusCode::NOT_FOUND, "No such route"),
            Self::AmbiguousPath => (StatusCode::BAD_REQUEST, "Ambiguous path"),
            Self::TransferCoding => (StatusCode::NOT_IMPLEMENTED, "Not implemented"),
            Self::Host => (StatusCode::BAD_REQUEST, "Bad Host"),
            Self::Connect => (StatusCode::METHOD_NOT_ALLOWED, "Method not allowed"),
            Self::BrokenApi => (StatusCode::SERVICE_UNAVAILABLE, "Service unavailable"),
            Self::CertificateNotTrusted => (StatusCode::FORBIDDEN, "Client certificate not trusted"),
        };
        problem(status, title, self.code())
    }

    /// Returns true if the connection is closed after the response.
    pub(super) fn closes_connection(self) -> bool {
        match self {
            // Another parser that does not support the coding could frame the body differently.
            Self::TransferCoding => true,
            // Every further request would be rejected, too.
            Self::CertificateNotTrusted => true,
            _ => false,
        }
    }
}

/// Returns the response for a routed request without an upstream response. The cause is logged only.
pub(super) fn forward_error_response(error: &ForwardError) -> Response<Full<Bytes>> {
    let (status, title) = match error {
        ForwardError::RateLimited { retry_after, .. } => {
            let mut response = problem(StatusCode::TOO_MANY_REQUESTS, "Too many requests", error.code());
            response.headers_mut().insert(header::RETRY_AFTER, whole_seconds(*retry_after).into());
            return response;
        }
        ForwardError::Upstream(error) if error.kind() == ClientErrorKind::ConnectTimeout => GATEWAY_TIMEOUT,
        ForwardError::Upstream(error) if error.kind() == ClientErrorKind::TooManyConnections => {
            (StatusCode::SERVICE_UNAVAILABLE, "Service unavailable")
        }
        ForwardError::Upstream(_) | ForwardError::TooManyResponseFields => {
            (StatusCode::BAD_GATEWAY, "Bad gateway")
        }
        ForwardError::FirstByteTimeout
        | ForwardError::RequestTimeout
        | ForwardError::Upload(UploadError::Idle) => GATEWAY_TIMEOUT,
        // The upstream is not at fault: it did not receive the whole body.
        ForwardError::Upload(UploadError::Malformed) => (StatusCode::BAD_REQUEST, "Malformed body"),
        ForwardError::Upload(UploadError::Disconnected) => (StatusCode::BAD_REQUEST, "Incomplete body"),
        ForwardError::Upload(_) => (StatusCode::REQUEST_TIMEOUT, "Request timeout"),
        ForwardError::Head(rejection) => match rejection.status() {
            StatusCode::URI_TOO_LONG => (StatusCode::URI_TOO_LONG, "URI too long"),
            status => (status, "Request header fields too large"),
        },
        ForwardError::BodyTooLarge => (StatusCode::PAYLOAD_TOO_LARGE, "Content too large"),
        ForwardError::TooManyRequests => (StatusCode::SERVICE_UNAVAILABLE, "Service unavailable"),
    };
    let mut response = problem(status, title, error.code());
    if status == StatusCode::REQUEST_TIMEOUT {
        // RFC 9110, section 15.5.9: the server does not wait longer. Over HTTP/2 it becomes GOAWAY.
        response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    response
}

/// Rounds up, to at least one second.
fn whole_seconds(time: Duration) -> u64 {
    time.as_secs().saturating_add(u64::from(time.subsec_nanos() > 0)).max(1)
}

const GATEWAY_TIMEOUT: (StatusCode, &str) = (StatusCode::GATEWAY_TIMEOUT, "Gateway timeout");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retry_after_is_rounded_up_to_whole_seconds() {
        for (milliseconds, expected) in [(0, 1), (1, 1), (1_000, 1), (1_001, 2), (59_999, 60)] {
            assert_eq!(whole_seconds(Duration::from_millis(milliseconds)), expected, "{milliseconds} ms");
        }
    }
}
