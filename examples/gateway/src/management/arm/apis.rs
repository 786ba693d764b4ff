//! APIs as resources. The routes of the configuration file are among them, and cannot be changed here.

use std::collections::HashSet;

use axum::{body::Body, response::Response};
use http::{StatusCode, request::Parts};
use serde::{Deserialize, de::IgnoredAny};
use serde_json::{Value as Json, json};

use super::{
    ApiRequest, Problem,
    audit::Audit,
    body::{self, Names},
    change::Change,
    etag,
    filter::{Facts, Fields},
    listing::ListQuery,
    tagged,
};
use crate::{
    path,
    serve::Route,
    store::{Api, Id, Item, ItemValue, Precondition, Revision, Settings},
};

static FIELDS: Fields =
    Fields { texts: &["name", "displayName", "description", "path", "serviceUrl"], expire: false };

static NAMES: Names = Names {
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
    idle: &[
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
        // What is told of it and not said.
        "readOnly",
        "host",
    ],
};

/// How the ids of routes begin that come out of the configuration file.
const OF_FILE: &str = "file!";

/// What is said of an API. What is not known is left alone, as by Azure; what would not be enforced is refused.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Properties {
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

impl ApiRequest {
    pub(super) fn list_apis(&self, head: &Parts) -> Result<Response, Problem> {
        let wanted = ListQuery::parse(head.uri.query(), &FIELDS)?;
        let (settings, site) = (self.apis.settings(), self.site.load());
        let of_file = file_ids(&site.file.routes).map(|(id, route)| (id, file_properties(route)));
        let stored = settings.apis.iter().map(|(id, stored)| (id.to_string(), properties(&stored.value)));
        let all = stored.chain(of_file).map(|(id, properties)| {
            let text = |name: &str| properties[name].as_str().unwrap_or_default().to_owned();
            let texts = FIELDS.texts.iter().map(|name| if *name == "name" { id.clone() } else { text(name) });
            (Facts { texts: texts.collect(), expiration: None }, self.api_resource(&id, properties))
        });
        let (value, count) = wanted.of(all);
        Ok(self.page(head.uri.path(), &wanted, value, count))
    }

    pub(super) fn api(&self, id: &Id) -> Result<Response, Problem> {
        if let Some(stored) = self.apis.settings().apis.get(id) {
            let resource = self.api_resource(id, properties(&stored.value));
            return Ok(tagged(StatusCode::OK, stored.value.tag, resource));
        }
        let site = self.site.load();
        let route = file_ids(&site.file.routes).find(|(known, _)| **known == **id);
        let (_, route) = route.ok_or_else(|| absent(id))?;
        // It changes with the file only, and not by way of this.
        Ok(tagged(StatusCode::OK, 0, self.api_resource(id, file_properties(route))))
    }

    pub(super) async fn put_api(self, id: Id, head: &Parts, body: Body) -> Result<Response, Problem> {
        let condition = etag::condition_to_put(&head.headers)?;
        self.change_api(id, "put", condition, true, head, body).await
    }

    pub(super) async fn patch_api(self, id: Id, head: &Parts, body: Body) -> Result<Response, Problem> {
        let condition = etag::condition_to_delete(&head.headers, "API")?;
        self.change_api(id, "patch", condition, false, head, body).await
    }

    /// Makes an API of what is said, or, if the rest is not to be replaced, changes what is said of it.
    async fn change_api(
        self,
        id: Id,
        action: &'static str,
        condition: Precondition,
        is_whole: bool,
        head: &Parts,
        body: Body,
    ) -> Result<Response, Problem> {
        let audit = Audit::new(action, "api", head, &id);
        let said = match refuse_file_route(&id) {
            Ok(()) => {
                let read = body::properties::<Properties>(body, &NAMES, !is_whole).await;
                read.and_then(|properties| ApiInput::read(properties, is_whole))
            }
            Err(problem) => Err(problem),
        };
        let said = said.inspect_err(|problem| audit.refused(problem))?;
        let (made, shown) = (id.clone(), id.clone());
        let edit = move |settings: &Settings, tag| {
            let present = settings.apis.get(&made).map(|stored| &*stored.value);
            Ok(ItemValue::Api(said.api(&made, present, is_whole, tag)))
        };
        let resource = move |asked: &Self, settings: &Settings| {
            let stored = settings.apis.get(&shown).ok_or_else(|| absent(&shown))?;
            Ok(asked.api_resource(&shown, properties(&stored.value)))
        };
        change(id, audit, condition, !is_whole).make(self, edit, resource).await
    }

    pub(super) async fn delete_api(self, id: Id, head: &Parts) -> Result<Response, Problem> {
        let condition = etag::condition_to_delete(&head.headers, "API")?;
        let audit = Audit::new("delete", "api", head, &id);
        refuse_file_route(&id).inspect_err(|problem| audit.refused(problem))?;
        // Some clients take no other answer for the end of it.
        change(id, audit, condition, true).remove(self, |_| Ok(None), StatusCode::NO_CONTENT).await
    }

    fn api_resource(&self, id: &str, properties: Json) -> Json {
        self.named(&format!("/apis/{id}"), "apis", id, properties)
    }
}

/// What is said of an API, once it has been judged.
struct ApiInput {
    display_name: Option<String>,
    description: Option<String>,
    path: Option<String>,
    service_url: Option<String>,
    protocols: Option<Vec<String>>,
}

impl ApiInput {
    fn read(properties: Properties, is_whole: bool) -> Result<Self, Problem> {
        let mut details = Vec::new();
        refuse_unsupported(&properties, &mut details);
        if is_whole && properties.path.is_none() {
            details.push(("path", "path is missing: requests for it and below it are the API's.".into()));
        }
        if is_whole && properties.service_url.is_none() {
            let problem = "serviceUrl is missing: the URL of the backend. A policy may choose another one.";
            details.push(("serviceUrl", problem.into()));
        }
        let Properties { display_name, description, path, service_url, protocols, .. } = properties;
        for (name, text, most) in [
            ("displayName", &display_name, 300),
            ("description", &description, 2000),
            ("path", &path, 400),
            ("serviceUrl", &service_url, 2000),
        ] {
            if text.as_ref().is_some_and(|text| text.chars().count() > most) {
                details.push((name, format!("{name} is longer than {most} characters.")));
            }
        }
        let path = path.map(|path| match route_path(&path) {
            Ok(path) => path,
            Err(problem) => {
                details.push(("path", format!("The path {path:?} {problem}.")));
                path
            }
        });
        if let Some(protocols) = &protocols {
            if let Some(other) = protocols.iter().find(|known| !["http", "https"].contains(&known.as_str())) {
                details.push(("protocols", format!("The protocol {other:?} is not supported: write https.")));
            } else if !protocols.iter().any(|known| known == "https") {
                details.push((
                    "protocols",
                    "This gateway serves https only: write protocols [\"https\"].".into(),
                ));
            }
        }
        if details.is_empty() {
            Ok(Self { display_name, description, path, service_url, protocols })
        } else {
            Err(Problem::invalid(details))
        }
    }

    fn api(&self, id: &Id, present: Option<&Api>, is_whole: bool, tag: u64) -> Api {
        let kept = present.filter(|_| !is_whole);
        let said = |said: &Option<String>, kept: Option<&String>| said.clone().or_else(|| kept.cloned());
        Api {
            display_name: said(&self.display_name, kept.map(|kept| &kept.display_name))
                .unwrap_or_else(|| id.to_string()),
            description: said(&self.description, kept.and_then(|kept| kept.description.as_ref())),
            // What is whole has path and URL.
            path: said(&self.path, kept.map(|kept| &kept.path)).unwrap_or_default(),
            service_url: said(&self.service_url, kept.map(|kept| &kept.service_url)).unwrap_or_default(),
            protocols: self
                .protocols
                .clone()
                .or_else(|| kept.map(|kept| kept.protocols.clone()))
                .unwrap_or_else(|| vec!["https".to_owned()]),
            tag,
            policy: present.and_then(|present| present.policy.clone()),
        }
    }
}

/// Complains about what an API could demand, and nobody here would enforce.
fn refuse_unsupported(properties: &Properties, details: &mut Vec<(&'static str, String)>) {
    let mut refuse = |name, problem: &str| details.push((name, format!("{name}: {problem}")));
    if properties.subscription_required == Some(true) {
        refuse(
            "subscriptionRequired",
            "subscription keys are not checked here; say false, and demand certificates in the policy.",
        );
    }
    let asks = |settings: &Json| match settings {
        Json::Object(parts) => {
            parts.values().any(|part| !part.is_null() && part.as_array().is_none_or(|list| !list.is_empty()))
        }
        other => !other.is_null(),
    };
    if properties.authentication_settings.as_ref().is_some_and(asks) {
        refuse("authenticationSettings", "tokens are not checked here; leave it out.");
    }
    if properties.r#type.as_deref().is_some_and(|kind| kind != "http") {
        refuse("type", "only http is supported; it passes WebSocket and gRPC as well.");
    }
    if properties.api_revision.as_deref().is_some_and(|revision| revision != "1") {
        refuse("apiRevision", "an API has one revision here, which is 1.");
    }
    if properties.api_version.as_deref().is_some_and(|version| !version.is_empty())
        || properties.api_version_set_id.is_some()
        || properties.api_version_set.is_some()
    {
        refuse("apiVersion", "versions are not told apart here; put the version into the path.");
    }
    if properties.source_api_id.is_some() {
        refuse("sourceApiId", "APIs are not copied here.");
    }
    if properties.format.is_some() || properties.value.is_some() || properties.wsdl_selector.is_some() {
        refuse("value", "definitions are not imported: every path below the API's own is served.");
    }
}

/// The path as requests are matched, of one as Azure writes it: without a `/` at its start.
fn route_path(path: &str) -> Result<String, String> {
    let bare = path.strip_prefix('/').unwrap_or(path);
    let bare = bare.strip_suffix('/').unwrap_or(bare);
    let route = format!("/{bare}");
    let normal = path::normalise(&route).map_err(|error| error.to_string())?;
    if normal.has_empty_segments || bare.ends_with('/') {
        return Err("has an empty segment".into());
    }
    if bare.contains(['{', '}', '*']) {
        return Err("is no template: everything below it is the API's".into());
    }
    if normal.path != route || bare.contains(['?', '#']) {
        return Err(format!("is not the one spelling of a path, such as {}", normal.path));
    }
    Ok(route)
}

fn properties(api: &Api) -> Json {
    let mut properties = json!({
        "displayName": api.display_name,
        "path": api.path.trim_start_matches('/'),
        "serviceUrl": api.service_url,
        "protocols": api.protocols,
        "apiRevision": "1",
        "isCurrent": true,
        "subscriptionRequired": false,
        "provisioningState": "Succeeded",
    });
    if let Some(description) = &api.description {
        properties["description"] = description.as_str().into();
    }
    properties
}

fn file_properties(route: &Route) -> Json {
    let facts = &route.facts;
    let host = facts.host.as_deref().unwrap_or_default();
    let mut properties = json!({
        "displayName": format!("{host}{}", facts.path),
        "description": "A route of the configuration file, which is changed there.",
        "path": facts.path.trim_start_matches('/'),
        "serviceUrl": facts.url,
        "protocols": ["https"],
        "apiRevision": "1",
        "isCurrent": true,
        "subscriptionRequired": false,
        // More than Azure tells.
        "readOnly": true,
    });
    if let Some(host) = &facts.host {
        properties["host"] = host.as_str().into();
    }
    properties
}

/// The routes of the file with the ids that they have as APIs.
fn file_ids(routes: &[std::sync::Arc<Route>]) -> impl Iterator<Item = (String, &Route)> {
    let mut taken = HashSet::new();
    routes.iter().enumerate().map(move |(at, route)| {
        let host = route.facts.host.as_deref().unwrap_or_default();
        let path = format!("{OF_FILE}{host}{}", route.facts.path).replace([':', '/'], "!");
        let id = path.trim_end_matches('!').to_owned();
        // Two paths may differ in nothing else.
        let id = if taken.insert(id.clone()) { id } else { format!("{id}!{at}") };
        (id, &**route)
    })
}

pub(super) fn refuse_file_route(id: &Id) -> Result<(), Problem> {
    // The root's own id ends with nothing.
    if id.starts_with(OF_FILE) || **id == *OF_FILE.trim_end_matches('!') {
        let message = format!("'{id}' is a route of the configuration file: it is changed there, not here.");
        return Err(Problem::new(StatusCode::CONFLICT, "Conflict", message));
    }
    Ok(())
}

pub(super) fn absent(id: &Id) -> Problem {
    Problem::not_found(format!("There is no API '{id}'."))
}

fn change(
    id: Id,
    audit: Audit,
    condition: Precondition,
    must_exist: bool,
) -> Change<impl Fn(&Settings) -> Option<Revision>> {
    let (item, what) = (Item::Api(id.clone()), format!("the API '{id}'"));
    let tag = move |settings: &Settings| settings.apis.get(&id).map(|stored| stored.value.tag);
    Change { item, what, audit, condition, must_exist, tag }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_taken_as_azure_writes_it_and_in_one_spelling_only() {
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
