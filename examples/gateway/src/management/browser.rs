//! What keeps a page of somebody else's from asking in the name of whoever looks at it.

use axum::{body::Body, extract::Request};
use http::{HeaderMap, Method, StatusCode, header, uri::Authority};
use http_body::Body as _;

use super::{Hosts, arm::Problem};

/// The authority that was asked, if the request may be answered: it names this listener, comes from no other site, and
/// has a body of JSON or none.
pub(super) fn check(request: &Request<Body>, hosts: &Hosts) -> Result<Authority, Problem> {
    let authority = authority(request, hosts)?;
    let headers = request.headers();
    if is_of_another_site(headers, &authority) {
        let message = "The request comes from a page of another site.";
        return Err(Problem::new(StatusCode::FORBIDDEN, "CrossSiteRequest", message));
    }
    let has_body = *request.method() == Method::PUT || !request.body().is_end_stream();
    if has_body && !is_json(headers) {
        let message = "The body has to be JSON, with the header Content-Type: application/json.";
        return Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "UnsupportedMediaType", message));
    }
    Ok(authority)
}

/// The authority that was asked, if it is this listener.
pub(super) fn authority(request: &Request<Body>, hosts: &Hosts) -> Result<Authority, Problem> {
    hosts.of(request).ok_or_else(|| {
        let message = "The Host of the request is none of this listener's names: those of its certificate, and \
                       localhost if it listens there.";
        Problem::new(StatusCode::MISDIRECTED_REQUEST, "MisdirectedRequest", message)
    })
}

/// Browsers say where a request comes from; what says nothing is no browser, or a page's own.
fn is_of_another_site(headers: &HeaderMap, authority: &Authority) -> bool {
    let own = format!("https://{authority}");
    let origins = headers.get_all(header::ORIGIN);
    let is_foreign = origins.iter().any(|origin| !origin.as_bytes().eq_ignore_ascii_case(own.as_bytes()));
    let sites = headers.get_all("sec-fetch-site");
    is_foreign || sites.iter().any(|site| site != "same-origin" && site != "none")
}

/// JSON is a type that forms of other sites cannot send.
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
    fn who_comes_from_elsewhere_is_told_from_who_does_not() {
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
    fn json_is_told_from_what_a_form_can_send() {
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
