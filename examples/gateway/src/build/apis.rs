//! Routes of the store's APIs, with their policies and backends.

mod backends;
mod documents;
mod overlaps;
mod problem;

use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tower_mtls::{
    IdentityLayer, UpstreamTrust,
    apim::{Document, DocumentScope, ForwardingLayer},
};

use self::{
    backends::{Backends, ResolvedBackend, verify},
    documents::refuse_plaintext,
    overlaps::ApiPaths,
    problem::{ApiProblem, report},
};
pub(super) use self::{documents::DocumentCompiler, overlaps::TakenPaths};
use super::{api_trust::ApiTrust, choice::IdentityResolver, references::DocumentReferences, route};
use crate::{
    config::{BY_REQUEST, Limits, OnRevoked, Proxy, Scheme, UpstreamUrl},
    edge::Bounds,
    routing::{
        ApiRoutes, Client, RateLimits, Rates, Route, RouteFacts, RouteLayers, RouteMetrics, RoutePolicy,
    },
    store::{Api, Backend, CertificateUse, Id, Item, ItemField, Policy, Settings},
};

/// Builds the routes of the APIs, from the parts of a configuration file that all of them share.
pub(crate) struct ApiBuilder {
    pub(super) client: Client,
    pub(super) identities: IdentityResolver,
    pub(super) documents: DocumentCompiler,
    pub(crate) upstream_trust: Arc<ApiTrust>,
    pub(super) limits: Limits,
    pub(super) on_revoked: OnRevoked,
    pub(super) rate_limits: Rates,
    pub(super) proxy: Proxy,
    pub(super) taken: TakenPaths,
    /// Built APIs by id: the current state and a proposed one, reused while their settings are unchanged.
    pub(super) cache: Mutex<HashMap<Id, Vec<CachedApi>>>,
}

/// Cached states of an API.
const MAX_STATES: usize = 2;

/// The route of an API, and the settings that it was built from.
#[derive(Clone)]
pub(super) struct CachedApi {
    api: Arc<Api>,
    /// The policy of all APIs.
    global_policy: Option<Arc<Policy>>,
    /// Backends that its policies refer to.
    backends: Vec<(Id, Arc<Backend>, UpstreamTrust)>,
    route: Arc<Route>,
    references: DocumentReferences,
}

impl ApiBuilder {
    /// Builds the routes of all valid APIs.
    pub(crate) fn build(&self, settings: &Settings) -> ApiRoutes {
        let mut built = ApiRoutes::default();
        let deployment = &self.documents.deployment;
        let backends = backends::resolve(settings, deployment, &self.upstream_trust, &mut built);
        let global = settings.policy.as_ref().and_then(|policy| {
            let document = self.documents.compile(DocumentScope::Global, &backends, None, &policy.value);
            document.map_err(|problems| report(&mut built, &Item::Policy, problems)).ok()
        });
        if let Some(global) = &global {
            note_uses(&mut built, "/policies/policy", &DocumentReferences::of(global));
        }
        let is_global_broken = settings.policy.is_some() && global.is_none();
        self.lock().retain(|id, _| settings.apis.contains_key(id));
        let policy = settings.policy.as_ref().map(|policy| &policy.value);
        let paths = ApiPaths::new(settings);
        for (id, stored) in &settings.apis {
            let api = &stored.value;
            let result = match self.cached(id, api, policy, settings, &backends) {
                Some(cached) => Ok(cached),
                // Errors of the API itself are reported as well.
                None if is_global_broken => match self.route(api, policy, &backends, None) {
                    Ok(_) => Err(vec![(ItemField::Document, None, GLOBAL_POLICY_INVALID.to_owned())]),
                    Err(problems) => Err(problems),
                },
                None => self
                    .route(api, policy, &backends, global.as_ref())
                    .inspect(|built| self.remember(id, built)),
            };
            let item = Item::Api(id.clone());
            let result = match paths.check(id, api, &self.taken) {
                Ok(()) => result,
                Err(overlap) => Err(vec![overlap]),
            };
            let route = match result {
                Ok(api) => {
                    note_uses(&mut built, &format!("/apis/{id}/policies/policy"), &api.references);
                    Some(api.route)
                }
                Err(problems) => {
                    report(&mut built, &item, problems);
                    None
                }
            };
            built.routes.insert(id.clone(), (api.path.clone(), route));
        }
        built
    }

    /// Removes and returns the trust in backends that these settings no longer contain.
    pub(crate) fn release_trust(&self, settings: &Settings) -> Vec<UpstreamTrust> {
        let current = |id: &Id| settings.backends.get(id).map(|stored| verify(&stored.value));
        self.upstream_trust.release(|id, verify| current(id) == Some(verify))
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Id, Vec<CachedApi>>> {
        self.cache.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The API as it was built from the same settings.
    fn cached(
        &self,
        id: &Id,
        api: &Arc<Api>,
        policy: Option<&Arc<Policy>>,
        settings: &Settings,
        backends: &Backends,
    ) -> Option<CachedApi> {
        let is_unchanged = |(id, record, trust): &(Id, Arc<Backend>, UpstreamTrust)| {
            settings.backends.get(id).is_some_and(|stored| stored.value == *record)
                && backends.get(id).is_none_or(|resolved| resolved.trust.ptr_eq(trust))
        };
        let is_same = |cached: &&CachedApi| {
            cached.api == *api
                && cached.global_policy.as_ref() == policy
                && cached.backends.iter().all(is_unchanged)
        };
        self.lock().get(id)?.iter().find(is_same).cloned()
    }

    fn remember(&self, id: &Id, api: &CachedApi) {
        let mut cache = self.lock();
        let states = cache.entry(id.clone()).or_default();
        states.insert(0, api.clone());
        states.truncate(MAX_STATES);
    }

    fn route(
        &self,
        api: &Arc<Api>,
        global_policy: Option<&Arc<Policy>>,
        backends: &Backends,
        global: Option<&Document>,
    ) -> Result<CachedApi, Vec<ApiProblem>> {
        let document = match &api.policy {
            Some(policy) => Some(self.documents.compile(DocumentScope::Api, backends, global, policy)),
            None => global.cloned().map(Ok),
        };
        let upstream = UpstreamUrl::parse(&api.service_url).map_err(|error| {
            vec![(ItemField::ServiceUrl, None, format!("{}; {}", error.problem, error.remedy))]
        });
        let (document, upstream) = match (document.transpose(), upstream) {
            (Ok(document), Ok(upstream)) => (document, upstream),
            (document, upstream) => {
                return Err(document.err().into_iter().chain(upstream.err()).flatten().collect());
            }
        };
        if let Some(document) = &document {
            refuse_plaintext(document, &upstream)?;
        }
        let anonymous = IdentityLayer::anonymous();
        let chooses_backend = document.as_ref().is_some_and(|document| document.summary().chooses_backend);
        let identity = if upstream.scheme == Scheme::Http && !chooses_backend {
            anonymous
        } else {
            let trust = self.upstream_trust.full();
            anonymous.with_trust(trust.map_err(|problem| vec![(ItemField::ServiceUrl, None, problem)])?)
        };
        let share = route::share(&self.client, &api.path, &upstream, chooses_backend);
        let identity = identity.with_connection_share(share);
        let proxy = route::proxy(&self.proxy, &self.limits.request, &api.path, &upstream)
            .map_err(|problem| vec![(ItemField::ServiceUrl, None, problem)])?;
        let referenced = document.as_ref().map(|document| &*document.summary().backends).unwrap_or_default();
        let is_used = |id: &Id| referenced.iter().any(|(used, _)| **used == **id);
        let used: Vec<(&Id, &ResolvedBackend)> = backends.iter().filter(|(id, _)| is_used(id)).collect();
        let forwarding = ForwardingLayer::new(self.identities.clone());
        let forwarding = used.iter().fold(forwarding, |forwarding, (id, resolved)| {
            forwarding.with_backend_trust(id.shared(), resolved.trust.clone())
        });
        let policy = document.clone().map_or(RoutePolicy::None, RoutePolicy::Document);
        let layers = RouteLayers {
            is_shadow: false,
            forwarding,
            rate_limits: RateLimits::new(self.rate_limits.clone(), "", &api.path),
            bounds: self.bounds(),
            proxy,
            identity,
            client: self.client.clone(),
        };
        let service = layers.service(&policy, None, &api.path);
        let chooses_identity = document.as_ref().is_some_and(|document| document.summary().chooses_identity);
        let label = if chooses_identity { BY_REQUEST } else { "" };
        let origin = route::origin(&upstream);
        let facts = RouteFacts {
            path: api.path.clone(),
            host: None,
            upstream: if chooses_backend { format!("{origin}, or what the policy chose") } else { origin },
            url: api.service_url.clone(),
            identity: None,
            identity_selector: None,
            metrics: Arc::new(RouteMetrics::new("", &api.path, label, &upstream.authority)),
        };
        let route = Arc::new(Route {
            facts: Arc::new(facts),
            allow_empty_segments: false,
            is_enforced: document.as_ref().is_some_and(|document| document.summary().uses_certificate),
            is_shadow: false,
            on_revoked: self.on_revoked,
            policy,
            service,
        });
        let references = match (&api.policy, &document) {
            (Some(_), Some(document)) => DocumentReferences::of(document),
            // Reported with the policy of all APIs.
            _ => DocumentReferences::default(),
        };
        let backends = used
            .iter()
            .map(|(id, resolved)| ((*id).clone(), resolved.record.clone(), resolved.trust.clone()))
            .collect();
        Ok(CachedApi { api: api.clone(), global_policy: global_policy.cloned(), backends, route, references })
    }

    fn bounds(&self) -> Bounds {
        let limits = self.limits.request;
        Bounds { limits, general: limits, max_requests: None, in_flight: Arc::default() }
    }
}

const GLOBAL_POLICY_INVALID: &str = "the policy of all APIs is invalid; fix it first";

fn note_uses(built: &mut ApiRoutes, by: &str, references: &DocumentReferences) {
    // A certificate may be an issuer, which needs no key.
    let uses = references.certificates.iter().map(|of| CertificateUse {
        user: by.to_owned(),
        reference: of.clone(),
        needs_key: false,
    });
    built.uses.extend(uses);
    built.backend_users.extend(references.backends.iter().map(|id| (id.clone(), by.to_owned())));
}

impl fmt::Debug for ApiBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ApiBuilder").finish_non_exhaustive()
    }
}
