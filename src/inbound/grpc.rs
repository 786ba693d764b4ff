use http::{Request, Version, header};

/// Returns true for a gRPC request: HTTP/2, with exactly one content type, `application/grpc` or
/// `application/grpc+SUFFIX`.
///
/// Letter case and parameters after `;` are ignored, as in media types and the gRPC libraries. gRPC-Web
/// (`application/grpc-web`) is not gRPC, and neither is any content type on HTTP/1.1.
///
/// ```
/// use http::{Request, Version};
/// use tower_mtls::inbound::is_grpc;
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
    let mut values = request.headers().get_all(header::CONTENT_TYPE).iter();
    let (Some(value), None) = (values.next(), values.next()) else {
        return false;
    };
    request.version() == Version::HTTP_2 && is_grpc_type(value.as_bytes())
}

pub(super) fn is_grpc_type(value: &[u8]) -> bool {
    let kind = value.split(|byte| *byte == b';').next().unwrap_or_default().trim_ascii_end();
    let Some((name, rest)) = kind.split_at_checked(GRPC.len()) else {
        return false;
    };
    name.eq_ignore_ascii_case(GRPC) && matches!(rest, [] | [b'+', _, ..])
}

const GRPC: &[u8] = b"application/grpc";

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
}
