//! API resources. Routes of the configuration file are listed as read-only APIs.

use std::{collections::HashSet, sync::Arc};

use axum::body::Body;
use http::StatusCode;
use serde_json::{Value as Json, json};

use super::{
    ApiError,
    api_input::ApiInput,
    filter::FilterFields,
    listing::ListQuery,
    path::{self, ResourcePath},
    request::{FromPath, RequestContext},
    resource::{Collection, Resource},
    settings_item::SettingsItem,
};
use crate::{
    serve::Route,
    store::{Api, ChangeError, Id, Item, ItemValue, Revision, Settings},
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

impl ApiResource {
    /// Returns the API in the store, or the route of the configuration file.
    pub(super) fn lookup(&self, context: &RequestContext) -> Result<ApiValue, ApiError> {
        let Self(id) = self;
        if let Some(stored) = self.value(&context.settings()) {
            return Ok(stored);
        }
        let routing = context.routing.load();
        let route = file_ids(&routing.file.routes).find(|(known, _)| **known == **id);
        // Not changed through this API, so the tag is constant.
        let route = route.map(|(_, route)| ApiValue { properties: file_properties(route), tag: 0 });
        route.ok_or_else(|| ApiError::not_found(format!("The API '{id}' was not found.")))
    }
}

impl FromPath for ApiResource {
    fn from_path(path: &ResourcePath) -> Result<Self, ApiError> {
        path.optional_api_id()?.map(Self).ok_or_else(path::unknown)
    }
}

impl Resource for ApiResource {
    const KIND: &'static str = "api";
    const NOUN: &'static str = "API";
    // Some clients accept no other status for a completed deletion.
    const DELETED: StatusCode = StatusCode::NO_CONTENT;

    type Input = ApiInput;
    type Value = ApiValue;

    fn id(&self) -> &str {
        &self.0
    }

    fn title(&self) -> String {
        format!("the API '{}'", self.0)
    }

    fn check_change(&self, _: &RequestContext, _: bool) -> Result<(), ApiError> {
        check_is_not_file_route(&self.0)
    }

    async fn read(body: Body, is_whole: bool) -> Result<ApiInput, ApiError> {
        ApiInput::read(body, is_whole).await
    }

    async fn find(&self, context: &RequestContext, _: Option<&str>) -> Result<ApiValue, ApiError> {
        self.lookup(context)
    }

    fn tag(api: &ApiValue) -> Revision {
        api.tag
    }

    fn print(&self, context: &RequestContext, api: &ApiValue) -> Result<Json, ApiError> {
        Ok(context.resource("apis", &self.0, api.properties.clone()))
    }
}

impl SettingsItem for ApiResource {
    fn item(&self) -> Item {
        Item::Api(self.0.clone())
    }

    fn value(&self, settings: &Settings) -> Option<ApiValue> {
        let api = &settings.apis.get(&self.0)?.value;
        Some(ApiValue { properties: properties(api), tag: api.tag })
    }

    fn edit(
        &self,
        settings: &Settings,
        input: &ApiInput,
        is_whole: bool,
        tag: Revision,
    ) -> Result<ItemValue, ChangeError> {
        let current = settings.apis.get(&self.0).map(|stored| &*stored.value);
        Ok(ItemValue::Api(input.apply(&self.0, current, is_whole, tag)))
    }
}

impl Collection for ApiResource {
    const FIELDS: &'static FilterFields = &FilterFields {
        texts: &["name", "displayName", "description", "path", "serviceUrl"],
        has_expiration: false,
    };

    async fn page(context: &RequestContext, query: &ListQuery) -> Result<(Vec<Json>, usize), ApiError> {
        let (settings, routing) = (context.settings(), context.routing.load());
        let stored = settings.apis.iter().map(|(id, stored)| (id.to_string(), properties(&stored.value)));
        let file_routes = file_ids(&routing.file.routes).map(|(id, route)| (id, file_properties(route)));
        Ok(query.page(context, "apis", Self::FIELDS, stored.chain(file_routes)))
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
