//! Backend resources.

use axum::{body::Body, response::Response};
use http::{StatusCode, request::Parts};
use serde::Deserialize;
use serde_json::{Value as Json, json};
use tower_mtls::certificate::Thumbprint;

use super::{
    ApiError, ApiRequest,
    audit::Audit,
    body::{self, PropertyNames},
    etag,
    filter::{FilterFields, FilterValues},
    item_change::ItemChange,
    listing::ListQuery,
    resource_path::{Resource, ResourcePath},
    with_etag,
};
use crate::store::{Backend, Credential, Id, Item, ItemValue, Precondition, Revision, Settings};

static FIELDS: FilterFields = FilterFields { texts: &["name", "title", "url"], has_expiration: false };

static NAMES: PropertyNames = PropertyNames {
    known: &[
        "url",
        "protocol",
        "title",
        "description",
        "tls",
        "tls.validateCertificateChain",
        "tls.validateCertificateName",
        "credentials",
        "credentials.certificateIds",
        "credentials.certificate",
        "credentials.query",
        "credentials.header",
        "credentials.authorization",
        "proxy",
        "circuitBreaker",
        "pool",
        "type",
        "properties",
    ],
    ignored: &["resourceId"],
};

/// Properties of a backend in a request. Properties without effect are rejected.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct BackendProperties {
    url: Option<String>,
    protocol: Option<String>,
    title: Option<String>,
    description: Option<String>,
    tls: Option<BackendTls>,
    credentials: Option<BackendCredentials>,
    proxy: Option<Json>,
    circuit_breaker: Option<Json>,
    pool: Option<Json>,
    r#type: Option<String>,
    properties: Option<Json>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct BackendTls {
    validate_certificate_chain: Option<bool>,
    validate_certificate_name: Option<bool>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct BackendCredentials {
    #[serde(default)]
    certificate_ids: Option<Vec<String>>,
    #[serde(default)]
    certificate: Option<Vec<String>>,
    query: Option<Json>,
    header: Option<Json>,
    authorization: Option<Json>,
}

impl ApiRequest {
    pub(super) fn list_backends(&self, head: &Parts) -> Result<Response, ApiError> {
        let query = ListQuery::parse(head.uri.query(), &FIELDS)?;
        let settings = self.apis.settings();
        let all = settings.backends.iter().map(|(id, stored)| {
            let backend = &stored.value;
            let texts = vec![id.to_string(), backend.title.clone().unwrap_or_default(), backend.url.clone()];
            (FilterValues { texts, expiration: None }, self.backend_resource(id, backend))
        });
        let (value, count) = query.page(all);
        Ok(self.page(head.uri.path(), &query, value, count))
    }

    pub(super) fn backend(&self, id: &Id) -> Result<Response, ApiError> {
        let settings = self.apis.settings();
        let stored = settings.backends.get(id).ok_or_else(|| not_found(id))?;
        Ok(with_etag(StatusCode::OK, stored.value.tag, self.backend_resource(id, &stored.value)))
    }

    pub(super) async fn put_backend(self, id: Id, head: &Parts, body: Body) -> Result<Response, ApiError> {
        let condition = etag::precondition_of_put(&head.headers)?;
        self.change_backend(id, "put", condition, true, head, body).await
    }

    pub(super) async fn patch_backend(self, id: Id, head: &Parts, body: Body) -> Result<Response, ApiError> {
        let condition = etag::required_if_match(&head.headers, "backend")?;
        self.change_backend(id, "patch", condition, false, head, body).await
    }

    async fn change_backend(
        self,
        id: Id,
        action: &'static str,
        condition: Precondition,
        is_whole: bool,
        head: &Parts,
        body: Body,
    ) -> Result<Response, ApiError> {
        let audit = Audit::new(action, "backend", head, &id);
        let read = body::properties::<BackendProperties>(body, &NAMES, !is_whole).await;
        let input = read.and_then(|properties| BackendInput::read(properties, is_whole));
        let input = input.inspect_err(|error| audit.rejected(error))?;
        let (edited_id, result_id) = (id.clone(), id.clone());
        let edit = move |settings: &Settings, tag| {
            let current = settings.backends.get(&edited_id).map(|stored| &*stored.value);
            Ok(ItemValue::Backend(input.apply(current.filter(|_| !is_whole), tag)))
        };
        let resource = move |request: &Self, settings: &Settings| {
            let stored = settings.backends.get(&result_id).ok_or_else(|| not_found(&result_id))?;
            stored.value.warn_of_danger(&result_id);
            Ok(request.backend_resource(&result_id, &stored.value))
        };
        item_change(id, audit, condition, !is_whole).put(self, edit, resource).await
    }

    pub(super) async fn delete_backend(self, id: Id, head: &Parts) -> Result<Response, ApiError> {
        let condition = etag::required_if_match(&head.headers, "backend")?;
        let audit = Audit::new("delete", "backend", head, &id);
        item_change(id, audit, condition, true).remove(self, |_| Ok(None), StatusCode::OK).await
    }

    fn backend_resource(&self, id: &Id, backend: &Backend) -> Json {
        let mut properties = json!({
            "url": backend.url,
            "protocol": "http",
            "tls": {
                "validateCertificateChain": backend.validates_chain,
                "validateCertificateName": backend.validates_name,
            },
        });
        for (name, text) in [("title", &backend.title), ("description", &backend.description)] {
            if let Some(text) = text {
                properties[name] = text.as_str().into();
            }
        }
        match &backend.credential {
            Some(Credential::Id(id)) => properties["credentials"] = json!({ "certificateIds": [id] }),
            Some(Credential::Thumbprint(thumbprint)) => {
                properties["credentials"] = json!({ "certificate": [thumbprint] });
            }
            None => {}
        }
        self.resource_json(&format!("/backends/{id}"), "backends", id, properties)
    }
}

/// Validated properties of a backend; None: not in the request.
struct BackendInput {
    url: Option<String>,
    title: Option<String>,
    description: Option<String>,
    validates_chain: Option<bool>,
    validates_name: Option<bool>,
    credential: Option<Option<Credential>>,
}

impl BackendInput {
    fn read(properties: BackendProperties, is_whole: bool) -> Result<Self, ApiError> {
        let mut details = Vec::new();
        if is_whole && properties.url.is_none() {
            details.push(("url", "url is missing.".to_owned()));
        }
        let is_set = |value: &Option<Json>| {
            value.as_ref().is_some_and(|value| match value {
                Json::Object(parts) => parts.values().any(|part| !part.is_null()),
                Json::Array(items) => !items.is_empty(),
                other => !other.is_null(),
            })
        };
        for (name, value) in [
            ("proxy", &properties.proxy),
            ("circuitBreaker", &properties.circuit_breaker),
            ("pool", &properties.pool),
            ("properties", &properties.properties),
        ] {
            if is_set(value) {
                details.push((name, format!("{name} is not supported; remove it.")));
            }
        }
        if properties.r#type.as_deref().is_some_and(|kind| kind != "Single") {
            details.push(("type", "Only the backend type Single is supported.".to_owned()));
        }
        if properties.protocol.as_deref().is_some_and(|protocol| protocol != "http") {
            details.push(("protocol", "The protocol must be http, which includes https.".to_owned()));
        }
        for (name, text, max) in [
            ("url", &properties.url, 2000),
            ("title", &properties.title, 300),
            ("description", &properties.description, 2000),
        ] {
            if text.as_ref().is_some_and(|text| text.chars().count() > max) {
                details.push((name, format!("{name} is longer than {max} characters.")));
            }
        }
        let credential = properties.credentials.map(|credentials| {
            let others = [&credentials.query, &credentials.header, &credentials.authorization];
            if others.into_iter().any(is_set) {
                let problem = "Only certificateIds and certificate are supported in credentials; set headers in a \
                               policy.";
                details.push(("credentials", problem.to_owned()));
            }
            credential(&credentials).unwrap_or_else(|problem| {
                details.push(("credentials", problem));
                None
            })
        });
        if !details.is_empty() {
            return Err(ApiError::invalid(details));
        }
        let tls = properties.tls;
        Ok(Self {
            url: properties.url,
            title: properties.title,
            description: properties.description,
            validates_chain: tls.as_ref().and_then(|tls| tls.validate_certificate_chain),
            validates_name: tls.as_ref().and_then(|tls| tls.validate_certificate_name),
            credential,
        })
    }

    /// Builds the backend; values that are not in the request are those of `base`.
    fn apply(&self, base: Option<&Backend>, tag: u64) -> Backend {
        let or_base = |value: &Option<String>, base: Option<&String>| value.clone().or_else(|| base.cloned());
        Backend {
            url: or_base(&self.url, base.map(|base| &base.url)).unwrap_or_default(),
            title: or_base(&self.title, base.and_then(|base| base.title.as_ref())),
            description: or_base(&self.description, base.and_then(|base| base.description.as_ref())),
            validates_chain: self
                .validates_chain
                .or_else(|| base.map(|base| base.validates_chain))
                .unwrap_or(true),
            validates_name: self
                .validates_name
                .or_else(|| base.map(|base| base.validates_name))
                .unwrap_or(true),
            credential: match &self.credential {
                Some(credential) => credential.clone(),
                None => base.and_then(|base| base.credential.clone()),
            },
            tag,
        }
    }
}

/// Returns the referenced certificate. Ids take precedence over thumbprints, as in Azure.
fn credential(credentials: &BackendCredentials) -> Result<Option<Credential>, String> {
    let list = |list: &Option<Vec<String>>| list.clone().unwrap_or_default();
    let (ids, thumbprints) = (list(&credentials.certificate_ids), list(&credentials.certificate));
    match (&ids[..], &thumbprints[..]) {
        ([], []) => Ok(None),
        ([id], _) => Ok(Some(Credential::Id(certificate_id(id)?))),
        ([], [thumbprint]) => match thumbprint.parse::<Thumbprint>() {
            Ok(Thumbprint::Sha1(_)) => Ok(Some(Credential::Thumbprint(thumbprint.clone()))),
            _ => Err(format!("{thumbprint:?} is not a SHA-1 thumbprint of 40 hex digits.")),
        },
        _ => Err("Only one certificate can be presented to a backend.".to_owned()),
    }
}

/// Parses the id of a certificate, or its full resource path.
fn certificate_id(text: &str) -> Result<String, String> {
    if !text.starts_with("/subscriptions/") {
        return Ok(text.to_owned());
    }
    match ResourcePath::parse(text).map(|path| path.resource) {
        Ok(Resource::Certificate(id)) => Ok(id.to_string()),
        _ => Err(format!("{text:?} is not the resource path of a certificate.")),
    }
}

fn not_found(id: &Id) -> ApiError {
    ApiError::not_found(format!("The backend '{id}' was not found."))
}

fn item_change(
    id: Id,
    audit: Audit,
    condition: Precondition,
    must_exist: bool,
) -> ItemChange<impl Fn(&Settings) -> Option<Revision>> {
    let (item, name) = (Item::Backend(id.clone()), format!("the Backend '{id}'"));
    let tag = move |settings: &Settings| settings.backends.get(&id).map(|stored| stored.value.tag);
    ItemChange { item, name, audit, condition, must_exist, tag }
}
