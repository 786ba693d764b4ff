//! Protection against cross-site requests and DNS rebinding.

use axum::{body::Body, extract::Request};
use http::{HeaderMap, Method, StatusCode, header, uri::Authority};
use http_body::Body as _;

use super::{Hosts, rest::ApiError};

/// Checks that a request is addressed to this listener, does not come from another site, and has a JSON body or none.
/// Returns its authority.
pub(super) fn check(request: &Request<Body>, hosts: &Hosts) -> Result<Authority, ApiError> {
    let authority = authority(request, hosts)?;
    let headers = request.headers();
    if is_of_another_site(headers, &authority) {
        let message = "The request comes from a page of another site.";
        return Err(ApiError::new(StatusCode::FORBIDDEN, "CrossSiteRequest", message));
    }
    let has_body = *request.method() == Method::PUT || !request.body().is_end_stream();
    if has_body && !is_json(headers) {
        let message = "The body must be JSON, with the header Content-Type: application/json.";
        return Err(ApiError::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "UnsupportedMediaType", message));
    }
    Ok(authority)
}

/// Returns the authority of a request if it is one of this listener's.
pub(super) fn authority(request: &Request<Body>, hosts: &Hosts) -> Result<Authority, ApiError> {
    hosts.of(request).ok_or_else(|| {
        let message = "The Host header does not match this listener: use a name of its certificate, or localhost if \
                       it listens there.";
        ApiError::new(StatusCode::MISDIRECTED_REQUEST, "MisdirectedRequest", message)
    })
}

/// Returns true if the headers that browsers set name another site as the origin.
fn is_of_another_site(headers: &HeaderMap, authority: &Authority) -> bool {
    let own = format!("https://{authority}");
    let origins = headers.get_all(header::ORIGIN);
    let is_foreign = origins.iter().any(|origin| !origin.as_bytes().eq_ignore_ascii_case(own.as_bytes()));
    let sites = headers.get_all("sec-fetch-site");
    is_foreign || sites.iter().any(|site| site != "same-origin" && site != "none")
}

/// Returns true if the content type is JSON, which HTML forms of other sites cannot send.
fn is_json(headers: &HeaderMap) -> bool {
    let mut types = headers.get_all(header::CONTENT_TYPE).iter();
    let (Some(only), None) = (types.next(), types.next()) else { return false };
    let essence = only.to_str().unwrap_or_default().split(';').next().unwrap_or_default();
    essence.trim().eq_ignore_ascii_case("application/json")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_of_other_sites_are_detected() {
        let authority = Authority::from_static("localhost:9443");
        for (name, value, expected) in [
            ("accept", "application/json", false),
            ("origin", "https://localhost:9443", false),
            ("origin", "https://LOCALHOST:9443", false),
            ("origin", "http://localhost:9443", true),
            ("origin", "https://localhost", true),
            ("origin", "https://localhost:9444", true),
            ("origin", "null", true),
            ("origin", "", true),
            ("sec-fetch-site", "same-origin", false),
            ("sec-fetch-site", "none", false),
            ("sec-fetch-site", "same-site", true),
            ("sec-fetch-site", "cross-site", true),
        ] {
            let headers = HeaderMap::from_iter([(name.parse().unwrap(), value.parse().unwrap())]);
            assert_eq!(is_of_another_site(&headers, &authority), expected, "{name}: {value}");
        }
    }

    #[test]
    fn content_types_of_forms_are_not_json() {
        for (value, expected) in [
            ("application/json", true),
            ("Application/JSON; charset=utf-8", true),
            ("text/plain", false),
            ("application/x-www-form-urlencoded", false),
            ("text/plain; application/json", false),
            ("application/jsonp", false),
        ] {
            let headers = HeaderMap::from_iter([(header::CONTENT_TYPE, value.parse().unwrap())]);
            assert_eq!(is_json(&headers), expected, "{value}");
        }
        assert!(!is_json(&HeaderMap::new()));
    }
}
