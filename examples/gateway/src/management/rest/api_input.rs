//! Validation of an API's properties.

use serde::{Deserialize, de::IgnoredAny};
use serde_json::Value as Json;

use super::{
    ApiError,
    body::{self, PropertyNames},
};
use crate::{
    path,
    store::{Api, Id},
};

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

/// Properties of an API in a request. Properties that would not be enforced are rejected.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ApiProperties {
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

/// Validated properties of an API; None: not in the request.
#[derive(Clone)]
pub(super) struct ApiInput {
    display_name: Option<String>,
    description: Option<String>,
    path: Option<String>,
    service_url: Option<String>,
    protocols: Option<Vec<String>>,
}

impl ApiInput {
    pub(super) fn read(body: &[u8], is_whole: bool) -> Result<Self, ApiError> {
        Self::validate(body::properties(body, &NAMES, !is_whole)?, is_whole)
    }

    fn validate(properties: ApiProperties, is_whole: bool) -> Result<Self, ApiError> {
        let mut details = Vec::new();
        refuse_unsupported(&properties, &mut details);
        if is_whole && properties.path.is_none() {
            details.push(("path", "path is missing: the path prefix of the API.".into()));
        }
        if is_whole && properties.service_url.is_none() {
            let problem = "serviceUrl is missing: the default URL of the backend.";
            details.push(("serviceUrl", problem.into()));
        }
        let ApiProperties { display_name, description, path, service_url, protocols, .. } = properties;
        let texts = [
            ("displayName", &display_name, 300),
            ("description", &description, 2000),
            ("path", &path, 400),
            ("serviceUrl", &service_url, 2000),
        ];
        body::check_lengths(&texts, &mut details);
        let path = path.map(|path| match route_path(&path) {
            Ok(path) => path,
            Err(problem) => {
                details.push(("path", format!("The path {path:?} {problem}.")));
                path
            }
        });
        if let Some(protocols) = &protocols {
            if let Some(other) = protocols.iter().find(|known| !["http", "https"].contains(&known.as_str())) {
                details.push(("protocols", format!("The protocol {other:?} is not supported: use https.")));
            } else if !protocols.iter().any(|known| known == "https") {
                details.push(("protocols", "Only https is served: set protocols to [\"https\"].".into()));
            }
        }
        if details.is_empty() {
            Ok(Self { display_name, description, path, service_url, protocols })
        } else {
            Err(ApiError::invalid(details))
        }
    }

    /// Builds the API; values that are not in a partial update are those of `current`.
    pub(super) fn apply(&self, id: &Id, current: Option<&Api>, is_whole: bool, tag: u64) -> Api {
        // Path and service URL are required in a complete request.
        let new = || Api {
            display_name: id.to_string(),
            description: None,
            path: String::new(),
            service_url: String::new(),
            protocols: vec!["https".to_owned()],
            tag,
            policy: None,
        };
        let base = current.filter(|_| !is_whole).cloned().unwrap_or_else(new);
        let Self { display_name, description, path, service_url, protocols } = self.clone();
        Api {
            display_name: display_name.unwrap_or(base.display_name),
            description: description.or(base.description),
            path: path.unwrap_or(base.path),
            service_url: service_url.unwrap_or(base.service_url),
            protocols: protocols.unwrap_or(base.protocols),
            tag,
            policy: current.and_then(|current| current.policy.clone()),
        }
    }
}

/// Reports properties that would not be enforced.
fn refuse_unsupported(properties: &ApiProperties, details: &mut Vec<(&'static str, String)>) {
    let mut refuse = |name, problem: &str| details.push((name, format!("{name}: {problem}")));
    if properties.subscription_required == Some(true) {
        refuse(
            "subscriptionRequired",
            "subscription keys are not supported; set it to false, and require certificates in the policy.",
        );
    }
    let is_set = |settings: &Json| match settings {
        Json::Object(parts) => {
            parts.values().any(|part| !part.is_null() && part.as_array().is_none_or(|list| !list.is_empty()))
        }
        other => !other.is_null(),
    };
    if properties.authentication_settings.as_ref().is_some_and(is_set) {
        refuse("authenticationSettings", "token validation is not supported; remove it.");
    }
    if properties.r#type.as_deref().is_some_and(|kind| kind != "http") {
        refuse("type", "only http is supported, which includes WebSocket and gRPC.");
    }
    if properties.api_revision.as_deref().is_some_and(|revision| revision != "1") {
        refuse("apiRevision", "only revision 1 is supported.");
    }
    if properties.api_version.as_deref().is_some_and(|version| !version.is_empty())
        || properties.api_version_set_id.is_some()
        || properties.api_version_set.is_some()
    {
        refuse("apiVersion", "API versions are not supported; put the version into the path.");
    }
    if properties.source_api_id.is_some() {
        refuse("sourceApiId", "copying of APIs is not supported.");
    }
    if properties.format.is_some() || properties.value.is_some() || properties.wsdl_selector.is_some() {
        refuse(
            "value",
            "import of API definitions is not supported; all paths below the API's path are served.",
        );
    }
}

/// Converts a path in Azure's form, without a leading `/`, to the normalized path that requests are matched with.
fn route_path(path: &str) -> Result<String, String> {
    let bare = path.strip_prefix('/').unwrap_or(path);
    let bare = bare.strip_suffix('/').unwrap_or(bare);
    let route = format!("/{bare}");
    let normal = path::normalise(&route).map_err(|error| error.to_string())?;
    if normal.has_empty_segments || bare.ends_with('/') {
        return Err("has an empty segment".into());
    }
    if bare.contains(['{', '}', '*']) {
        return Err("must not be a template: the API includes all paths below its path".into());
    }
    if normal.path != route || bare.contains(['?', '#']) {
        return Err(format!("is not normalized; write it like {}", normal.path));
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
