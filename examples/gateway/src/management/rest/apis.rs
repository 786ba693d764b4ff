//! API resources. Routes of the configuration file are listed as read-only APIs.

use std::{collections::HashSet, sync::Arc};

use http::StatusCode;
use serde_json::{Value as Json, json};

use super::{
    ApiError,
    api_input::ApiInput,
    filter::{FilterFields, FilterValues},
    listing::ListQuery,
    request::ApiRequest,
    resource::{ChangeRequest, Collection, EditResult, Resource},
};
use crate::{
    routing::Route,
    store::{Api, Id, Item, Revision, Settings, Versioned},
};

/// Prefix of the ids of the configuration file's routes.
const FILE_ROUTE_PREFIX: &str = "file!";

/// An API.
pub(super) struct ApiResource(pub(super) Id);

/// Printed properties of an API, and its tag.
pub(super) struct ApiValue {
    properties: Json,
    tag: Revision,
}

impl Resource for ApiResource {
    const NOUN: &'static str = "API";
    // Some clients accept no other status for a completed deletion.
    const DELETED: StatusCode = StatusCode::NO_CONTENT;

    type Input = ApiInput;
    type Value = ApiValue;

    fn new(id: Option<Id>) -> Option<Self> {
        id.map(Self)
    }

    fn item(&self) -> Item {
        Item::Api(self.0.clone())
    }

    fn value(&self, settings: &Settings) -> Option<ApiValue> {
        settings.apis.get(&self.0).map(|stored| ApiValue::new(&stored.value))
    }

    fn tag(api: &ApiValue) -> Revision {
        api.tag
    }

    fn print(request: &ApiRequest, id: &str, api: &ApiValue) -> Result<Json, ApiError> {
        Ok(request.resource(&format!("/apis/{id}"), "apis", id, api.properties.clone()))
    }

    async fn read(&self, change: &ChangeRequest, body: &[u8]) -> Result<ApiInput, ApiError> {
        ApiInput::read(body, change.is_whole)
    }

    fn put(&self, change: &ChangeRequest, input: &ApiInput, settings: &mut Settings) -> EditResult {
        let current = settings.apis.get(&self.0).map(|stored| &*stored.value);
        let api = input.apply(&self.0, current, change.is_whole, settings.revision);
        settings.apis.insert(self.0.clone(), Versioned::new(settings.revision, api));
        Ok(())
    }

    fn remove(&self, settings: &mut Settings) -> EditResult {
        settings.apis.remove(&self.0);
        Ok(())
    }

    /// Returns the API in the store, or the route of the configuration file.
    fn find(&self, request: &ApiRequest) -> Result<ApiValue, ApiError> {
        let Self(id) = self;
        if let Some(api) = self.value(&request.settings()) {
            return Ok(api);
        }
        let routing = request.routing.load();
        let route = file_ids(&routing.file.routes).find(|(known, _)| **known == **id);
        let route = route.map(|(_, route)| ApiValue::of_file(route));
        route.ok_or_else(|| ApiError::not_found(format!("The API '{id}' was not found.")))
    }

    fn check_change(&self, _: &ApiRequest, _: bool) -> Result<(), ApiError> {
        check_is_not_file_route(&self.0)
    }
}

impl Collection for ApiResource {
    const FIELDS: &'static FilterFields = &FilterFields {
        texts: &["name", "displayName", "description", "path", "serviceUrl"],
        has_expiration: false,
    };

    fn all(request: &ApiRequest, _: &ListQuery) -> Vec<(String, ApiValue)> {
        let (settings, routing) = (request.settings(), request.routing.load());
        let stored = settings.apis.iter().map(|(id, stored)| (id.to_string(), ApiValue::new(&stored.value)));
        let file_routes = file_ids(&routing.file.routes).map(|(id, route)| (id, ApiValue::of_file(route)));
        stored.chain(file_routes).collect()
    }

    fn filter_values(id: &str, api: &ApiValue) -> FilterValues {
        let text = |name: &&str| match *name {
            "name" => id.to_owned(),
            name => api.properties[name].as_str().unwrap_or_default().to_owned(),
        };
        FilterValues { texts: Self::FIELDS.texts.iter().map(text).collect(), expiration: None }
    }
}

impl ApiValue {
    fn new(api: &Api) -> Self {
        Self { properties: properties(api), tag: api.tag }
    }

    /// Describes a route of the configuration file. It is not changed through this API, so the tag is constant.
    fn of_file(route: &Route) -> Self {
        Self { properties: file_properties(route), tag: 0 }
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
fn file_ids(routes: &[Arc<Route>]) -> impl Iterator<Item = (String, &Route)> {
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
