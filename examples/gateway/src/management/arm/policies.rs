//! Policy documents as resources: each API's, and the one that stands above all of them.

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
    ApiRequest, Problem, apis,
    audit::Audit,
    body::{self, Names},
    change::Change,
    etag, listing, tagged,
};
use crate::store::{Api, ChangeError, Id, Item, ItemValue, Policy, Precondition, Revision, Settings};

static NAMES: Names = Names { known: &["format", "value"], idle: &["warnings"] };

#[derive(Deserialize)]
struct Properties {
    format: Option<String>,
    value: Option<String>,
}

impl ApiRequest {
    pub(super) fn list_policies(&self, of: Option<&Id>, head: &Parts) -> Result<Response, Problem> {
        self.check_api(of)?;
        let found = match self.find_policy(of) {
            Ok(policy) => vec![self.policy_resource(of, &policy, wanted_format(head)?)?],
            Err(_) => Vec::new(),
        };
        Ok(Json(json!({ "count": found.len(), "value": found })).into_response())
    }

    pub(super) fn policy(&self, of: Option<&Id>, head: &Parts) -> Result<Response, Problem> {
        let policy = self.find_policy(of)?;
        Ok(tagged(StatusCode::OK, policy.tag, self.policy_resource(of, &policy, wanted_format(head)?)?))
    }

    pub(super) async fn put_policy(
        self,
        of: Option<Id>,
        head: &Parts,
        body: Body,
    ) -> Result<Response, Problem> {
        let condition = etag::condition_to_put(&head.headers)?;
        let audit = Audit::new("put", "policy", head, id_of(of.as_ref()));
        let is_there = of.as_ref().map_or(Ok(()), apis::refuse_file_route);
        let read = match is_there.and_then(|()| self.check_api(of.as_ref())) {
            Ok(()) => body::properties::<Properties>(body, &NAMES, false).await.and_then(read),
            Err(problem) => Err(problem),
        };
        let (format, text) = read.inspect_err(|problem| audit.refused(problem))?;
        let (made, shown) = (of.clone(), of.clone());
        let edit = move |settings: &Settings, tag| {
            let policy = Policy::new(format, text.clone(), tag);
            with_policy(settings, made.as_ref(), Some(policy))?.ok_or(ChangeError::Absent)
        };
        let resource = move |asked: &Self, settings: &Settings| {
            let of = shown.as_ref();
            asked.policy_resource(of, policy(settings, of).ok_or_else(|| absent(of))?, format)
        };
        change(of, audit, condition).make(self, edit, resource).await
    }

    pub(super) async fn delete_policy(self, of: Option<Id>, head: &Parts) -> Result<Response, Problem> {
        let condition = etag::condition_to_delete(&head.headers, "policy")?;
        let audit = Audit::new("delete", "policy", head, id_of(of.as_ref()));
        of.as_ref().map_or(Ok(()), apis::refuse_file_route).inspect_err(|problem| audit.refused(problem))?;
        let removed = of.clone();
        let edit = move |settings: &Settings| with_policy(settings, removed.as_ref(), None);
        change(of, audit, condition).remove(self, edit, StatusCode::OK).await
    }

    fn find_policy(&self, of: Option<&Id>) -> Result<Policy, Problem> {
        self.check_api(of)?;
        policy(&self.apis.settings(), of).cloned().ok_or_else(|| absent(of))
    }

    /// There is no policy where there is no API. Those of the file's routes are not told here.
    fn check_api(&self, of: Option<&Id>) -> Result<(), Problem> {
        match of {
            Some(id) if !self.apis.settings().apis.contains_key(id) => self.api(id).map(drop),
            _ => Ok(()),
        }
    }

    fn policy_resource(
        &self,
        of: Option<&Id>,
        policy: &Policy,
        wanted: Format,
    ) -> Result<JsonValue, Problem> {
        let value = policy.format().convert(&policy.value, wanted).map_err(|errors| {
            let message =
                format!("The policy cannot be written in this format; ask for the other one: {errors}");
            Problem::validation("format", message)
        })?;
        let format = if wanted == Format::Xml { "xml" } else { "rawxml" };
        let mut properties = json!({ "format": format, "value": value });
        let warnings = self.warnings(of);
        if !warnings.is_empty() {
            // More than Azure tells.
            properties["warnings"] = warnings.into();
        }
        let (path, kind) = match of {
            Some(id) => (format!("/apis/{id}/policies/policy"), "apis/policies"),
            None => ("/policies/policy".to_owned(), "policies"),
        };
        Ok(self.named(&path, kind, "policy", properties))
    }

    /// What is odd about an API's policy, as it serves.
    fn warnings(&self, of: Option<&Id>) -> Vec<String> {
        let site = self.site.load();
        let route = of.and_then(|id| site.apis.routes.get(id)).and_then(|(_, route)| route.as_ref());
        let document = route.and_then(|route| route.guard.document());
        document.map(Document::warnings).unwrap_or_default().iter().map(ToString::to_string).collect()
    }
}

fn policy<'s>(settings: &'s Settings, of: Option<&Id>) -> Option<&'s Policy> {
    match of {
        Some(id) => settings.apis.get(id)?.value.policy.as_ref(),
        None => settings.policy.as_ref().map(|stored| &*stored.value),
    }
}

/// What is written down of the API, or of the policy itself; None: nothing any more.
fn with_policy(
    settings: &Settings,
    of: Option<&Id>,
    policy: Option<Policy>,
) -> Result<Option<ItemValue>, ChangeError> {
    match of {
        None => Ok(policy.map(ItemValue::Policy)),
        Some(id) => {
            let api = settings.apis.get(id).ok_or(ChangeError::Absent)?;
            Ok(Some(ItemValue::Api(Api { policy, ..Api::clone(&api.value) })))
        }
    }
}

fn read(properties: Properties) -> Result<(Format, String), Problem> {
    let format = match properties.format.as_deref() {
        None | Some("xml") => Format::Xml,
        Some("rawxml") => Format::RawXml,
        Some("xml-link" | "rawxml-link") => {
            let message = "Links are not followed here: send the document itself, as xml or rawxml.";
            return Err(Problem::validation("format", message));
        }
        Some(other) => {
            return Err(Problem::validation(
                "format",
                format!("The format {other:?} is neither xml nor rawxml."),
            ));
        }
    };
    let value = properties.value.filter(|value| !value.trim().is_empty());
    let value =
        value.ok_or_else(|| Problem::validation("value", "properties.value is missing: the document."))?;
    if format == Format::Xml {
        refuse_raw(&value)?;
    }
    Ok((format, value))
}

/// Says so if a document is in the other format than it is said to be.
fn refuse_raw(value: &str) -> Result<(), Problem> {
    let Err(errors) = Format::Xml.convert(value, Format::Xml) else { return Ok(()) };
    if Format::RawXml.convert(value, Format::RawXml).is_err() {
        return Ok(());
    }
    let what = errors
        .iter()
        .next()
        .map(|error| format!("line {}, column {}: {}", error.line(), error.column(), error.message()));
    let message = format!(
        "The document is rawxml: its expressions are not escaped. Send the format rawxml with it. As xml: {}.",
        what.unwrap_or_default()
    );
    Err(Problem::validation("format", message))
}

/// In which format the document is asked for.
fn wanted_format(head: &Parts) -> Result<Format, Problem> {
    match listing::parameter(head.uri.query(), "format").as_deref() {
        None | Some("xml") => Ok(Format::Xml),
        Some("rawxml") => Ok(Format::RawXml),
        Some(_) => Err(Problem::validation("format", "format is xml or rawxml.")),
    }
}

fn absent(of: Option<&Id>) -> Problem {
    Problem::not_found(match of {
        Some(id) => format!("The API '{id}' has no policy."),
        None => "There is no policy of all APIs.".to_owned(),
    })
}

fn change(
    of: Option<Id>,
    audit: Audit,
    condition: Precondition,
) -> Change<impl Fn(&Settings) -> Option<Revision>> {
    let (item, what) = match &of {
        Some(id) => (Item::Api(id.clone()), format!("the policy of the API '{id}'")),
        None => (Item::Policy, "the policy of all APIs".to_owned()),
    };
    let tag = move |settings: &Settings| policy(settings, of.as_ref()).map(|policy| policy.tag);
    Change { item, what, audit, condition, must_exist: false, tag }
}

fn id_of(of: Option<&Id>) -> &str {
    of.map_or("", |id| id)
}
