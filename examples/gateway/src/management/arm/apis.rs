//! API resources. Routes of the configuration file are listed as read-only APIs.

mod input;

use std::collections::HashSet;

use axum::{body::Body, response::Response};
use http::{StatusCode, request::Parts};
use serde_json::{Value as Json, json};

use self::input::{ApiInput, ApiProperties, NAMES};
use super::{
    ApiError, ApiRequest,
    audit::Audit,
    body, etag,
    filter::{FilterFields, FilterValues},
    item_change::ItemChange,
    listing::ListQuery,
    with_etag,
};
use crate::{
    routing::Route,
    store::{Api, Id, Item, ItemValue, Precondition, Revision, Settings},
};

static FIELDS: FilterFields = FilterFields {
    texts: &["name", "displayName", "description", "path", "serviceUrl"],
    has_expiration: false,
};

/// Prefix of the ids of the configuration file's routes.
const FILE_ROUTE_PREFIX: &str = "file!";

impl ApiRequest {
    pub(super) fn list_apis(&self, head: &Parts) -> Result<Response, ApiError> {
        let query = ListQuery::parse(head.uri.query(), &FIELDS)?;
        let (settings, routing) = (self.apis.settings(), self.routing.load());
        let file_routes = file_ids(&routing.file.routes).map(|(id, route)| (id, file_properties(route)));
        let stored = settings.apis.iter().map(|(id, stored)| (id.to_string(), properties(&stored.value)));
        let all = stored.chain(file_routes).map(|(id, properties)| {
            let text = |name: &str| properties[name].as_str().unwrap_or_default().to_owned();
            let texts = FIELDS.texts.iter().map(|name| if *name == "name" { id.clone() } else { text(name) });
            (FilterValues { texts: texts.collect(), expiration: None }, self.api_resource(&id, properties))
        });
        let (value, count) = query.page(all);
        Ok(self.page(head.uri.path(), &query, value, count))
    }

    pub(super) fn api(&self, id: &Id) -> Result<Response, ApiError> {
        if let Some(stored) = self.apis.settings().apis.get(id) {
            let resource = self.api_resource(id, properties(&stored.value));
            return Ok(with_etag(StatusCode::OK, stored.value.tag, resource));
        }
        let routing = self.routing.load();
        let route = file_ids(&routing.file.routes).find(|(known, _)| **known == **id);
        let (_, route) = route.ok_or_else(|| not_found(id))?;
        // Not changed through this API, so the tag is constant.
        Ok(with_etag(StatusCode::OK, 0, self.api_resource(id, file_properties(route))))
    }

    pub(super) async fn put_api(self, id: Id, head: &Parts, body: Body) -> Result<Response, ApiError> {
        let condition = etag::precondition_of_put(&head.headers)?;
        self.change_api(id, "put", condition, true, head, body).await
    }

    pub(super) async fn patch_api(self, id: Id, head: &Parts, body: Body) -> Result<Response, ApiError> {
        let condition = etag::required_if_match(&head.headers, "API")?;
        self.change_api(id, "patch", condition, false, head, body).await
    }

    /// Creates or replaces an API, or, if not `is_whole`, updates the properties in the request.
    async fn change_api(
        self,
        id: Id,
        action: &'static str,
        condition: Precondition,
        is_whole: bool,
        head: &Parts,
        body: Body,
    ) -> Result<Response, ApiError> {
        let audit = Audit::new(action, "api", head, &id);
        let input = match check_is_not_file_route(&id) {
            Ok(()) => {
                let read = body::properties::<ApiProperties>(body, &NAMES, !is_whole).await;
                read.and_then(|properties| ApiInput::read(properties, is_whole))
            }
            Err(problem) => Err(problem),
        };
        let input = input.inspect_err(|error| audit.rejected(error))?;
        let (edited_id, result_id) = (id.clone(), id.clone());
        let edit = move |settings: &Settings, tag| {
            let current = settings.apis.get(&edited_id).map(|stored| &*stored.value);
            Ok(ItemValue::Api(input.apply(&edited_id, current, is_whole, tag)))
        };
        let resource = move |request: &Self, settings: &Settings| {
            let stored = settings.apis.get(&result_id).ok_or_else(|| not_found(&result_id))?;
            Ok(request.api_resource(&result_id, properties(&stored.value)))
        };
        item_change(id, audit, condition, !is_whole).put(self, edit, resource).await
    }

    pub(super) async fn delete_api(self, id: Id, head: &Parts) -> Result<Response, ApiError> {
        let condition = etag::required_if_match(&head.headers, "API")?;
        let audit = Audit::new("delete", "api", head, &id);
        check_is_not_file_route(&id).inspect_err(|error| audit.rejected(error))?;
        // Some clients accept no other status for a completed deletion.
        item_change(id, audit, condition, true).remove(self, |_| Ok(None), StatusCode::NO_CONTENT).await
    }

    fn api_resource(&self, id: &str, properties: Json) -> Json {
        self.resource_json(&format!("/apis/{id}"), "apis", id, properties)
    }
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
        "description": "A route of the configuration file (read-only).",
        "path": facts.path.trim_start_matches('/'),
        "serviceUrl": facts.url,
        "protocols": ["https"],
        "apiRevision": "1",
        "isCurrent": true,
        "subscriptionRequired": false,
        // Not in Azure's API.
        "readOnly": true,
    });
    if let Some(host) = &facts.host {
        properties["host"] = host.as_str().into();
    }
    properties
}

/// Returns the configuration file's routes with their ids as APIs.
fn file_ids(routes: &[std::sync::Arc<Route>]) -> impl Iterator<Item = (String, &Route)> {
    let mut used = HashSet::new();
    routes.iter().enumerate().map(move |(at, route)| {
        let host = route.facts.host.as_deref().unwrap_or_default();
        let path = format!("{FILE_ROUTE_PREFIX}{host}{}", route.facts.path).replace([':', '/'], "!");
        let id = path.trim_end_matches('!').to_owned();
        // Different paths can result in the same id.
        let id = if used.insert(id.clone()) { id } else { format!("{id}!{at}") };
        (id, &**route)
    })
}

pub(super) fn check_is_not_file_route(id: &Id) -> Result<(), ApiError> {
    // The id of the route `/` has no characters after the prefix.
    if id.starts_with(FILE_ROUTE_PREFIX) || **id == *FILE_ROUTE_PREFIX.trim_end_matches('!') {
        let message = format!("'{id}' is a route of the configuration file and is read-only here.");
        return Err(ApiError::new(StatusCode::CONFLICT, "Conflict", message));
    }
    Ok(())
}

pub(super) fn not_found(id: &Id) -> ApiError {
    ApiError::not_found(format!("The API '{id}' was not found."))
}

fn item_change(
    id: Id,
    audit: Audit,
    condition: Precondition,
    must_exist: bool,
) -> ItemChange<impl Fn(&Settings) -> Option<Revision>> {
    let (item, name) = (Item::Api(id.clone()), format!("the API '{id}'"));
    let tag = move |settings: &Settings| settings.apis.get(&id).map(|stored| stored.value.tag);
    ItemChange { item, name, audit, condition, must_exist, tag }
}
