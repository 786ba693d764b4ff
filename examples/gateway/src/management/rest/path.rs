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
    /// Id of the resource or of the API that it belongs to; possibly empty.
    id: Option<String>,
}

/// Maximum length of a name in characters, as in Azure.
const MAX_NAME_LENGTH: usize = 90;

/// The collection whose resource, `policy`, has no id.
const POLICIES: &str = "policies";

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
            [collection, id, ..] if !collection.eq_ignore_ascii_case(POLICIES) => Some(id.clone()),
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

    /// Returns true for the path of a certificate.
    pub(super) fn is_certificate(&self) -> bool {
        self.route
            == "/subscriptions/-/resourcegroups/-/providers/microsoft.apimanagement/service/-/certificates/-"
    }

    /// Returns the id; None without an id. `kind` is for messages.
    pub(super) fn optional_id(&self, kind: &str) -> Result<Option<Id>, ApiError> {
        self.id.as_deref().map(|id| read_id(id, kind)).transpose()
    }

    /// Returns the id.
    pub(super) fn id(&self, kind: &str) -> Result<Id, ApiError> {
        self.optional_id(kind)?.ok_or_else(unknown)
    }

    /// Returns the id of an API, with or without the only revision, 1; None without an id.
    pub(super) fn optional_api_id(&self) -> Result<Option<Id>, ApiError> {
        match self.id.as_deref().and_then(|id| id.split_once(";rev=")) {
            None => self.optional_id("API"),
            Some((id, "1")) => read_id(id, "API").map(Some),
            Some(_) => Err(ApiError::not_found("Only revision 1 of an API is supported.")),
        }
    }
}

/// The response to an unknown path.
pub(super) fn unknown() -> ApiError {
    ApiError::not_found("The resource was not found.")
}

fn read_id(text: &str, kind: &str) -> Result<Id, ApiError> {
    text.parse().map_err(|problem| ApiError::validation("id", format!("The id of the {kind} {problem}.")))
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
            let parsed = parsed.map(|parsed| (parsed.route, parsed.id));
            let expected = expected.map(|(route, id)| (format!("{ROUTE}{route}"), id.map(str::to_owned)));
            assert_eq!(parsed.map_err(|error| error.status.as_u16()), expected, "{path}");
        }
        let lower = format!("{}/certificates", SERVICE.to_lowercase());
        assert_eq!(ResourcePath::parse(&lower).unwrap().service_path(), SERVICE);
        assert!(ResourcePath::parse(&SERVICE.replace("/s/", "//")).is_err());
    }

    #[test]
    fn ids_are_validated() {
        for (id, certificate, api) in [
            ("orders", Ok(Some("orders")), Ok(Some("orders"))),
            ("a%2Fb", Ok(Some("a/b")), Ok(Some("a/b"))),
            ("", Err(400), Err(400)),
            ("a%3Ab", Err(400), Err(400)),
            ("%00", Err(400), Err(400)),
            ("echo;rev=1", Ok(Some("echo;rev=1")), Ok(Some("echo"))),
            ("echo;rev=2", Ok(Some("echo;rev=2")), Err(404)),
            (";rev=1", Ok(Some(";rev=1")), Err(400)),
        ] {
            let path = ResourcePath::parse(&format!("{SERVICE}/apis/{id}")).unwrap();
            let status = |error: ApiError| error.status.as_u16();
            let found = path.optional_id("certificate").map_err(status);
            assert_eq!(found.as_ref().map(Option::as_deref), certificate.as_ref().copied(), "{id}");
            let found = path.optional_api_id().map_err(status);
            assert_eq!(found.as_ref().map(Option::as_deref), api.as_ref().copied(), "{id}");
        }
    }
}
