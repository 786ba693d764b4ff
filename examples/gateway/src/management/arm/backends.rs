//! Backends as resources: policies name them by their ids.

use axum::{body::Body, response::Response};
use http::{StatusCode, request::Parts};
use serde::Deserialize;
use serde_json::{Value as Json, json};
use tower_mtls::Thumbprint;

use super::{
    ApiRequest, Problem,
    address::{Address, Target},
    audit::Audit,
    body::{self, Names},
    change::Change,
    etag,
    filter::{Facts, Fields},
    listing::ListQuery,
    tagged,
};
use crate::store::{Backend, Credential, Id, Item, ItemValue, Precondition, Revision, Settings};

static FIELDS: Fields = Fields { texts: &["name", "title", "url"], expire: false };

static NAMES: Names = Names {
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
    idle: &["resourceId"],
};

/// What is said of a backend. What would have no effect is refused.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Properties {
    url: Option<String>,
    protocol: Option<String>,
    title: Option<String>,
    description: Option<String>,
    tls: Option<Tls>,
    credentials: Option<Credentials>,
    proxy: Option<Json>,
    circuit_breaker: Option<Json>,
    pool: Option<Json>,
    r#type: Option<String>,
    properties: Option<Json>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Tls {
    validate_certificate_chain: Option<bool>,
    validate_certificate_name: Option<bool>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Credentials {
    #[serde(default)]
    certificate_ids: Option<Vec<String>>,
    #[serde(default)]
    certificate: Option<Vec<String>>,
    query: Option<Json>,
    header: Option<Json>,
    authorization: Option<Json>,
}

impl ApiRequest {
    pub(super) fn list_backends(&self, head: &Parts) -> Result<Response, Problem> {
        let wanted = ListQuery::parse(head.uri.query(), &FIELDS)?;
        let settings = self.apis.settings();
        let all = settings.backends.iter().map(|(id, stored)| {
            let backend = &stored.value;
            let texts = vec![id.to_string(), backend.title.clone().unwrap_or_default(), backend.url.clone()];
            (Facts { texts, expiration: None }, self.backend_resource(id, backend))
        });
        let (value, count) = wanted.of(all);
        Ok(self.page(head.uri.path(), &wanted, value, count))
    }

    pub(super) fn backend(&self, id: &Id) -> Result<Response, Problem> {
        let settings = self.apis.settings();
        let stored = settings.backends.get(id).ok_or_else(|| absent(id))?;
        Ok(tagged(StatusCode::OK, stored.value.tag, self.backend_resource(id, &stored.value)))
    }

    pub(super) async fn put_backend(self, id: Id, head: &Parts, body: Body) -> Result<Response, Problem> {
        let condition = etag::condition_to_put(&head.headers)?;
        self.change_backend(id, "put", condition, true, head, body).await
    }

    pub(super) async fn patch_backend(self, id: Id, head: &Parts, body: Body) -> Result<Response, Problem> {
        let condition = etag::condition_to_delete(&head.headers, "backend")?;
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
    ) -> Result<Response, Problem> {
        let audit = Audit::new(action, "backend", head, &id);
        let read = body::properties::<Properties>(body, &NAMES, !is_whole).await;
        let said = read.and_then(|properties| ApiInput::read(properties, is_whole));
        let said = said.inspect_err(|problem| audit.refused(problem))?;
        let (made, shown) = (id.clone(), id.clone());
        let edit = move |settings: &Settings, tag| {
            let present = settings.backends.get(&made).map(|stored| &*stored.value);
            Ok(ItemValue::Backend(said.backend(present.filter(|_| !is_whole), tag)))
        };
        let resource = move |asked: &Self, settings: &Settings| {
            let stored = settings.backends.get(&shown).ok_or_else(|| absent(&shown))?;
            stored.value.warn_of_danger(&shown);
            Ok(asked.backend_resource(&shown, &stored.value))
        };
        change(id, audit, condition, !is_whole).make(self, edit, resource).await
    }

    pub(super) async fn delete_backend(self, id: Id, head: &Parts) -> Result<Response, Problem> {
        let condition = etag::condition_to_delete(&head.headers, "backend")?;
        let audit = Audit::new("delete", "backend", head, &id);
        change(id, audit, condition, true).remove(self, |_| Ok(None), StatusCode::OK).await
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
        self.named(&format!("/backends/{id}"), "backends", id, properties)
    }
}

/// What is said of a backend, once it has been judged; None: nothing is said.
struct ApiInput {
    url: Option<String>,
    title: Option<String>,
    description: Option<String>,
    validates_chain: Option<bool>,
    validates_name: Option<bool>,
    credential: Option<Option<Credential>>,
}

impl ApiInput {
    fn read(properties: Properties, is_whole: bool) -> Result<Self, Problem> {
        let mut details = Vec::new();
        if is_whole && properties.url.is_none() {
            details.push(("url", "url is missing.".to_owned()));
        }
        let is_said = |value: &Option<Json>| {
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
            if is_said(value) {
                details.push((name, format!("{name} would have no effect here; leave it out.")));
            }
        }
        if properties.r#type.as_deref().is_some_and(|kind| kind != "Single") {
            details.push(("type", "Only a backend of the type Single is supported.".to_owned()));
        }
        if properties.protocol.as_deref().is_some_and(|protocol| protocol != "http") {
            details.push(("protocol", "The protocol has to be http, which means https too.".to_owned()));
        }
        for (name, text, most) in [
            ("url", &properties.url, 2000),
            ("title", &properties.title, 300),
            ("description", &properties.description, 2000),
        ] {
            if text.as_ref().is_some_and(|text| text.chars().count() > most) {
                details.push((name, format!("{name} is longer than {most} characters.")));
            }
        }
        let credential = properties.credentials.map(|credentials| {
            let others = [&credentials.query, &credentials.header, &credentials.authorization];
            if others.into_iter().any(is_said) {
                let problem = "Of credentials only certificateIds and certificate have an effect here; set headers in \
                               a policy.";
                details.push(("credentials", problem.to_owned()));
            }
            credential(&credentials).unwrap_or_else(|problem| {
                details.push(("credentials", problem));
                None
            })
        });
        if !details.is_empty() {
            return Err(Problem::invalid(details));
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

    fn backend(&self, kept: Option<&Backend>, tag: u64) -> Backend {
        let said = |said: &Option<String>, kept: Option<&String>| said.clone().or_else(|| kept.cloned());
        Backend {
            url: said(&self.url, kept.map(|kept| &kept.url)).unwrap_or_default(),
            title: said(&self.title, kept.and_then(|kept| kept.title.as_ref())),
            description: said(&self.description, kept.and_then(|kept| kept.description.as_ref())),
            validates_chain: self
                .validates_chain
                .or_else(|| kept.map(|kept| kept.validates_chain))
                .unwrap_or(true),
            validates_name: self
                .validates_name
                .or_else(|| kept.map(|kept| kept.validates_name))
                .unwrap_or(true),
            credential: match &self.credential {
                Some(credential) => credential.clone(),
                None => kept.and_then(|kept| kept.credential.clone()),
            },
            tag,
        }
    }
}

/// The one certificate; thumbprints do not count where there are ids, as in Azure.
fn credential(credentials: &Credentials) -> Result<Option<Credential>, String> {
    let list = |list: &Option<Vec<String>>| list.clone().unwrap_or_default();
    let (ids, thumbprints) = (list(&credentials.certificate_ids), list(&credentials.certificate));
    match (&ids[..], &thumbprints[..]) {
        ([], []) => Ok(None),
        ([id], _) => Ok(Some(Credential::Id(certificate_id(id)?))),
        ([], [thumbprint]) => match thumbprint.parse::<Thumbprint>() {
            Ok(Thumbprint::Sha1(_)) => Ok(Some(Credential::Thumbprint(thumbprint.clone()))),
            _ => Err(format!("{thumbprint:?} is not a thumbprint: 40 hex digits of SHA-1.")),
        },
        _ => Err("A backend is shown one certificate: name one.".to_owned()),
    }
}

/// Clients name a certificate with its whole path as well.
fn certificate_id(text: &str) -> Result<String, String> {
    if !text.starts_with("/subscriptions/") {
        return Ok(text.to_owned());
    }
    match Address::parse(text).map(|address| address.target) {
        Ok(Target::Certificate(id)) => Ok(id.to_string()),
        _ => Err(format!("{text:?} is not the path of a certificate.")),
    }
}

fn absent(id: &Id) -> Problem {
    Problem::not_found(format!("There is no backend '{id}'."))
}

fn change(
    id: Id,
    audit: Audit,
    condition: Precondition,
    must_exist: bool,
) -> Change<impl Fn(&Settings) -> Option<Revision>> {
    let (item, what) = (Item::Backend(id.clone()), format!("the Backend '{id}'"));
    let tag = move |settings: &Settings| settings.backends.get(&id).map(|stored| stored.value.tag);
    Change { item, what, audit, condition, must_exist, tag }
}
