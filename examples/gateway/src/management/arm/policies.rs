//! Policy resources: those of APIs, and the global policy.

use axum::{
    Json,
    body::Body,
    response::{IntoResponse, Response},
};
use http::{StatusCode, request::Parts};
use serde::Deserialize;
use serde_json::{Value as JsonValue, json};
use tower_mtls::apim::{Document, Format};

use super::{
    ApiError, ApiRequest, apis,
    audit::Audit,
    body::{self, PropertyNames},
    etag,
    item_change::ItemChange,
    listing, with_etag,
};
use crate::store::{Api, ChangeError, Id, Item, ItemValue, Policy, Precondition, Revision, Settings};

static NAMES: PropertyNames = PropertyNames { known: &["format", "value"], ignored: &["warnings"] };

#[derive(Deserialize)]
struct PolicyProperties {
    format: Option<String>,
    value: Option<String>,
}

impl ApiRequest {
    pub(super) fn list_policies(&self, api_id: Option<&Id>, head: &Parts) -> Result<Response, ApiError> {
        self.check_api(api_id)?;
        let found = match self.find_policy(api_id) {
            Ok(policy) => vec![self.policy_resource(api_id, &policy, requested_format(head)?)?],
            Err(_) => Vec::new(),
        };
        Ok(Json(json!({ "count": found.len(), "value": found })).into_response())
    }

    pub(super) fn policy(&self, api_id: Option<&Id>, head: &Parts) -> Result<Response, ApiError> {
        let policy = self.find_policy(api_id)?;
        Ok(with_etag(
            StatusCode::OK,
            policy.tag,
            self.policy_resource(api_id, &policy, requested_format(head)?)?,
        ))
    }

    pub(super) async fn put_policy(
        self,
        api_id: Option<Id>,
        head: &Parts,
        body: Body,
    ) -> Result<Response, ApiError> {
        let condition = etag::precondition_of_put(&head.headers)?;
        let audit = Audit::new("put", "policy", head, id_or_empty(api_id.as_ref()));
        let is_changeable = api_id.as_ref().map_or(Ok(()), apis::check_is_not_file_route);
        let read = match is_changeable.and_then(|()| self.check_api(api_id.as_ref())) {
            Ok(()) => body::properties::<PolicyProperties>(body, &NAMES, false).await.and_then(read),
            Err(problem) => Err(problem),
        };
        let (format, text) = read.inspect_err(|error| audit.rejected(error))?;
        let (edited_id, result_id) = (api_id.clone(), api_id.clone());
        let edit = move |settings: &Settings, tag| {
            let policy = Policy::new(format, text.clone(), tag);
            with_policy(settings, edited_id.as_ref(), Some(policy))?.ok_or(ChangeError::Absent)
        };
        let resource = move |request: &Self, settings: &Settings| {
            let api_id = result_id.as_ref();
            request.policy_resource(
                api_id,
                policy(settings, api_id).ok_or_else(|| not_found(api_id))?,
                format,
            )
        };
        item_change(api_id, audit, condition).put(self, edit, resource).await
    }

    pub(super) async fn delete_policy(self, api_id: Option<Id>, head: &Parts) -> Result<Response, ApiError> {
        let condition = etag::required_if_match(&head.headers, "policy")?;
        let audit = Audit::new("delete", "policy", head, id_or_empty(api_id.as_ref()));
        api_id
            .as_ref()
            .map_or(Ok(()), apis::check_is_not_file_route)
            .inspect_err(|error| audit.rejected(error))?;
        let removed_id = api_id.clone();
        let edit = move |settings: &Settings| with_policy(settings, removed_id.as_ref(), None);
        item_change(api_id, audit, condition).remove(self, edit, StatusCode::OK).await
    }

    fn find_policy(&self, api_id: Option<&Id>) -> Result<Policy, ApiError> {
        self.check_api(api_id)?;
        policy(&self.apis.settings(), api_id).cloned().ok_or_else(|| not_found(api_id))
    }

    /// Checks that the API exists. Policies of the configuration file's routes are not accessible here.
    fn check_api(&self, api_id: Option<&Id>) -> Result<(), ApiError> {
        match api_id {
            Some(id) if !self.apis.settings().apis.contains_key(id) => self.api(id).map(drop),
            _ => Ok(()),
        }
    }

    fn policy_resource(
        &self,
        api_id: Option<&Id>,
        policy: &Policy,
        format: Format,
    ) -> Result<JsonValue, ApiError> {
        let value = policy.format().convert(&policy.value, format).map_err(|errors| {
            let message =
                format!("The policy cannot be converted to this format; request the other one: {errors}");
            ApiError::validation("format", message)
        })?;
        let format = if format == Format::Xml { "xml" } else { "rawxml" };
        let mut properties = json!({ "format": format, "value": value });
        let warnings = self.warnings(api_id);
        if !warnings.is_empty() {
            // Not in Azure's API.
            properties["warnings"] = warnings.into();
        }
        let (path, kind) = match api_id {
            Some(id) => (format!("/apis/{id}/policies/policy"), "apis/policies"),
            None => ("/policies/policy".to_owned(), "policies"),
        };
        Ok(self.resource_json(&path, kind, "policy", properties))
    }

    /// Returns the warnings about the effective policy of an API.
    fn warnings(&self, api_id: Option<&Id>) -> Vec<String> {
        let routing = self.routing.load();
        let route = api_id.and_then(|id| routing.apis.routes.get(id)).and_then(|(_, route)| route.as_ref());
        let document = route.and_then(|route| route.policy.document());
        document.map(Document::warnings).unwrap_or_default().iter().map(ToString::to_string).collect()
    }
}

fn policy<'s>(settings: &'s Settings, api_id: Option<&Id>) -> Option<&'s Policy> {
    match api_id {
        Some(id) => settings.apis.get(id)?.value.policy.as_ref(),
        None => settings.policy.as_ref().map(|stored| &*stored.value),
    }
}

/// Returns the new value of the API's record, or of the global policy's; None removes the record.
fn with_policy(
    settings: &Settings,
    api_id: Option<&Id>,
    policy: Option<Policy>,
) -> Result<Option<ItemValue>, ChangeError> {
    match api_id {
        None => Ok(policy.map(ItemValue::Policy)),
        Some(id) => {
            let api = settings.apis.get(id).ok_or(ChangeError::Absent)?;
            Ok(Some(ItemValue::Api(Api { policy, ..Api::clone(&api.value) })))
        }
    }
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
fn requested_format(head: &Parts) -> Result<Format, ApiError> {
    match listing::parameter(head.uri.query(), "format").as_deref() {
        None | Some("xml") => Ok(Format::Xml),
        Some("rawxml") => Ok(Format::RawXml),
        Some(_) => Err(ApiError::validation("format", "The format must be xml or rawxml.")),
    }
}

fn not_found(api_id: Option<&Id>) -> ApiError {
    ApiError::not_found(match api_id {
        Some(id) => format!("The API '{id}' has no policy."),
        None => "There is no global policy.".to_owned(),
    })
}

fn item_change(
    api_id: Option<Id>,
    audit: Audit,
    condition: Precondition,
) -> ItemChange<impl Fn(&Settings) -> Option<Revision>> {
    let (item, name) = match &api_id {
        Some(id) => (Item::Api(id.clone()), format!("the policy of the API '{id}'")),
        None => (Item::Policy, "the global policy".to_owned()),
    };
    let tag = move |settings: &Settings| policy(settings, api_id.as_ref()).map(|policy| policy.tag);
    ItemChange { item, name, audit, condition, must_exist: false, tag }
}

fn id_or_empty(api_id: Option<&Id>) -> &str {
    api_id.map_or("", |id| id)
}
