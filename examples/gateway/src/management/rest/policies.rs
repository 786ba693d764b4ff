//! Policy resources: those of APIs, and the global policy.

use axum::{
    Json,
    body::Body,
    response::{IntoResponse, Response},
};
use serde::Deserialize;
use serde_json::{Value as JsonValue, json};
use tower_mtls::apim::{Document, Format};

use super::{
    ApiError,
    apis::{self, ApiResource},
    body::{self, PropertyNames},
    listing,
    path::ResourcePath,
    request::{ApiRequest, FromPath, RequestContext},
    resource::Resource,
    settings_item::SettingsItem,
};
use crate::store::{Api, ChangeError, Id, Item, ItemValue, Policy, Revision, Settings};

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
    fn check_api(&self, context: &RequestContext) -> Result<(), ApiError> {
        match &self.0 {
            Some(id) => ApiResource(id.clone()).lookup(context).map(drop),
            None => Ok(()),
        }
    }

    /// Returns the warnings about the effective policy of an API.
    fn warnings(&self, context: &RequestContext) -> Vec<String> {
        let routing = context.routing.load();
        let route = self.0.as_ref().and_then(|id| routing.apis.routes.get(id));
        let route = route.and_then(|(_, route)| route.as_ref());
        let document = route.and_then(|route| route.policy.document());
        document.map(Document::warnings).unwrap_or_default().iter().map(ToString::to_string).collect()
    }

    /// Returns the item with this policy, or without one.
    fn with_policy(
        &self,
        settings: &Settings,
        policy: Option<Policy>,
    ) -> Result<Option<ItemValue>, ChangeError> {
        match &self.0 {
            None => Ok(policy.map(ItemValue::Policy)),
            Some(id) => {
                let api = settings.apis.get(id).ok_or(ChangeError::Absent)?;
                Ok(Some(ItemValue::Api(Api { policy, ..Api::clone(&api.value) })))
            }
        }
    }
}

impl FromPath for PolicyResource {
    fn from_path(path: &ResourcePath) -> Result<Self, ApiError> {
        path.optional_api_id().map(Self)
    }
}

impl Resource for PolicyResource {
    const KIND: &'static str = "policy";
    const NOUN: &'static str = "policy";

    type Input = (Format, String);
    type Value = PolicyValue;

    fn id(&self) -> &str {
        self.0.as_deref().unwrap_or_default()
    }

    fn title(&self) -> String {
        match &self.0 {
            Some(id) => format!("the policy of the API '{id}'"),
            None => "the global policy".to_owned(),
        }
    }

    fn check_change(&self, context: &RequestContext, is_deletion: bool) -> Result<(), ApiError> {
        self.0.as_ref().map_or(Ok(()), apis::check_is_not_file_route)?;
        if is_deletion { Ok(()) } else { self.check_api(context) }
    }

    async fn read(body: Body, _: bool) -> Result<(Format, String), ApiError> {
        read(body::properties(body, &NAMES, false).await?)
    }

    async fn find(&self, context: &RequestContext, query: Option<&str>) -> Result<PolicyValue, ApiError> {
        self.check_api(context)?;
        let found = self.value(&context.settings()).ok_or_else(|| {
            ApiError::not_found(match &self.0 {
                Some(id) => format!("The API '{id}' has no policy."),
                None => "There is no global policy.".to_owned(),
            })
        })?;
        Ok(PolicyValue { format: requested_format(query)?, ..found })
    }

    fn tag(value: &PolicyValue) -> Revision {
        value.policy.tag
    }

    fn print(&self, context: &RequestContext, value: &PolicyValue) -> Result<JsonValue, ApiError> {
        let PolicyValue { policy, format } = value;
        let text = policy.format().convert(&policy.value, *format).map_err(|errors| {
            let message =
                format!("The policy cannot be converted to this format; request the other one: {errors}");
            ApiError::validation("format", message)
        })?;
        let format = if *format == Format::Xml { "xml" } else { "rawxml" };
        let mut properties = json!({ "format": format, "value": text });
        let warnings = self.warnings(context);
        if !warnings.is_empty() {
            // Not in Azure's API.
            properties["warnings"] = warnings.into();
        }
        let (path, kind) = match &self.0 {
            Some(id) => (format!("/apis/{id}/policies/policy"), "apis/policies"),
            None => ("/policies/policy".to_owned(), "policies"),
        };
        Ok(context.resource_at(&path, kind, "policy", properties))
    }
}

impl SettingsItem for PolicyResource {
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

    fn edit(
        &self,
        settings: &Settings,
        (format, text): &(Format, String),
        _: bool,
        tag: Revision,
    ) -> Result<ItemValue, ChangeError> {
        let policy = Policy::new(*format, text.clone(), tag);
        self.with_policy(settings, Some(policy))?.ok_or(ChangeError::Absent)
    }

    fn without_value(&self, settings: &Settings) -> Result<Option<ItemValue>, ChangeError> {
        self.with_policy(settings, None)
    }
}

/// Lists the only policy of an API or of all APIs.
pub(super) async fn list(request: ApiRequest<PolicyResource>) -> Result<Response, ApiError> {
    let ApiRequest { resource, context, head, .. } = request;
    resource.check_api(&context)?;
    let found = match resource.value(&context.settings()) {
        Some(policy) => {
            let value = PolicyValue { format: requested_format(head.uri.query())?, ..policy };
            vec![resource.print(&context, &value)?]
        }
        None => Vec::new(),
    };
    Ok(Json(json!({ "count": found.len(), "value": found })).into_response())
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

/// Returns the requested format of the document.
fn requested_format(query: Option<&str>) -> Result<Format, ApiError> {
    match listing::parameter(query, "format").as_deref() {
        None | Some("xml") => Ok(Format::Xml),
        Some("rawxml") => Ok(Format::RawXml),
        Some(_) => Err(ApiError::validation("format", "The format must be xml or rawxml.")),
    }
}
