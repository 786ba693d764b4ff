//! Header fields that a proxy removes, joins and sets.

use std::net::{IpAddr, SocketAddr};

use http::{HeaderMap, HeaderName, HeaderValue, header};

use super::HeaderPattern;
use crate::request::claims::{folded, is_claim};

/// Fields that belong to one connection (RFC 9110, section 7.6.1). `TE` is judged by its value.
const HOP_BY_HOP: [HeaderName; 5] = [
    header::CONNECTION,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
];

/// Removes hop-by-hop fields and those that `Connection` names.
pub(super) fn remove_hop_by_hop(headers: &mut HeaderMap) {
    // Cheaper than a look-up of each.
    if !headers.keys().any(|name| *name == header::TE || HOP_BY_HOP.contains(name)) {
        return;
    }
    let named: Vec<HeaderName> = headers
        .get_all(header::CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter_map(|name| name.trim().parse().ok())
        .collect();
    for name in named.iter().filter(|name| **name != header::TE) {
        headers.remove(name);
    }
    let wants_trailers = headers.get_all(header::TE).iter().any(|value| {
        value
            .to_str()
            .is_ok_and(|value| value.split(',').any(|coding| coding.trim().eq_ignore_ascii_case("trailers")))
    });
    headers.remove(header::TE);
    if wants_trailers {
        headers.insert(header::TE, HeaderValue::from_static("trailers"));
    }
    for name in &HOP_BY_HOP {
        headers.remove(name);
    }
}

/// Removes headers that claim an identity or origin, and the `removed` ones.
pub(super) fn remove_claims(headers: &mut HeaderMap, removed: &[HeaderPattern]) {
    let is_claim = |name: &str| is_claim(name) || removed.iter().any(|pattern| pattern.matches_text(name));
    let is_removed = |name: &HeaderName| *name == header::PROXY_AUTHORIZATION || is_claim(name.as_str());
    let claims: Vec<HeaderName> = headers.keys().filter(|name| is_removed(name)).cloned().collect();
    for name in claims {
        headers.remove(name);
    }
    if !headers.contains_key(header::TRAILER) {
        return;
    }
    // Removed trailers must not be announced.
    let announced: Vec<_> = headers
        .get_all(header::TRAILER)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(str::trim)
        .filter(|name| !name.is_empty() && !is_claim(name))
        .collect();
    match HeaderValue::try_from(announced.join(", ")) {
        Ok(announced) if !announced.is_empty() => headers.insert(header::TRAILER, announced),
        _ => headers.remove(header::TRAILER),
    };
}

/// Returns true if a client's field with this name does not reach the upstream as sent: hop-by-hop fields, claims of an
/// identity or origin, and `Host`. The claims are a list of names that servers are known to trust, not a guarantee.
///
/// Behind the proxy such a field is absent or the proxy's own, so no decision can depend on the client's.
///
/// ```
/// use http::header;
/// use tower_mtls::proxy::is_removed;
///
/// assert!(is_removed(&"x-forwarded-client-cert".parse()?));
/// assert!(is_removed(&header::CONNECTION));
/// assert!(!is_removed(&header::ACCEPT));
/// # Ok::<(), http::header::InvalidHeaderName>(())
/// ```
pub fn is_removed(name: &HeaderName) -> bool {
    HOP_BY_HOP.contains(name)
        || [header::TE, header::HOST, header::EXPECT, header::PROXY_AUTHORIZATION].contains(name)
        || is_claim(name.as_str())
}

/// Removes fields with these names, ignoring punctuation, unless they address or frame the message.
pub(super) fn remove_folded(headers: &mut HeaderMap, folded_names: &[String]) {
    if folded_names.is_empty() {
        return;
    }
    let is_listed = |name: &HeaderName| folded_names.contains(&folded(name.as_str()));
    let listed: Vec<HeaderName> =
        headers.keys().filter(|name| is_listed(name) && is_settable(name)).cloned().collect();
    for name in listed {
        headers.remove(name);
    }
}

/// Returns true if a [`Rewrite`](super::Rewrite) can set the field: it does not address or frame the message, or belong to
/// one connection.
pub(super) fn is_settable(name: &HeaderName) -> bool {
    const ADDRESSING: [HeaderName; 4] = [header::HOST, header::TE, header::TRAILER, header::CONTENT_LENGTH];
    !HOP_BY_HOP.contains(name) && !ADDRESSING.contains(name)
}

/// Removes the expectation of `100 (Continue)`: the server sends that response when the body is first polled, which is
/// after the connection to the upstream is established.
pub(super) fn remove_expectation(headers: &mut HeaderMap) {
    let is_met = |value: &HeaderValue| value.as_bytes().eq_ignore_ascii_case(b"100-continue");
    if headers.contains_key(header::EXPECT) && headers.get_all(header::EXPECT).iter().all(is_met) {
        headers.remove(header::EXPECT);
    }
}

/// Joins `Cookie` fields, into which HTTP/2 splits one (RFC 9113, section 8.2.3).
pub(super) fn join_cookies(headers: &mut HeaderMap) {
    if headers.get_all(header::COOKIE).iter().nth(1).is_none() {
        return;
    }
    let joined = headers.get_all(header::COOKIE).iter().map(HeaderValue::as_bytes).collect::<Vec<_>>();
    // Valid, since its parts are.
    if let Ok(joined) = HeaderValue::from_bytes(&joined.join(&b"; "[..])) {
        headers.insert(header::COOKIE, joined);
    }
}

/// Fields that report the client's address, protocol and host to the upstream.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use http::{Request, Response};
/// use tower::{Layer, ServiceExt, service_fn};
/// use tower_mtls::{ReverseProxyLayer, proxy::{Forwarded, ProxyBody}};
///
/// let upstream = service_fn(|request: Request<ProxyBody<String>>| async move {
///     Ok::<_, std::convert::Infallible>(Response::new(request.headers()["forwarded"].clone()))
/// });
/// let layer = ReverseProxyLayer::new("/", "https://orders.internal".parse()?).forwarded(Forwarded::Rfc7239);
/// let request = Request::get("/").header("host", "orders.example.com").body(String::new())?;
/// let response = layer.layer(upstream).oneshot(request).await?;
/// assert_eq!(response.into_body(), r#"proto=https;host="orders.example.com""#);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Forwarded {
    /// None. The client's own are still removed.
    #[default]
    Nothing,
    /// `X-Forwarded-For`, `-Proto` and `-Host`.
    XForwarded,
    /// `Forwarded` (RFC 7239).
    Rfc7239,
    /// Both.
    Both,
}

impl Forwarded {
    /// Sets the fields for a request over TLS from `remote` for `host`.
    pub(super) fn set(self, headers: &mut HeaderMap, remote: Option<SocketAddr>, host: Option<&HeaderValue>) {
        let address = remote.map(|remote| remote.ip().to_canonical());
        if matches!(self, Self::XForwarded | Self::Both) {
            if let Some(value) = address.and_then(|address| HeaderValue::try_from(address.to_string()).ok()) {
                headers.insert("x-forwarded-for", value);
            }
            headers.insert("x-forwarded-proto", HeaderValue::from_static("https"));
            if let Some(host) = host {
                headers.insert("x-forwarded-host", host.clone());
            }
        }
        if matches!(self, Self::Rfc7239 | Self::Both) {
            let node = match address {
                Some(IpAddr::V4(address)) => format!("for={address};"),
                Some(IpAddr::V6(address)) => format!("for=\"[{address}]\";"),
                None => String::new(),
            };
            let host = host.and_then(|host| host.to_str().ok()).filter(|host| !host.contains(['"', '\\']));
            let host = host.map(|host| format!(";host=\"{host}\"")).unwrap_or_default();
            if let Ok(value) = HeaderValue::try_from(format!("{node}proto=https{host}")) {
                headers.insert(header::FORWARDED, value);
            }
        }
    }
}
