//! Backend resources.

use std::sync::Arc;

use axum::body::Body;
use serde::Deserialize;
use serde_json::{Value as Json, json};
use tower_mtls::certificate::Thumbprint;

use super::{
    ApiError,
    body::{self, PropertyNames},
    filter::FilterFields,
    listing::ListQuery,
    path::ResourcePath,
    request::{FromPath, RequestContext},
    resource::{Collection, Resource},
    settings_item::SettingsItem,
};
use crate::store::{Backend, ChangeError, Credential, Id, Item, ItemValue, Revision, Settings};

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

impl FromPath for BackendResource {
    fn from_path(path: &ResourcePath) -> Result<Self, ApiError> {
        path.id("backend").map(Self)
    }
}

impl Resource for BackendResource {
    const KIND: &'static str = "backend";
    const NOUN: &'static str = "backend";

    type Input = BackendInput;
    type Value = Arc<Backend>;

    fn id(&self) -> &str {
        &self.0
    }

    fn title(&self) -> String {
        format!("the Backend '{}'", self.0)
    }

    fn check_change(&self, _: &RequestContext, _: bool) -> Result<(), ApiError> {
        Ok(())
    }

    async fn read(body: Body, is_whole: bool) -> Result<BackendInput, ApiError> {
        BackendInput::read(body::properties(body, &NAMES, !is_whole).await?, is_whole)
    }

    async fn find(&self, context: &RequestContext, _: Option<&str>) -> Result<Arc<Backend>, ApiError> {
        let found = self.value(&context.settings());
        found.ok_or_else(|| ApiError::not_found(format!("The backend '{}' was not found.", self.0)))
    }

    fn tag(backend: &Arc<Backend>) -> Revision {
        backend.tag
    }

    fn print(&self, context: &RequestContext, backend: &Arc<Backend>) -> Result<Json, ApiError> {
        Ok(context.resource("backends", &self.0, properties(backend)))
    }

    fn warn(&self, backend: &Arc<Backend>) {
        backend.warn_of_danger(&self.0);
    }
}

impl SettingsItem for BackendResource {
    fn item(&self) -> Item {
        Item::Backend(self.0.clone())
    }

    fn value(&self, settings: &Settings) -> Option<Arc<Backend>> {
        settings.backends.get(&self.0).map(|stored| stored.value.clone())
    }

    fn edit(
        &self,
        settings: &Settings,
        input: &BackendInput,
        is_whole: bool,
        tag: Revision,
    ) -> Result<ItemValue, ChangeError> {
        let base = self.value(settings).filter(|_| !is_whole);
        Ok(ItemValue::Backend(input.apply(base.as_deref(), tag)))
    }
}

impl Collection for BackendResource {
    const FIELDS: &'static FilterFields =
        &FilterFields { texts: &["name", "title", "url"], has_expiration: false };

    async fn page(context: &RequestContext, query: &ListQuery) -> Result<(Vec<Json>, usize), ApiError> {
        let settings = context.settings();
        let all = settings.backends.iter().map(|(id, stored)| (id.to_string(), properties(&stored.value)));
        Ok(query.page(context, "backends", Self::FIELDS, all))
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
    let path = ResourcePath::parse(text).ok().filter(|path| path.is_certificate());
    let id = path.and_then(|path| path.id("certificate").ok());
    id.map(|id| id.to_string()).ok_or_else(|| format!("{text:?} is not the resource path of a certificate."))
}
