//! Validation of an API's properties.

use serde::{Deserialize, de::IgnoredAny};
use serde_json::Value as Json;
use tower_mtls::proxy::NormalizedPath;

use super::{
    ApiError,
    properties::{self, PropertyNames},
};
use crate::store::{Api, Id};

static NAMES: PropertyNames = PropertyNames {
    known: &[
        "displayName",
        "description",
        "path",
        "serviceUrl",
        "protocols",
        "subscriptionRequired",
        "authenticationSettings",
        "type",
        "apiType",
        "apiRevision",
        "apiVersion",
        "apiVersionSetId",
        "apiVersionSet",
        "sourceApiId",
        "format",
        "value",
        "wsdlSelector",
    ],
    ignored: &[
        "contact",
        "license",
        "termsOfServiceUrl",
        "subscriptionKeyParameterNames",
        "isCurrent",
        "isOnline",
        "provisioningState",
        "apiRevisionDescription",
        "apiVersionDescription",
        "translateRequiredQueryParameters",
        // Read-only properties of this API.
        "readOnly",
        "host",
    ],
};

/// Properties of an API in a request; None: not in the request. Properties that would not be enforced are rejected.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ApiInput {
    display_name: Option<String>,
    description: Option<String>,
    path: Option<String>,
    service_url: Option<String>,
    protocols: Option<Vec<String>>,
    subscription_required: Option<bool>,
    authentication_settings: Option<Json>,
    #[serde(alias = "apiType")]
    r#type: Option<String>,
    api_revision: Option<String>,
    api_version: Option<String>,
    api_version_set_id: Option<String>,
    source_api_id: Option<String>,
    format: Option<IgnoredAny>,
    value: Option<IgnoredAny>,
    api_version_set: Option<IgnoredAny>,
    wsdl_selector: Option<IgnoredAny>,
}

impl ApiInput {
    /// Reads and validates the properties, and normalizes the path.
    pub(super) fn read(body: &[u8], is_whole: bool) -> Result<Self, ApiError> {
        let mut input: Self = properties::read(body, &NAMES, !is_whole)?;
        let mut details = Vec::new();
        reject_unsupported(&input, &mut details);
        if is_whole && input.path.is_none() {
            details.push(("path", "path is missing: the path prefix of the API.".into()));
        }
        if is_whole && input.service_url.is_none() {
            let problem = "serviceUrl is missing: the default URL of the backend.";
            details.push(("serviceUrl", problem.into()));
        }
        let texts = [
            ("displayName", &input.display_name, 300),
            ("description", &input.description, 2000),
            ("path", &input.path, 400),
            ("serviceUrl", &input.service_url, 2000),
        ];
        properties::check_lengths(&texts, &mut details);
        if let Some(path) = &mut input.path {
            match route_path(path) {
                Ok(route) => *path = route,
                Err(problem) => details.push(("path", format!("The path {path:?} {problem}."))),
            }
        }
        if let Some(protocols) = &input.protocols {
            if let Some(other) = protocols.iter().find(|known| !["http", "https"].contains(&known.as_str())) {
                details.push(("protocols", format!("The protocol {other:?} is not supported: use https.")));
            } else if !protocols.iter().any(|known| known == "https") {
                details.push(("protocols", "Only https is served: set protocols to [\"https\"].".into()));
            }
        }
        if details.is_empty() { Ok(input) } else { Err(ApiError::invalid(details)) }
    }

    /// Builds the API; values that are not in a partial update are those of `current`.
    pub(super) fn apply(&self, id: &Id, current: Option<&Api>, is_whole: bool, tag: u64) -> Api {
        let base = current.filter(|_| !is_whole);
        // Path and service URL are required in a complete request.
        let or_base = |new: &Option<String>, base: Option<&String>| new.clone().or_else(|| base.cloned());
        let display_name = or_base(&self.display_name, base.map(|base| &base.display_name));
        let protocols = self.protocols.as_ref().or_else(|| base.map(|base| &base.protocols));
        Api {
            display_name: display_name.unwrap_or_else(|| id.to_string()),
            description: or_base(&self.description, base.and_then(|base| base.description.as_ref())),
            path: or_base(&self.path, base.map(|base| &base.path)).unwrap_or_default(),
            service_url: or_base(&self.service_url, base.map(|base| &base.service_url)).unwrap_or_default(),
            protocols: protocols.cloned().unwrap_or_else(|| vec!["https".to_owned()]),
            tag,
            policy: current.and_then(|current| current.policy.clone()),
        }
    }
}

/// Reports properties that would not be enforced.
fn reject_unsupported(input: &ApiInput, details: &mut Vec<(&'static str, String)>) {
    let is_set = |settings: &Json| match settings {
        Json::Object(parts) => {
            parts.values().any(|part| !part.is_null() && part.as_array().is_none_or(|list| !list.is_empty()))
        }
        other => !other.is_null(),
    };
    let is_versioned = input.api_version.as_deref().is_some_and(|version| !version.is_empty());
    let has_definition = input.format.is_some() || input.value.is_some() || input.wsdl_selector.is_some();
    for (name, is_unsupported, problem) in [
        (
            "subscriptionRequired",
            input.subscription_required == Some(true),
            "subscription keys are not supported; set it to false, and require certificates in the policy.",
        ),
        (
            "authenticationSettings",
            input.authentication_settings.as_ref().is_some_and(is_set),
            "token validation is not supported; remove it.",
        ),
        (
            "type",
            input.r#type.as_deref().is_some_and(|kind| kind != "http"),
            "only http is supported, which includes WebSocket and gRPC.",
        ),
        (
            "apiRevision",
            input.api_revision.as_deref().is_some_and(|revision| revision != "1"),
            "only revision 1 is supported.",
        ),
        (
            "apiVersion",
            is_versioned || input.api_version_set_id.is_some() || input.api_version_set.is_some(),
            "API versions are not supported; put the version into the path.",
        ),
        ("sourceApiId", input.source_api_id.is_some(), "copying of APIs is not supported."),
        (
            "value",
            has_definition,
            "import of API definitions is not supported; all paths below the API's path are served.",
        ),
    ] {
        if is_unsupported {
            details.push((name, format!("{name}: {problem}")));
        }
    }
}

/// Converts a path in Azure's form, without a leading `/`, to the normalized path that requests are matched with.
fn route_path(path: &str) -> Result<String, String> {
    let bare = path.strip_prefix('/').unwrap_or(path);
    let bare = bare.strip_suffix('/').unwrap_or(bare);
    let route = format!("/{bare}");
    let normal = NormalizedPath::parse(&route).map_err(|error| error.to_string())?;
    if normal.has_empty_segments() || bare.ends_with('/') {
        return Err("has an empty segment".into());
    }
    if bare.contains(['{', '}', '*']) {
        return Err("must not be a template: the API includes all paths below its path".into());
    }
    if normal.as_str() != route || bare.contains(['?', '#']) {
        return Err(format!("is not normalized; write it like {}", normal.as_str()));
    }
    Ok(route)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn path_is_accepted_in_azures_form_and_normalized_only() {
        for (path, expected) in [
            ("orders", Some("/orders")),
            ("/orders", Some("/orders")),
            ("/orders/", Some("/orders")),
            ("orders/v1", Some("/orders/v1")),
            ("", Some("/")),
            ("/", Some("/")),
            ("orders//v1", None),
            ("//orders", None),
            ("orders//", None),
            ("../orders", None),
            ("a/./b", None),
            ("a%2Fb", None),
            ("%61", None),
            ("a?b", None),
            ("a/{id}", None),
            ("a/*", None),
            ("a#b", None),
            ("a\\b", None),
            ("a b", None),
        ] {
            assert_eq!(route_path(path).ok().as_deref(), expected, "{path:?}");
        }
    }
}
