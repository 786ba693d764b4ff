//! Parsing of resource paths.

use percent_encoding::percent_decode_str;

use super::ApiError;
use crate::store::Id;

/// A parsed resource path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ResourcePath {
    /// The path for the router: fixed segments in lower case, names as `-`.
    pub(super) route: String,
    subscription: String,
    group: String,
    service: String,
    /// Kind and id of the resource, or of the API that it belongs to; possibly empty.
    id: Option<(&'static str, String)>,
}

/// Route of a certificate.
pub(super) const CERTIFICATE_ROUTE: &str =
    "/subscriptions/-/resourcegroups/-/providers/microsoft.apimanagement/service/-/certificates/-";

/// Maximum length of a name in characters, as in Azure.
const MAX_NAME_LENGTH: usize = 90;

/// Collections, and the kind of resource in each.
const COLLECTIONS: [(&str, &str); 3] =
    [("certificates", "certificate"), ("apis", "API"), ("backends", "backend")];

impl ResourcePath {
    /// Parses a path. It is split first, then each segment is decoded once: `%2F` is part of an id, and `%252F` is `%2F`
    /// within an id. Fixed segments are case-insensitive, as in Azure.
    pub(super) fn parse(path: &str) -> Result<Self, ApiError> {
        let segments = path.strip_prefix('/').ok_or_else(unknown)?.split('/').map(decode);
        let segments = segments
            .collect::<Option<Vec<_>>>()
            .ok_or_else(|| ApiError::validation("path", "The path contains an invalid percent-encoding."))?;
        let [_, subscription, _, group, _, _, _, service, rest @ ..] = &segments[..] else {
            return Err(unknown());
        };
        for name in [subscription, group, service] {
            if name.is_empty() || name.chars().count() > MAX_NAME_LENGTH || name.contains(char::is_control) {
                return Err(unknown());
            }
        }
        let id = match rest {
            [found, id, ..] => {
                let known = COLLECTIONS.iter().find(|(known, _)| known.eq_ignore_ascii_case(found));
                known.map(|(_, kind)| (*kind, id.clone()))
            }
            _ => None,
        };
        let is_name = |at| matches!(at, 1 | 3 | 7) || (at == 9 && id.is_some());
        let mut route = String::with_capacity(path.len());
        for (at, segment) in segments.iter().enumerate() {
            route.push('/');
            if is_name(at) {
                route.push('-');
            } else if segment.bytes().all(|byte| byte.is_ascii_alphabetic() || byte == b'.') {
                route.push_str(&segment.to_ascii_lowercase());
            } else {
                return Err(unknown());
            }
        }
        let [subscription, group, service] = [subscription, group, service].map(Clone::clone);
        Ok(Self { route, subscription, group, service, id })
    }

    /// Returns the path of the service.
    pub(super) fn service_path(&self) -> String {
        let Self { subscription, group, service, .. } = self;
        format!(
            "/subscriptions/{subscription}/resourceGroups/{group}/providers/Microsoft.ApiManagement/service/{service}"
        )
    }

    /// Returns the id, if there is one. The id of an API can have the suffix of its only revision, 1.
    pub(super) fn id(&self) -> Result<Option<Id>, ApiError> {
        let Some((kind, id)) = &self.id else { return Ok(None) };
        let id = match id.split_once(";rev=") {
            Some((id, "1")) if *kind == "API" => id,
            Some(_) if *kind == "API" => {
                return Err(ApiError::not_found("Only revision 1 of an API is supported."));
            }
            _ => id,
        };
        let invalid = |problem| ApiError::validation("id", format!("The id of the {kind} {problem}."));
        id.parse().map(Some).map_err(invalid)
    }
}

/// The response to an unknown path.
pub(super) fn unknown() -> ApiError {
    ApiError::not_found("The resource was not found.")
}

/// Decodes a segment. None if it is not UTF-8 or contains an invalid escape, which other parsers can read differently.
fn decode(segment: &str) -> Option<String> {
    let mut parts = segment.split('%');
    parts.next();
    let is_escape =
        |part: &str| part.len() >= 2 && part.bytes().take(2).all(|digit| digit.is_ascii_hexdigit());
    if !parts.all(is_escape) {
        return None;
    }
    percent_decode_str(segment).decode_utf8().ok().map(Into::into)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SERVICE: &str = "/subscriptions/s/resourceGroups/g/providers/Microsoft.ApiManagement/service/v";
    const ROUTE: &str = "/subscriptions/-/resourcegroups/-/providers/microsoft.apimanagement/service/-";

    #[test]
    fn path_is_split_before_its_segments_are_decoded_once() {
        for (path, expected) in [
            ("", Ok(("", None))),
            ("/certificates", Ok(("/certificates", None))),
            ("/CERTIFICATES", Ok(("/certificates", None))),
            ("/certificate%73", Ok(("/certificates", None))),
            ("/certificates/orders", Ok(("/certificates/-", Some("orders")))),
            ("/certificates/or%64ers", Ok(("/certificates/-", Some("orders")))),
            ("/certificates/a%2Fb", Ok(("/certificates/-", Some("a/b")))),
            ("/certificates/a%252fb", Ok(("/certificates/-", Some("a%2fb")))),
            ("/certificates/..%2f..%2fetc", Ok(("/certificates/-", Some("../../etc")))),
            ("/certificates/it's%20(new)", Ok(("/certificates/-", Some("it's (new)")))),
            ("/certificates/%C3%BC", Ok(("/certificates/-", Some("ü")))),
            ("/certificates/Orders/refreshSecret", Ok(("/certificates/-/refreshsecret", Some("Orders")))),
            ("/certificates/", Ok(("/certificates/-", Some("")))),
            ("/certificates//", Ok(("/certificates/-/", Some("")))),
            ("/apis/Policies/policies/policy", Ok(("/apis/-/policies/policy", Some("Policies")))),
            ("/apis/a%2Fpolicies", Ok(("/apis/-", Some("a/policies")))),
            ("/policies/Policy", Ok(("/policies/policy", None))),
            ("/products", Ok(("/products", None))),
            ("/certificates%2Forders", Err(404)),
            ("/certificates%3Fx", Err(404)),
            ("/policies/-/", Err(404)),
            ("/certificates/%ff", Err(400)),
            ("/certificates/%", Err(400)),
            ("/certificates/%4", Err(400)),
        ] {
            let parsed = ResourcePath::parse(&format!("{SERVICE}{path}"));
            let parsed = parsed.map(|parsed| (parsed.route, parsed.id.map(|(_, id)| id)));
            let expected = expected.map(|(route, id)| (format!("{ROUTE}{route}"), id.map(str::to_owned)));
            assert_eq!(parsed.map_err(|error| error.status.as_u16()), expected, "{path}");
        }
        let lower = format!("{}/certificates", SERVICE.to_lowercase());
        assert_eq!(ResourcePath::parse(&lower).unwrap().service_path(), SERVICE);
        assert!(ResourcePath::parse(&SERVICE.replace("/s/", "//")).is_err());
    }

    #[test]
    fn ids_are_validated() {
        for (path, expected) in [
            ("certificates/a%2Fb", Ok(Some("a/b"))),
            ("certificates/echo;rev=2", Ok(Some("echo;rev=2"))),
            ("certificates/a%3Ab", Err(400)),
            ("certificates/%00", Err(400)),
            ("certificates/", Err(400)),
            ("apis/echo", Ok(Some("echo"))),
            ("apis/echo;rev=1", Ok(Some("echo"))),
            ("apis/echo;rev=2", Err(404)),
            ("apis/;rev=1", Err(400)),
            ("apis//policies/policy", Err(400)),
            ("policies/policy", Ok(None)),
            ("backends", Ok(None)),
        ] {
            let id = ResourcePath::parse(&format!("{SERVICE}/{path}")).unwrap().id();
            let id = id.as_ref().map(Option::as_deref).map_err(|error| error.status.as_u16());
            assert_eq!(id, expected, "{path}");
        }
    }
}
