//! Backend resources.

use std::sync::Arc;

use serde::Deserialize;
use serde_json::{Value as Json, json};
use tower_mtls::certificate::Thumbprint;

use super::{
    ApiError,
    body::{self, PropertyNames},
    filter::{FilterFields, FilterValues},
    listing::ListQuery,
    path::{CERTIFICATE_ROUTE, ResourcePath},
    request::ApiRequest,
    resource::{Change, Collection, Resource},
};
use crate::store::{Backend, ChangeError, Credential, Id, Item, Revision, Settings, Versioned};

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
        Ok(request.resource(&format!("/backends/{id}"), "backends", id, properties(backend)))
    }

    async fn read(&self, _: &ApiRequest, body: &[u8], change: &Change) -> Result<BackendInput, ApiError> {
        BackendInput::read(body::properties(body, &NAMES, !change.is_whole)?, change.is_whole)
    }

    fn put(
        &self,
        _: &ApiRequest,
        settings: &mut Settings,
        input: &BackendInput,
        change: &Change,
        tag: Revision,
    ) -> Result<(), ChangeError> {
        let base = self.value(settings).filter(|_| !change.is_whole);
        let backend = input.apply(base.as_deref(), tag);
        settings.backends.insert(self.0.clone(), Versioned::new(tag, backend));
        Ok(())
    }

    fn remove(&self, settings: &mut Settings, _: Revision) -> Result<(), ChangeError> {
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

fn properties(backend: &Backend) -> Json {
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

/// Validated properties of a backend; None: not in the request.
#[derive(Clone)]
pub(super) struct BackendInput {
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
        let texts = [
            ("url", &properties.url, 2000),
            ("title", &properties.title, 300),
            ("description", &properties.description, 2000),
        ];
        body::check_lengths(&texts, &mut details);
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
    fn apply(&self, base: Option<&Backend>, tag: Revision) -> Backend {
        let new = || Backend {
            url: String::new(),
            title: None,
            description: None,
            validates_chain: true,
            validates_name: true,
            credential: None,
            tag,
        };
        let base = base.cloned().unwrap_or_else(new);
        let Self { url, title, description, validates_chain, validates_name, credential } = self.clone();
        Backend {
            url: url.unwrap_or(base.url),
            title: title.or(base.title),
            description: description.or(base.description),
            validates_chain: validates_chain.unwrap_or(base.validates_chain),
            validates_name: validates_name.unwrap_or(base.validates_name),
            credential: credential.unwrap_or(base.credential),
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
