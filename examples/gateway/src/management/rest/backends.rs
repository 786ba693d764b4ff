//! Backend resources.

use std::sync::Arc;

use serde::Deserialize;
use serde_json::{Value as Json, json};
use tower_mtls::certificate::Thumbprint;

use super::{
    ApiError,
    filter::{FilterFields, FilterValues},
    listing::ListQuery,
    path::{CERTIFICATE_ROUTE, ResourcePath},
    properties::{self, PropertyNames},
    request::ApiRequest,
    resource::{ChangeRequest, Collection, EditResult, Resource},
};
use crate::store::{Backend, Credential, Id, Item, Revision, Settings, Versioned};

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

/// Properties of a backend in a request; None: not in the request. Properties without effect are rejected.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct BackendInput {
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

/// A backend.
pub(super) struct BackendResource(Id);

impl Resource for BackendResource {
    const NOUN: &'static str = "backend";

    type Input = BackendInput;
    type Value = Arc<Backend>;

    fn new(id: Option<Id>) -> Option<Self> {
        id.map(Self)
    }

    fn item(&self) -> Item {
        Item::Backend(self.0.clone())
    }

    fn value(&self, settings: &Settings) -> Option<Arc<Backend>> {
        settings.backends.get(&self.0).map(|stored| stored.value.clone())
    }

    fn tag(backend: &Arc<Backend>) -> Revision {
        backend.tag
    }

    fn print(request: &ApiRequest, id: &str, backend: &Arc<Backend>) -> Result<Json, ApiError> {
        Ok(request.resource(&format!("/backends/{id}"), "backends", id, print_properties(backend)))
    }

    async fn read(&self, change: &ChangeRequest, body: &[u8]) -> Result<BackendInput, ApiError> {
        BackendInput::read(body, change.is_whole)
    }

    fn put(&self, change: &ChangeRequest, input: &BackendInput, settings: &mut Settings) -> EditResult {
        let base = self.value(settings).filter(|_| !change.is_whole);
        let backend = input.apply(base.as_deref(), settings.revision);
        settings.backends.insert(self.0.clone(), Versioned::new(settings.revision, backend));
        Ok(())
    }

    fn remove(&self, settings: &mut Settings) -> EditResult {
        settings.backends.remove(&self.0);
        Ok(())
    }

    fn warn(&self, backend: &Arc<Backend>) {
        backend.warn_of_danger(&self.0);
    }
}

impl Collection for BackendResource {
    const FIELDS: &'static FilterFields =
        &FilterFields { texts: &["name", "title", "url"], has_expiration: false };

    fn all(request: &ApiRequest, _: &ListQuery) -> Vec<(String, Arc<Backend>)> {
        let settings = request.settings();
        settings.backends.iter().map(|(id, stored)| (id.to_string(), stored.value.clone())).collect()
    }

    fn filter_values(id: &str, backend: &Arc<Backend>) -> FilterValues {
        let texts = vec![id.to_owned(), backend.title.clone().unwrap_or_default(), backend.url.clone()];
        FilterValues { texts, expiration: None }
    }
}

fn print_properties(backend: &Backend) -> Json {
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
    properties
}

impl BackendInput {
    fn read(body: &[u8], is_whole: bool) -> Result<Self, ApiError> {
        let input: Self = properties::read(body, &NAMES, !is_whole)?;
        let mut details = Vec::new();
        if is_whole && input.url.is_none() {
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
            ("proxy", &input.proxy),
            ("circuitBreaker", &input.circuit_breaker),
            ("pool", &input.pool),
            ("properties", &input.properties),
        ] {
            if is_set(value) {
                details.push((name, format!("{name} is not supported; remove it.")));
            }
        }
        if input.r#type.as_deref().is_some_and(|kind| kind != "Single") {
            details.push(("type", "Only the backend type Single is supported.".to_owned()));
        }
        if input.protocol.as_deref().is_some_and(|protocol| protocol != "http") {
            details.push(("protocol", "The protocol must be http, which includes https.".to_owned()));
        }
        let texts = [
            ("url", &input.url, 2000),
            ("title", &input.title, 300),
            ("description", &input.description, 2000),
        ];
        properties::check_lengths(&texts, &mut details);
        if let Some(credentials) = &input.credentials {
            let others = [&credentials.query, &credentials.header, &credentials.authorization];
            if others.into_iter().any(is_set) {
                let problem = "Only certificateIds and certificate are supported in credentials; set headers in a \
                               policy.";
                details.push(("credentials", problem.to_owned()));
            }
            if let Err(problem) = credential(credentials) {
                details.push(("credentials", problem));
            }
        }
        if details.is_empty() { Ok(input) } else { Err(ApiError::invalid(details)) }
    }

    /// Builds the backend; values that are not in the request are those of `base`.
    fn apply(&self, base: Option<&Backend>, tag: Revision) -> Backend {
        let or_base = |new: &Option<String>, base: Option<&String>| new.clone().or_else(|| base.cloned());
        let chain = self.tls.as_ref().and_then(|tls| tls.validate_certificate_chain);
        let name = self.tls.as_ref().and_then(|tls| tls.validate_certificate_name);
        Backend {
            url: or_base(&self.url, base.map(|base| &base.url)).unwrap_or_default(),
            title: or_base(&self.title, base.and_then(|base| base.title.as_ref())),
            description: or_base(&self.description, base.and_then(|base| base.description.as_ref())),
            validates_chain: chain.unwrap_or_else(|| base.is_none_or(|base| base.validates_chain)),
            validates_name: name.unwrap_or_else(|| base.is_none_or(|base| base.validates_name)),
            credential: match &self.credentials {
                // Validated before.
                Some(credentials) => credential(credentials).unwrap_or_default(),
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
    let path = ResourcePath::parse(text).ok().filter(|path| path.route == CERTIFICATE_ROUTE);
    let id = path.and_then(|path| path.id().ok().flatten());
    id.map(|id| id.to_string()).ok_or_else(|| format!("{text:?} is not the resource path of a certificate."))
}
