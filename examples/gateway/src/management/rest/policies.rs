//! Policy resources: those of APIs, and the global policy.

use axum::{
    Json,
    response::{IntoResponse, Response},
};
use serde::Deserialize;
use serde_json::{Value as JsonValue, json};
use tower_mtls::apim::{Document, Format};

use super::{
    ApiError,
    apis::{self, ApiResource},
    listing,
    properties::{self, PropertyNames},
    request::ApiRequest,
    resource::{ChangeRequest, EditResult, Resource, id},
};
use crate::store::{Api, ChangeError, Id, Item, Policy, Revision, Settings, Versioned};

static NAMES: PropertyNames = PropertyNames { known: &["format", "value"], ignored: &["warnings"] };

#[derive(Deserialize)]
struct PolicyProperties {
    format: Option<String>,
    value: Option<String>,
}

/// The policy of an API, or the global policy (None).
pub(super) struct PolicyResource(Option<Id>);

/// A policy, and the format in which it is printed.
pub(super) struct PolicyValue {
    policy: Policy,
    format: Format,
}

impl PolicyResource {
    /// Checks that the API exists. Policies of the configuration file's routes are not accessible here.
    fn check_api(&self, request: &ApiRequest) -> Result<(), ApiError> {
        self.0.as_ref().map_or(Ok(()), |id| ApiResource(id.clone()).find(request).map(drop))
    }

    /// Sets or removes the policy.
    fn set(&self, settings: &mut Settings, policy: Option<Policy>) -> EditResult {
        let tag = settings.revision;
        match &self.0 {
            None => settings.policy = policy.map(|policy| Versioned::new(tag, policy)),
            Some(id) => {
                let api = settings.apis.get_mut(id).ok_or(ChangeError::Absent)?;
                *api = Versioned::new(tag, Api { policy, ..Api::clone(&api.value) });
            }
        }
        Ok(())
    }
}

impl Resource for PolicyResource {
    const NOUN: &'static str = "policy";

    type Input = (Format, String);
    type Value = PolicyValue;

    fn new(api_id: Option<Id>) -> Option<Self> {
        Some(Self(api_id))
    }

    fn item(&self) -> Item {
        self.0.clone().map_or(Item::Policy, Item::Api)
    }

    fn value(&self, settings: &Settings) -> Option<PolicyValue> {
        let policy = match &self.0 {
            Some(id) => settings.apis.get(id)?.value.policy.clone()?,
            None => Policy::clone(&settings.policy.as_ref()?.value),
        };
        Some(PolicyValue { format: policy.format(), policy })
    }

    fn tag(value: &PolicyValue) -> Revision {
        value.policy.tag
    }

    fn print(request: &ApiRequest, api_id: &str, value: &PolicyValue) -> Result<JsonValue, ApiError> {
        let PolicyValue { policy, format } = value;
        let text = policy.format().convert(&policy.value, *format).map_err(|errors| {
            let message =
                format!("The policy cannot be converted to this format; request the other one: {errors}");
            ApiError::validation("format", message)
        })?;
        let format = if *format == Format::Xml { "xml" } else { "rawxml" };
        let mut properties = json!({ "format": format, "value": text });
        let warnings = warnings(request, api_id);
        if !warnings.is_empty() {
            // Not in Azure's API.
            properties["warnings"] = warnings.into();
        }
        let (path, kind) = match api_id {
            "" => ("/policies/policy".to_owned(), "policies"),
            id => (format!("/apis/{id}/policies/policy"), "apis/policies"),
        };
        Ok(request.resource(&path, kind, "policy", properties))
    }

    async fn read(&self, _: &ChangeRequest, body: &[u8]) -> Result<(Format, String), ApiError> {
        read(properties::read(body, &NAMES, false)?)
    }

    fn put(
        &self,
        _: &ChangeRequest,
        (format, text): &(Format, String),
        settings: &mut Settings,
    ) -> EditResult {
        let policy = Policy::new(*format, text.clone(), settings.revision);
        self.set(settings, Some(policy))
    }

    fn remove(&self, settings: &mut Settings) -> EditResult {
        self.set(settings, None)
    }

    fn title(api_id: &str) -> String {
        match api_id {
            "" => "the global policy".to_owned(),
            id => format!("the policy of the API '{id}'"),
        }
    }

    /// Returns the policy in the requested format.
    fn find(&self, request: &ApiRequest) -> Result<PolicyValue, ApiError> {
        self.check_api(request)?;
        let missing = || match &self.0 {
            Some(id) => format!("The API '{id}' has no policy."),
            None => "There is no global policy.".to_owned(),
        };
        let found = self.value(&request.settings());
        let found = found.ok_or_else(|| ApiError::not_found(missing()))?;
        let format = match listing::parameter(request.head.uri.query(), "format").as_deref() {
            None | Some("xml") => Format::Xml,
            Some("rawxml") => Format::RawXml,
            Some(_) => return Err(ApiError::validation("format", "The format must be xml or rawxml.")),
        };
        Ok(PolicyValue { format, ..found })
    }

    fn check_change(&self, request: &ApiRequest, is_deletion: bool) -> Result<(), ApiError> {
        self.0.as_ref().map_or(Ok(()), apis::check_is_not_file_route)?;
        if is_deletion { Ok(()) } else { self.check_api(request) }
    }
}

/// Lists the only policy of an API or of all APIs.
pub(super) async fn list(request: ApiRequest) -> Result<Response, ApiError> {
    let resource = PolicyResource(request.id.clone());
    resource.check_api(&request)?;
    let found = match resource.value(&request.settings()) {
        Some(_) => vec![PolicyResource::print(&request, id(&request), &resource.find(&request)?)?],
        None => Vec::new(),
    };
    Ok(Json(json!({ "count": found.len(), "value": found })).into_response())
}

/// Returns the warnings about the effective policy of an API.
fn warnings(request: &ApiRequest, api_id: &str) -> Vec<String> {
    let routing = request.routing.load();
    let route = routing.apis.routes.get(api_id).and_then(|(_, route)| route.as_ref());
    let document = route.and_then(|route| route.policy.document());
    document.map(Document::warnings).unwrap_or_default().iter().map(ToString::to_string).collect()
}

fn read(properties: PolicyProperties) -> Result<(Format, String), ApiError> {
    let format = match properties.format.as_deref() {
        None | Some("xml") => Format::Xml,
        Some("rawxml") => Format::RawXml,
        Some("xml-link" | "rawxml-link") => {
            let message = "Links are not supported: send the document itself, as xml or rawxml.";
            return Err(ApiError::validation("format", message));
        }
        Some(other) => {
            return Err(ApiError::validation(
                "format",
                format!("The format {other:?} is not supported: use xml or rawxml."),
            ));
        }
    };
    let value = properties.value.filter(|value| !value.trim().is_empty());
    let value = value.ok_or_else(|| {
        ApiError::validation("value", "properties.value is missing: send the policy document.")
    })?;
    if format == Format::Xml {
        check_is_not_raw(&value)?;
    }
    Ok((format, value))
}

/// Rejects a document that is valid as rawxml only.
fn check_is_not_raw(value: &str) -> Result<(), ApiError> {
    let Err(errors) = Format::Xml.convert(value, Format::Xml) else { return Ok(()) };
    if Format::RawXml.convert(value, Format::RawXml).is_err() {
        return Ok(());
    }
    let first = errors
        .iter()
        .next()
        .map(|error| format!("line {}, column {}: {}", error.line(), error.column(), error.message()));
    let message = format!(
        "The document is rawxml: its expressions are not escaped. Send it with the format rawxml. As xml: {}.",
        first.unwrap_or_default()
    );
    Err(ApiError::validation("format", message))
}
