//! What may and may not cross a proxy.

use std::net::{IpAddr, SocketAddr};

use http::{HeaderMap, HeaderName, HeaderValue, header};

use super::HeaderPattern;
use crate::claims::{folded, is_claim};

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

/// Removes headers by which the caller could claim another identity or origin, and the `removed` ones.
pub(super) fn remove_claims(headers: &mut HeaderMap, removed: &[HeaderPattern]) {
    let is_claim = |name: &str| is_claim(name) || removed.iter().any(|pattern| pattern.matches_text(name));
    let claims: Vec<HeaderName> = headers.keys().filter(|name| is_claim(name.as_str())).cloned().collect();
    for name in claims {
        headers.remove(name);
    }
    headers.remove(header::PROXY_AUTHORIZATION);
    // Trailers that will not come are not announced.
    let announced: Vec<_> = headers
        .get_all(header::TRAILER)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(str::trim)
        .filter(|name| !name.is_empty() && !is_claim(name))
        .collect();
    if headers.contains_key(header::TRAILER) {
        match HeaderValue::try_from(announced.join(", ")) {
            Ok(announced) if !announced.is_empty() => headers.insert(header::TRAILER, announced),
            _ => headers.remove(header::TRAILER),
        };
    }
}

/// Whether a caller's field by this name never reaches the upstream as it came: hop-by-hop, a claim of an identity
/// or origin, or `Host`. The claims are a list of names that servers are known to believe, not a guarantee.
///
/// Nothing may be decided by such a field behind the proxy: there it is gone, or the proxy's own.
pub fn is_removed(name: &HeaderName) -> bool {
    HOP_BY_HOP.contains(name)
        || [header::TE, header::HOST, header::EXPECT, header::PROXY_AUTHORIZATION].contains(name)
        || is_claim(name.as_str())
}

/// Removes fields by these names, whatever their punctuation, unless they address or frame the message.
pub(super) fn remove_folded(headers: &mut HeaderMap, folded_names: &[String]) {
    if folded_names.is_empty() {
        return;
    }
    let is_meant = |name: &HeaderName| folded_names.contains(&folded(name.as_str()));
    let meant: Vec<HeaderName> =
        headers.keys().filter(|name| is_meant(name) && is_free(name)).cloned().collect();
    for name in meant {
        headers.remove(name);
    }
}

/// Whether a field may be set from outside: it neither addresses nor frames the message, and belongs to no one
/// connection.
pub(super) fn is_free(name: &HeaderName) -> bool {
    const OTHERS: [HeaderName; 4] = [header::HOST, header::TE, header::TRAILER, header::CONTENT_LENGTH];
    !HOP_BY_HOP.contains(name) && !OTHERS.contains(name)
}

/// Removes the expectation of `100 (Continue)`: whoever serves the caller meets it as soon as the body is asked
/// for, which is when there is a connection to the upstream.
pub(super) fn remove_expectation(headers: &mut HeaderMap) {
    let is_met = |value: &HeaderValue| value.as_bytes().eq_ignore_ascii_case(b"100-continue");
    if headers.get_all(header::EXPECT).iter().all(is_met) {
        headers.remove(header::EXPECT);
    }
}

/// Joins the pieces into which HTTP/2 splits a cookie.
pub(super) fn join_cookies(headers: &mut HeaderMap) {
    if headers.get_all(header::COOKIE).iter().nth(1).is_none() {
        return;
    }
    let joined = headers.get_all(header::COOKIE).iter().map(HeaderValue::as_bytes).collect::<Vec<_>>();
    // Joined out of valid values, it is one.
    if let Ok(joined) = HeaderValue::from_bytes(&joined.join(&b"; "[..])) {
        headers.insert(header::COOKIE, joined);
    }
}

/// Which fields tell the upstream where a request came from.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Forwarded {
    /// None. The caller's own are removed all the same.
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
    /// Sets the fields for a caller that came over TLS from `remote` and asked for `host`.
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
