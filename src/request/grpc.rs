//! gRPC requests, and gRPC responses to errors.

use http::{HeaderValue, Request, Response, StatusCode, Version, header};

/// Returns true for a gRPC request: HTTP/2, with exactly one content type, `application/grpc` or
/// `application/grpc+SUFFIX`.
///
/// Letter case and parameters after `;` are ignored, as in media types and the gRPC libraries. gRPC-Web
/// (`application/grpc-web`) is not gRPC, and neither is any content type on HTTP/1.1: such a client reads the HTTP status.
///
/// ```
/// use http::{Request, Version};
/// use tower_mtls::request::is_grpc;
///
/// # fn main() -> Result<(), http::Error> {
/// let call = Request::post("/orders.Orders/Get").header("content-type", "application/grpc+proto");
/// assert!(is_grpc(&call.version(Version::HTTP_2).body(())?));
///
/// let web = Request::post("/orders.Orders/Get").header("content-type", "application/grpc-web");
/// assert!(!is_grpc(&web.version(Version::HTTP_2).body(())?));
/// # Ok(())
/// # }
/// ```
pub fn is_grpc<B>(request: &Request<B>) -> bool {
    if request.version() != Version::HTTP_2 {
        return false;
    }
    let mut values = request.headers().get_all(header::CONTENT_TYPE).iter();
    let (Some(value), None) = (values.next(), values.next()) else {
        return false;
    };
    is_grpc_type(value.as_bytes())
}

/// Returns true for the content types of gRPC.
pub(crate) fn is_grpc_type(value: &[u8]) -> bool {
    let kind = value.split(|byte| *byte == b';').next().unwrap_or_default().trim_ascii_end();
    let Some((name, rest)) = kind.split_at_checked(GRPC.len()) else {
        return false;
    };
    name.eq_ignore_ascii_case(GRPC) && matches!(rest, [] | [b'+', _, ..])
}

const GRPC: &[u8] = b"application/grpc";

/// Returns the gRPC form of an HTTP error: status 200 without a body, and the error in the headers ("trailers only").
///
/// gRPC clients expect it in place of an HTTP status: see [`is_grpc`]. `message` is sent as `grpc-message`, which is
/// percent-encoded outside of printable ASCII.
///
/// | HTTP status | `grpc-status` |
/// |---|---|
/// | 400, 500 | 13, INTERNAL |
/// | 401 | 16, UNAUTHENTICATED |
/// | 403 | 7, PERMISSION_DENIED |
/// | 404, 405, 501 | 12, UNIMPLEMENTED |
/// | 408, 504 | 4, DEADLINE_EXCEEDED |
/// | 413, 414, 429, 431 | 8, RESOURCE_EXHAUSTED |
/// | 502, 503 | 14, UNAVAILABLE |
/// | any other | 2, UNKNOWN |
///
/// ```
/// use http::{HeaderValue, Request, Response, StatusCode};
/// use tower_mtls::request::{grpc_error, is_grpc};
///
/// fn unavailable<B>(request: &Request<B>) -> Response<String> {
///     match is_grpc(request) {
///         true => grpc_error(StatusCode::SERVICE_UNAVAILABLE, HeaderValue::from_static("no upstream"))
///             .map(|()| String::new()),
///         false => Response::builder().status(503).body("no upstream".into()).unwrap_or_default(),
///     }
/// }
///
/// # fn main() -> Result<(), http::Error> {
/// let call = Request::post("/orders.Orders/Get").header("content-type", "application/grpc");
/// let response = unavailable(&call.version(http::Version::HTTP_2).body(())?);
/// assert_eq!((response.status(), &response.headers()["grpc-status"]), (StatusCode::OK, &HeaderValue::from(14)));
/// assert_eq!(unavailable(&Request::new(())).status(), 503);
/// # Ok(())
/// # }
/// ```
pub fn grpc_error(status: StatusCode, message: HeaderValue) -> Response<()> {
    let code = match status.as_u16() {
        400 | 500 => "13",
        401 => "16",
        403 => "7",
        404 | 405 | 501 => "12",
        408 | 504 => "4",
        413 | 414 | 429 | 431 => "8",
        502 | 503 => "14",
        _ => "2",
    };
    let mut response = Response::new(());
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    headers.insert("grpc-status", HeaderValue::from_static(code));
    headers.insert("grpc-message", message);
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_http2_requests_with_a_grpc_content_type_are_grpc() {
        for (content_type, expected) in [
            ("application/grpc", true),
            ("application/grpc+proto", true),
            ("application/grpc+json", true),
            ("Application/gRPC+Proto", true),
            ("application/grpc;charset=utf-8", true),
            ("application/grpc+proto ; x=y", true),
            ("application/grpc+", false),
            ("application/grpc ", true),
            ("application/grpc proto", false),
            ("application/grpc-web", false),
            ("application/grpc-web+proto", false),
            ("application/grpc-web-text", false),
            ("application/grpcx", false),
            ("application/grp", false),
            ("application/json", false),
            ("application/json;application/grpc", false),
            ("", false),
        ] {
            for version in [Version::HTTP_10, Version::HTTP_11, Version::HTTP_2] {
                let request = Request::builder().version(version).header(header::CONTENT_TYPE, content_type);
                let found = is_grpc(&request.body(()).unwrap());
                assert_eq!(found, expected && version == Version::HTTP_2, "{content_type:?} {version:?}");
            }
        }
    }

    #[test]
    fn request_without_exactly_one_content_type_is_not_grpc() {
        let request = || Request::builder().version(Version::HTTP_2);
        assert!(!is_grpc(&request().body(()).unwrap()));
        let twice = request().header("content-type", "application/grpc").header("content-type", "text/plain");
        assert!(!is_grpc(&twice.body(()).unwrap()));
    }

    #[test]
    fn http_error_becomes_a_grpc_status_without_a_body() {
        for (status, code) in [
            (400, 13),
            (401, 16),
            (403, 7),
            (404, 12),
            (405, 12),
            (408, 4),
            (413, 8),
            (414, 8),
            (418, 2),
            (429, 8),
            (431, 8),
            (500, 13),
            (501, 12),
            (502, 14),
            (503, 14),
            (504, 4),
            (505, 2),
        ] {
            let status = StatusCode::from_u16(status).unwrap();
            let response = grpc_error(status, HeaderValue::from_static("no_route"));
            assert_eq!(response.status(), StatusCode::OK, "{status}");
            let headers: Vec<_> = ["content-type", "grpc-status", "grpc-message"]
                .map(|name| response.headers()[name].to_str().unwrap().to_owned())
                .into();
            assert_eq!(headers, ["application/grpc", &code.to_string(), "no_route"], "{status}");
        }
    }
}
