//! Answers of the gateway's own: RFC 9457 problems with a stable code.

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
    /// Its head is larger than back ends can be expected to read.
    HeadTooLarge,
    /// Not exactly one Host on HTTP/1.1 (RFC 9112, section 3.2), or one that is no host.
    Host,
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
        };
        let mut response = problem(status, title, self.code());
        if self == Self::TransferCoding {
            // Who does not know the coding either may disagree on where the body ends.
            response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
        response
    }
}

/// What a caller is told of a back end that failed, or that did not get the whole body from this very caller; the
/// cause is for the log.
pub(super) fn bad_gateway(error: &ClientError) -> Response<Full<Bytes>> {
    if is_malformed_body(error) {
        return problem(StatusCode::BAD_REQUEST, "Malformed body", "malformed_body");
    }
    let code = error.kind().as_str();
    match error.kind() {
        ClientErrorKind::ConnectTimeout => problem(StatusCode::GATEWAY_TIMEOUT, "Gateway timeout", code),
        _ => problem(StatusCode::BAD_GATEWAY, "Bad gateway", code),
    }
}
