//! Unambiguous interpretation of a request's head.

use std::net::Ipv6Addr;

use http::{HeaderMap, Request, Version, header};
use tower_mtls::{proxy::NormalizedPath, serve::CallerBody};

use super::error_response::RoutingError;

pub(super) fn target_length(request: &Request<CallerBody>) -> usize {
    request.uri().path_and_query().map_or(0, |target| target.as_str().len())
}

/// Returns the size of the head, in bytes, as HTTP/2 defines it (RFC 9113, section 6.5.2).
pub(super) fn head_size(request: &Request<CallerBody>) -> usize {
    let fields = request.headers().iter().map(|(name, value)| name.as_str().len() + value.len() + 32);
    target_length(request) + fields.sum::<usize>()
}

/// Returns true if there is no transfer coding other than one `chunked`, which hyper decodes and encodes.
pub(super) fn is_only_chunked(headers: &HeaderMap) -> bool {
    let mut codings = headers.get_all(header::TRANSFER_ENCODING).iter();
    let first = codings.next();
    first.is_none_or(|coding| coding.as_bytes().eq_ignore_ascii_case(b"chunked")) && codings.next().is_none()
}

pub(super) fn normalized_path(path: &str) -> Result<NormalizedPath<'_>, RoutingError> {
    NormalizedPath::parse(path).map_err(|reason| {
        tracing::debug!(%reason, "ambiguous path");
        RoutingError::AmbiguousPath
    })
}

/// Returns the requested host: the URI's, or else the Host field's.
pub(super) fn host(request: &Request<CallerBody>) -> Result<Option<&str>, RoutingError> {
    let mut fields = request.headers().get_all(header::HOST).iter();
    let field = fields.next();
    let is_single = field.is_some() && fields.next().is_none();
    if request.version() == Version::HTTP_11 && !is_single {
        return Err(RoutingError::Host);
    }
    let host = match (request.uri().authority(), field) {
        (Some(authority), _) => Some(authority.as_str()),
        (None, Some(field)) => Some(field.to_str().map_err(|_| RoutingError::Host)?),
        (None, None) => None,
    };
    if host.is_some_and(|host| !is_host(host)) {
        return Err(RoutingError::Host);
    }
    Ok(host)
}

/// Returns true for a name or address with an optional port. A host that parsers interpret differently must not bypass
/// the routes of another host.
fn is_host(host: &str) -> bool {
    let (name, port) = match host.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((address, "")) if address.parse::<Ipv6Addr>().is_ok() => return true,
        Some((address, rest)) if address.parse::<Ipv6Addr>().is_ok() && rest.starts_with(':') => {
            ("v6", &rest[1..])
        }
        Some(_) => return false,
        None => host.split_once(':').unwrap_or((host, "")),
    };
    let name = name.strip_suffix('.').unwrap_or(name);
    let is_label = |label: &str| {
        !label.is_empty()
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
    };
    name.split('.').all(is_label) && port.len() <= 5 && port.bytes().all(|byte| byte.is_ascii_digit())
}
