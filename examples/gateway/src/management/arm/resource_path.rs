//! Parsing of resource paths.

use percent_encoding::percent_decode_str;

use super::ApiError;
use crate::store::Id;

/// A parsed resource path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ResourcePath {
    pub(super) subscription: String,
    pub(super) group: String,
    pub(super) service: String,
    pub(super) resource: Resource,
}

/// The addressed resource.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Resource {
    Certificates,
    Certificate(Id),
    RefreshSecret(Id),
    Apis,
    Api(Id),
    Backends,
    Backend(Id),
    /// The list with the policy of an API, or with the global policy (None).
    Policies(Option<Id>),
    Policy(Option<Id>),
}

/// Maximum length of a name in characters, as in Azure.
const MAX_NAME_LENGTH: usize = 90;

impl ResourcePath {
    /// Parses a path. It is split first, then each segment is decoded once: `%2F` is part of an id, and `%252F` is `%2F`
    /// within an id. The other segments are compared case-insensitively, as in Azure.
    pub(super) fn parse(path: &str) -> Result<Self, ApiError> {
        let unknown = || ApiError::not_found("The resource was not found.");
        let segments = path.strip_prefix('/').ok_or_else(unknown)?.split('/').map(decode);
        let segments = segments
            .collect::<Option<Vec<_>>>()
            .ok_or_else(|| ApiError::validation("path", "The path contains an invalid percent-encoding."))?;
        let segments: Vec<_> = segments.iter().map(String::as_str).collect();
        let [w1, subscription, w2, group, w3, w4, w5, service, rest @ ..] = &segments[..] else {
            return Err(unknown());
        };
        let words = ["subscriptions", "resourceGroups", "providers", "Microsoft.ApiManagement", "service"];
        if !words.iter().zip([w1, w2, w3, w4, w5]).all(|(word, found)| word.eq_ignore_ascii_case(found)) {
            return Err(unknown());
        }
        for name in [subscription, group, service] {
            if name.is_empty() || name.chars().count() > MAX_NAME_LENGTH || name.contains(char::is_control) {
                return Err(unknown());
            }
        }
        let words: Vec<_> = rest.iter().map(|word| word.to_ascii_lowercase()).collect();
        let words: Vec<_> = words.iter().map(String::as_str).collect();
        let resource = match (&words[..], rest) {
            (["certificates"], _) => Resource::Certificates,
            (["certificates", _], [_, id]) => Resource::Certificate(read_id(id, "certificate")?),
            (["certificates", _, "refreshsecret"], [_, id, _]) => {
                Resource::RefreshSecret(read_id(id, "certificate")?)
            }
            (["apis"], _) => Resource::Apis,
            (["apis", _], [_, id]) => Resource::Api(read_api_id(id)?),
            (["apis", _, "policies"], [_, id, _]) => Resource::Policies(Some(read_api_id(id)?)),
            (["apis", _, "policies", "policy"], [_, id, _, _]) => Resource::Policy(Some(read_api_id(id)?)),
            (["backends"], _) => Resource::Backends,
            (["backends", _], [_, id]) => Resource::Backend(read_id(id, "backend")?),
            (["policies"], _) => Resource::Policies(None),
            (["policies", "policy"], _) => Resource::Policy(None),
            _ => return Err(unknown()),
        };
        let [subscription, group, service] = [subscription, group, service].map(|name| (*name).to_owned());
        Ok(Self { subscription, group, service, resource })
    }

    /// Returns the path of the service.
    pub(super) fn service_path(&self) -> String {
        let Self { subscription, group, service, .. } = self;
        format!(
            "/subscriptions/{subscription}/resourceGroups/{group}/providers/Microsoft.ApiManagement/service/{service}"
        )
    }
}

fn read_id(text: &str, what: &str) -> Result<Id, ApiError> {
    text.parse().map_err(|problem| ApiError::validation("id", format!("The id of the {what} {problem}.")))
}

/// Parses the id of an API, with or without the only revision, 1.
fn read_api_id(text: &str) -> Result<Id, ApiError> {
    match text.split_once(";rev=") {
        None => read_id(text, "API"),
        Some((id, "1")) => read_id(id, "API"),
        Some(_) => Err(ApiError::not_found("Only revision 1 of an API is supported.")),
    }
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

    #[test]
    fn path_is_split_before_its_segments_are_decoded_once() {
        let id = |id: &str| Ok(Resource::Certificate(id.parse().unwrap()));
        for (path, expected) in [
            ("/certificates", Ok(Resource::Certificates)),
            ("/CERTIFICATES", Ok(Resource::Certificates)),
            ("/certificates/orders", id("orders")),
            ("/certificates/or%64ers", id("orders")),
            ("/certificates/a%2Fb", id("a/b")),
            ("/certificates/a%252fb", id("a%2fb")),
            ("/certificates/..%2f..%2fetc", id("../../etc")),
            ("/certificates/it's%20(new)", id("it's (new)")),
            ("/certificates/%C3%BC", id("ü")),
            ("/certificates/orders/refreshSecret", Ok(Resource::RefreshSecret("orders".parse().unwrap()))),
            ("/certificates/orders/other", Err(404)),
            ("/certificates/", Err(400)),
            ("/certificates/a%3Ab", Err(400)),
            ("/certificates/%00", Err(400)),
            ("/certificates/%ff", Err(400)),
            ("/certificates/%", Err(400)),
            ("/certificates/%4", Err(400)),
            ("/certificates//", Err(404)),
            ("", Err(404)),
            ("/apis", Ok(Resource::Apis)),
            ("/apis/echo", Ok(Resource::Api("echo".parse().unwrap()))),
            ("/apis/echo;rev=1", Ok(Resource::Api("echo".parse().unwrap()))),
            ("/apis/echo;rev=2", Err(404)),
            ("/apis/policies/policies/policy", Ok(Resource::Policy(Some("policies".parse().unwrap())))),
            ("/apis/a%2Fpolicies", Ok(Resource::Api("a/policies".parse().unwrap()))),
            ("/apis/echo/operations", Err(404)),
            ("/policies/Policy", Ok(Resource::Policy(None))),
            ("/backends/b", Ok(Resource::Backend("b".parse().unwrap()))),
            ("/products", Err(404)),
        ] {
            let parsed = ResourcePath::parse(&format!("{SERVICE}{path}"));
            assert_eq!(
                parsed.map(|parsed| parsed.resource).map_err(|error| error.status.as_u16()),
                expected,
                "{path}"
            );
        }
        let lower = format!("{}/certificates", SERVICE.to_lowercase());
        assert_eq!(ResourcePath::parse(&lower).unwrap().service_path(), SERVICE);
        assert!(
            ResourcePath::parse(
                "/subscriptions//resourceGroups/g/providers/Microsoft.ApiManagement/service/v/certificates"
            )
            .is_err()
        );
    }
}
