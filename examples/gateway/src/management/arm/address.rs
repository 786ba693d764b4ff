//! Which resource a path names.

use percent_encoding::percent_decode_str;

use super::Problem;
use crate::store::Id;

/// A path, taken apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Address {
    pub(super) subscription: String,
    pub(super) group: String,
    pub(super) service: String,
    pub(super) target: Target,
}

/// What is addressed there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Target {
    Certificates,
    Certificate(Id),
    RefreshSecret(Id),
    Apis,
    Api(Id),
    Backends,
    Backend(Id),
    /// The one policy that an API has, or that stands above all of them, as a list.
    Policies(Option<Id>),
    Policy(Option<Id>),
}

/// Azure's own names have 90 characters at most.
const LONGEST: usize = 90;

impl Address {
    /// Takes a path apart. It is split first, and each segment decoded exactly once: `%2F` is part of an id, and `%252F`
    /// is the id's `%2F`. The words between are compared without regard to case, as Azure does.
    pub(super) fn parse(path: &str) -> Result<Self, Problem> {
        let unknown = || Problem::not_found("There is no such resource.");
        let segments = path.strip_prefix('/').ok_or_else(unknown)?.split('/').map(decode);
        let segments = segments.collect::<Option<Vec<_>>>().ok_or_else(|| {
            Problem::validation("path", "The path has an escape that is not UTF-8, or is no escape.")
        })?;
        let segments: Vec<_> = segments.iter().map(String::as_str).collect();
        let [w1, subscription, w2, group, w3, w4, w5, service, rest @ ..] = &segments[..] else {
            return Err(unknown());
        };
        let words = ["subscriptions", "resourceGroups", "providers", "Microsoft.ApiManagement", "service"];
        if !words.iter().zip([w1, w2, w3, w4, w5]).all(|(word, found)| word.eq_ignore_ascii_case(found)) {
            return Err(unknown());
        }
        for name in [subscription, group, service] {
            if name.is_empty() || name.chars().count() > LONGEST || name.contains(char::is_control) {
                return Err(unknown());
            }
        }
        let words: Vec<_> = rest.iter().map(|word| word.to_ascii_lowercase()).collect();
        let words: Vec<_> = words.iter().map(String::as_str).collect();
        let target = match (&words[..], rest) {
            (["certificates"], _) => Target::Certificates,
            (["certificates", _], [_, id]) => Target::Certificate(read_id(id, "certificate")?),
            (["certificates", _, "refreshsecret"], [_, id, _]) => {
                Target::RefreshSecret(read_id(id, "certificate")?)
            }
            (["apis"], _) => Target::Apis,
            (["apis", _], [_, id]) => Target::Api(read_api_id(id)?),
            (["apis", _, "policies"], [_, id, _]) => Target::Policies(Some(read_api_id(id)?)),
            (["apis", _, "policies", "policy"], [_, id, _, _]) => Target::Policy(Some(read_api_id(id)?)),
            (["backends"], _) => Target::Backends,
            (["backends", _], [_, id]) => Target::Backend(read_id(id, "backend")?),
            (["policies"], _) => Target::Policies(None),
            (["policies", "policy"], _) => Target::Policy(None),
            _ => return Err(unknown()),
        };
        let [subscription, group, service] = [subscription, group, service].map(|name| (*name).to_owned());
        Ok(Self { subscription, group, service, target })
    }

    /// The path of the service, as resources name it.
    pub(super) fn service_path(&self) -> String {
        let Self { subscription, group, service, .. } = self;
        format!(
            "/subscriptions/{subscription}/resourceGroups/{group}/providers/Microsoft.ApiManagement/service/{service}"
        )
    }
}

fn read_id(text: &str, what: &str) -> Result<Id, Problem> {
    text.parse().map_err(|problem| Problem::validation("id", format!("The id of the {what} {problem}.")))
}

/// An API has one revision here, which clients may name.
fn read_api_id(text: &str) -> Result<Id, Problem> {
    match text.split_once(";rev=") {
        None => read_id(text, "API"),
        Some((id, "1")) => read_id(id, "API"),
        Some(_) => Err(Problem::not_found("An API has no other revision than 1 here.")),
    }
}

/// None for what is not UTF-8, and for a `%` that no two hex digits follow: others may read that in another way.
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
    fn a_path_is_split_first_and_each_segment_decoded_once() {
        let id = |id: &str| Ok(Target::Certificate(id.parse().unwrap()));
        for (path, expected) in [
            ("/certificates", Ok(Target::Certificates)),
            ("/CERTIFICATES", Ok(Target::Certificates)),
            ("/certificates/orders", id("orders")),
            ("/certificates/or%64ers", id("orders")),
            ("/certificates/a%2Fb", id("a/b")),
            ("/certificates/a%252fb", id("a%2fb")),
            ("/certificates/..%2f..%2fetc", id("../../etc")),
            ("/certificates/it's%20(new)", id("it's (new)")),
            ("/certificates/%C3%BC", id("ü")),
            ("/certificates/orders/refreshSecret", Ok(Target::RefreshSecret("orders".parse().unwrap()))),
            ("/certificates/orders/other", Err(404)),
            ("/certificates/", Err(400)),
            ("/certificates/a%3Ab", Err(400)),
            ("/certificates/%00", Err(400)),
            ("/certificates/%ff", Err(400)),
            ("/certificates/%", Err(400)),
            ("/certificates/%4", Err(400)),
            ("/certificates//", Err(404)),
            ("", Err(404)),
            ("/apis", Ok(Target::Apis)),
            ("/apis/echo", Ok(Target::Api("echo".parse().unwrap()))),
            ("/apis/echo;rev=1", Ok(Target::Api("echo".parse().unwrap()))),
            ("/apis/echo;rev=2", Err(404)),
            ("/apis/policies/policies/policy", Ok(Target::Policy(Some("policies".parse().unwrap())))),
            ("/apis/a%2Fpolicies", Ok(Target::Api("a/policies".parse().unwrap()))),
            ("/apis/echo/operations", Err(404)),
            ("/policies/Policy", Ok(Target::Policy(None))),
            ("/backends/b", Ok(Target::Backend("b".parse().unwrap()))),
            ("/products", Err(404)),
        ] {
            let parsed = Address::parse(&format!("{SERVICE}{path}"));
            assert_eq!(
                parsed.map(|parsed| parsed.target).map_err(|problem| problem.status.as_u16()),
                expected,
                "{path}"
            );
        }
        let lower = format!("{}/certificates", SERVICE.to_lowercase());
        assert_eq!(Address::parse(&lower).unwrap().service_path(), SERVICE);
        assert!(
            Address::parse(
                "/subscriptions//resourceGroups/g/providers/Microsoft.ApiManagement/service/v/certificates"
            )
            .is_err()
        );
    }
}
