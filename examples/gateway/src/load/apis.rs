//! Routes out of the store: APIs, with their policies and backends.

use std::{
    collections::{BTreeMap, HashMap},
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tower::{Layer, ServiceBuilder};
use tower_mtls::{
    IdentityLayer, TrustAnchors, UpstreamTrust,
    apim::{
        ApimPolicyLayer, Backend as NamedBackend, ChosenIdentity, Document, DocumentBuilder, DocumentScope,
        FindingKind, ForwardingLayer, Revocation, SharedDeployment,
    },
    identity::IdentityReference,
    outbound::RetryIdempotent,
};

use super::{api_trust::ApiTrust, choice::All, upstream};
use crate::{
    config::{BY_REQUEST, Limits, Proxy, Scheme, Upstream, Verify},
    serve::{Bounds, Client, Guard, Route, RouteFacts, RouteMeasures, RouteService, UnverifiedLayer},
    store::{Api, Backend, Broken, Credential, Id, Item, Part, Policy, Settings, Use},
};

/// What APIs are made of beside their settings: the part of a configuration file that they share.
pub(crate) struct ApiParts {
    pub(super) client: Client,
    pub(super) identities: All,
    pub(super) deployment: SharedDeployment,
    pub(super) trust: Option<TrustAnchors>,
    pub(super) is_revocation_off: bool,
    pub(super) allow_unanchored: bool,
    pub(crate) upstream_trust: Arc<ApiTrust>,
    pub(super) limits: Limits,
    pub(super) proxy: Proxy,
    /// Hosts and paths of the file's routes.
    pub(super) taken: Vec<(Option<String>, String)>,
    /// What was made of settings that did not change: of an API, and of what it is proposed to be.
    pub(super) kept: Mutex<HashMap<Id, Vec<Made>>>,
}

/// How many states of an API are kept.
const STATES: usize = 2;

/// What was made of an API, and of what.
#[derive(Clone)]
pub(super) struct Made {
    api: Arc<Api>,
    policy: Option<Arc<Policy>>,
    /// Those that its policies name.
    backends: Vec<(Id, Arc<Backend>, UpstreamTrust)>,
    route: Arc<Route>,
    named: Named,
}

/// A backend as documents name it, what is demanded of it, and what it was made of.
struct Usable {
    written: Arc<Backend>,
    backend: NamedBackend,
    trust: UpstreamTrust,
}

type Backends = BTreeMap<Id, Usable>;

/// What a policy document names.
#[derive(Clone, Default)]
struct Named {
    certificates: Vec<IdentityReference>,
    backends: Vec<String>,
}

/// The routes of all APIs, and what is wrong with those that have none.
#[derive(Debug, Default)]
pub(crate) struct Built {
    /// By API, with the path; None if it cannot be served: requests for it must not take another way.
    pub(crate) routes: BTreeMap<Id, (String, Option<Arc<Route>>)>,
    pub(crate) broken: Vec<Broken>,
    /// Who refers to certificates.
    pub(crate) uses: Vec<Use>,
    /// Who names which backend.
    pub(crate) backend_users: Vec<(String, String)>,
}

impl ApiParts {
    /// Builds all that can be built.
    pub(crate) fn build(&self, settings: &Settings) -> Built {
        let mut built = Built::default();
        let backends = self.backends(settings, &mut built);
        let above = settings.policy.as_ref().and_then(|policy| {
            let document = self.document(DocumentScope::Global, &backends, None, &policy.value);
            document.map_err(|problems| built.say(&Item::Policy, problems)).ok()
        });
        if let Some(above) = &above {
            built.note_uses("/policies/policy", &Named::of(above));
        }
        let is_above_broken = settings.policy.is_some() && above.is_none();
        self.lock().retain(|id, _| settings.apis.contains_key(id));
        let policy = settings.policy.as_ref().map(|policy| &policy.value);
        for (id, stored) in &settings.apis {
            let api = &stored.value;
            let made = match self.known(id, api, policy, settings, &backends) {
                Some(made) => Ok(made),
                // What is wrong with the API itself is found all the same.
                None if is_above_broken => match self.route(api, policy, &backends, None) {
                    Ok(_) => Err(vec![(Part::Document, None, ABOVE.to_owned())]),
                    Err(problems) => Err(problems),
                },
                None => {
                    self.route(api, policy, &backends, above.as_ref()).inspect(|made| self.keep(id, made))
                }
            };
            let item = Item::Api(id.clone());
            let made = match self.refuse_overlap(id, api, settings) {
                Ok(()) => made,
                Err(overlap) => Err(vec![overlap]),
            };
            let route = match made {
                Ok(made) => {
                    built.note_uses(&format!("/apis/{id}/policies/policy"), &made.named);
                    Some(made.route)
                }
                Err(problems) => {
                    built.say(&item, problems);
                    None
                }
            };
            built.routes.insert(id.clone(), (api.path.clone(), route));
        }
        built
    }

    /// The trust in backends that these settings no longer have: nothing is built of it any more.
    pub(crate) fn release_trust(&self, settings: &Settings) -> Vec<UpstreamTrust> {
        let written = |id: &Id| settings.backends.get(id).map(|stored| verify(&stored.value));
        self.upstream_trust.release(|id, verify| written(id) == Some(verify))
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Id, Vec<Made>>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What was made of the very same.
    fn known(
        &self,
        id: &Id,
        api: &Arc<Api>,
        policy: Option<&Arc<Policy>>,
        settings: &Settings,
        backends: &Backends,
    ) -> Option<Made> {
        let is_there = |(id, written, trust): &(Id, Arc<Backend>, UpstreamTrust)| {
            settings.backends.get(id).is_some_and(|stored| stored.value == *written)
                && backends.get(id).is_none_or(|usable| usable.trust.ptr_eq(trust))
        };
        let is_same = |made: &&Made| {
            made.api == *api && made.policy.as_ref() == policy && made.backends.iter().all(is_there)
        };
        self.lock().get(id)?.iter().find(is_same).cloned()
    }

    fn keep(&self, id: &Id, made: &Made) {
        let mut kept = self.lock();
        let states = kept.entry(id.clone()).or_default();
        states.insert(0, made.clone());
        states.truncate(STATES);
    }

    /// An API must not take requests from a route of the file or from another API.
    fn refuse_overlap(&self, id: &Id, api: &Api, settings: &Settings) -> Result<(), Problem> {
        // As the table of routes compares them.
        let bare = |path: &str| path.strip_suffix('/').unwrap_or(path).to_owned();
        let own = bare(&api.path);
        let taken = self.taken.iter().find(|(host, path)| match bare(path).as_str() {
            "" => host.is_none() && own.is_empty(),
            path => own.strip_prefix(path).is_some_and(|rest| rest.is_empty() || rest.starts_with('/')),
        });
        if let Some((host, path)) = taken {
            let host = host.as_deref().unwrap_or_default();
            let problem = format!(
                "the path {} belongs to the route {host}{path} of the configuration file, which cannot be changed here",
                api.path
            );
            return Err((Part::Path, None, problem));
        }
        let twin =
            settings.apis.iter().find(|(other, stored)| *other != id && bare(&stored.value.path) == own);
        match twin {
            // Of two the first one serves.
            Some((other, _)) if other < id => {
                Err((Part::Path, None, format!("the path {} belongs to the API '{other}'", api.path)))
            }
            _ => Ok(()),
        }
    }

    fn route(
        &self,
        api: &Arc<Api>,
        all: Option<&Arc<Policy>>,
        backends: &Backends,
        above: Option<&Document>,
    ) -> Result<Made, Vec<Problem>> {
        let document = match &api.policy {
            Some(policy) => Some(self.document(DocumentScope::Api, backends, above, policy)),
            None => above.cloned().map(Ok),
        };
        let upstream = Upstream::parse(&api.service_url).map_err(|refused| {
            vec![(Part::ServiceUrl, None, format!("{}; {}", refused.problem, refused.remedy))]
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
        let calling = IdentityLayer::anonymous();
        let may_go_elsewhere = document.as_ref().is_some_and(|document| document.summary().chooses_backend);
        let calling = if upstream.scheme == Scheme::Http && !may_go_elsewhere {
            calling
        } else {
            let trust = self.upstream_trust.full();
            calling.with_trust(trust.map_err(|problem| vec![(Part::ServiceUrl, None, problem)])?)
        };
        let proxy = upstream::proxy(&self.proxy, &api.path, &upstream)
            .map_err(|problem| vec![(Part::ServiceUrl, None, problem)])?;
        let to_upstream = ServiceBuilder::new()
            .layer(self.bounds())
            .layer(proxy)
            .retry(RetryIdempotent::default())
            .layer(calling)
            .service(self.client.clone());
        let named_backends =
            document.as_ref().map(|document| &*document.summary().backends).unwrap_or_default();
        let is_used = |id: &Id| named_backends.iter().any(|(used, _)| **used == **id);
        let used: Vec<_> = backends.iter().filter(|(id, _)| is_used(id)).collect();
        let (guard, service) = match &document {
            None => (Guard::Nothing, RouteService::Open(to_upstream)),
            Some(document) => {
                let forwarding = ForwardingLayer::new(self.identities.clone());
                let forwarding = used.iter().fold(forwarding, |forwarding, (id, usable)| {
                    forwarding.with_backend_trust(id.shared(), usable.trust.clone())
                });
                let layer = ApimPolicyLayer::new(document.clone());
                let unverified = UnverifiedLayer::new(document.summary().is_anchored, "", &api.path);
                let inside = unverified.layer(forwarding.layer(to_upstream));
                let service = RouteService::Policy(layer.layer(inside));
                (Guard::Document(document.clone()), service)
            }
        };
        let chooses_identity = document.as_ref().is_some_and(|document| document.summary().chooses_identity);
        let identity = if chooses_identity { BY_REQUEST } else { "" };
        let named = upstream::origin(&upstream);
        let facts = RouteFacts {
            path: api.path.clone(),
            host: None,
            upstream: if may_go_elsewhere { format!("{named}, or what the policy chose") } else { named },
            url: api.service_url.clone(),
            identity: None,
            identity_selector: None,
            measures: RouteMeasures::new("", &api.path, identity, &upstream.authority),
        };
        let route = Arc::new(Route {
            facts: Arc::new(facts),
            allow_empty_segments: false,
            is_enforced: document.as_ref().is_some_and(|document| document.summary().uses_certificate),
            is_shadow: false,
            guard,
            service,
        });
        let named = match (&api.policy, &document) {
            (Some(_), Some(document)) => Named::of(document),
            // The policy of all APIs names them.
            _ => Named::default(),
        };
        let backends = used
            .iter()
            .map(|(id, usable)| ((*id).clone(), usable.written.clone(), usable.trust.clone()))
            .collect();
        Ok(Made { api: api.clone(), policy: all.cloned(), backends, route, named })
    }

    fn bounds(&self) -> Bounds {
        Bounds {
            first_byte: self.limits.first_byte_timeout,
            body: self.limits.body_timeout,
            whole: self.limits.request_timeout,
            requests: None,
            in_flight: Arc::default(),
        }
    }

    /// The backends that documents can name.
    fn backends(&self, settings: &Settings, built: &mut Built) -> Backends {
        let mut usable = Backends::new();
        for (id, stored) in &settings.backends {
            match self.backend(id, &stored.value) {
                Ok((backend, trust)) => {
                    if let Some(identity) = backend.identity() {
                        let of = reference(identity);
                        built.uses.extend(of.map(|of| Use {
                            by: format!("/backends/{id}"),
                            of,
                            needs_key: true,
                        }));
                    }
                    let written = stored.value.clone();
                    usable.insert(id.clone(), Usable { written, backend, trust });
                }
                Err(problem) => built.say(&Item::Backend(id.clone()), vec![problem]),
            }
        }
        usable
    }

    fn backend(&self, id: &Id, written: &Backend) -> Result<(NamedBackend, UpstreamTrust), Problem> {
        let url = |problem: String| (Part::Url, None, problem);
        let parsed = Upstream::parse(&written.url);
        let parsed = parsed.map_err(|refused| url(format!("{}; {}", refused.problem, refused.remedy)))?;
        let backend = NamedBackend::new(&written.url).map_err(|error| url(error.to_string()))?;
        let trust = self.upstream_trust.of_backend(id, verify(written)).map_err(url)?;
        let Some(credential) = &written.credential else { return Ok((backend, trust)) };
        let credentials = |problem: String| (Part::Credentials, None, problem);
        if parsed.scheme == Scheme::Http {
            return Err(credentials("a certificate cannot be shown over http: write an https url".into()));
        }
        let certificates = tower_mtls::apim::Deployment::certificates(&self.deployment);
        let (identity, found, named) = match credential {
            Credential::Id(id) => {
                (ChosenIdentity::Id(id.as_str().into()), certificates.by_id(id), format!("id '{id}'"))
            }
            Credential::Thumbprint(text) => {
                let thumbprint = text.parse().map_err(|error| credentials(format!("{text:?}: {error}")))?;
                let found = certificates.by_thumbprint(thumbprint);
                (ChosenIdentity::Thumbprint(thumbprint), found, format!("thumbprint '{text}'"))
            }
        };
        match found {
            Some(found) if found.has_private_key() => Ok((backend.with_identity(identity), trust)),
            Some(_) => Err(credentials(format!(
                "Certificate with {named} has no private key, so it cannot be shown to a backend."
            ))),
            None => Err(credentials(format!("Certificate with {named} not found."))),
        }
    }

    fn document(
        &self,
        scope: DocumentScope,
        backends: &Backends,
        above: Option<&Document>,
        policy: &Policy,
    ) -> Result<Document, Vec<Problem>> {
        let mut builder = Document::builder()
            .format(policy.format())
            .scope(scope)
            .deployment(self.deployment.clone())
            .only_known_certificates()
            .only_referenced_identities();
        if let Some(trust) = &self.trust {
            builder = builder.trust(trust.clone());
        }
        if self.is_revocation_off {
            builder = builder.revocation(Revocation::Off);
        }
        if self.allow_unanchored {
            builder = builder.allow_unanchored();
        }
        if let Some(above) = above {
            builder = builder.base(above);
        }
        for (id, usable) in backends {
            builder = builder.add_backend(id.shared(), usable.backend.clone());
        }
        self.load(builder, &policy.value)
    }

    fn load(&self, builder: DocumentBuilder, text: &str) -> Result<Document, Vec<Problem>> {
        let errors = match builder.load(text) {
            Ok(document) => return Ok(document),
            Err(errors) => errors,
        };
        let problems = errors.iter().map(|error| {
            let (said, remedy) = match error.kind() {
                FindingKind::Trust => (error.problem(), ": the gateway's operator names a set in [apis] trust = \"NAME\""),
                FindingKind::Revocation => (
                    error.problem(),
                    ": the gateway's operator writes revocation = \"off\" into the set of [apis] trust, or call \
                     VerifyNoRevocation()",
                ),
                FindingKind::Unanchored => (
                    error.problem(),
                    ": demand a chain (|| !context.Request.Certificate.VerifyNoRevocation()) or a thumbprint, or the \
                     gateway's operator writes allow_unanchored = true into [apis]",
                ),
                _ => (error.message(), ""),
            };
            (Part::Document, Some((error.line(), error.column())), format!("{said}{remedy}"))
        });
        Err(problems.collect())
    }
}

/// Verification of an upstream's certificate.
fn verify(backend: &Backend) -> Verify {
    match (backend.validates_chain, backend.validates_name) {
        (true, true) => Verify::Full,
        (true, false) => Verify::Chain,
        (false, true) => Verify::Name,
        (false, false) => Verify::None,
    }
}

const ABOVE: &str = "the policy of all APIs, which stands above its own, cannot be served: mend that first";

/// What is at fault, where in a document, and how.
type Problem = (Part, Option<(usize, usize)>, String);

/// Refuses a document whose every request would be refused: an identity is never shown over http.
fn refuse_plaintext(document: &Document, upstream: &Upstream) -> Result<(), Vec<Problem>> {
    if upstream.scheme == Scheme::Http
        && document.summary().has_authentication_certificate
        && !document.summary().chooses_backend
    {
        let problem = "an identity cannot be shown to an http backend: write an https serviceUrl, or remove \
                       <authentication-certificate>";
        return Err(vec![(Part::Document, None, problem.to_owned())]);
    }
    Ok(())
}

/// How the store finds what a document chose; none is in the document itself.
fn reference(identity: &ChosenIdentity) -> Option<IdentityReference> {
    match identity {
        ChosenIdentity::Id(id) => Some(IdentityReference::id(id.clone())),
        ChosenIdentity::Thumbprint(thumbprint) => Some((*thumbprint).into()),
        _ => None,
    }
}

impl Named {
    fn of(document: &Document) -> Self {
        let summary = document.summary();
        let named = summary.certificates.iter().map(|(identity, _)| identity);
        let certificates = named.chain(&summary.possible_certificates).filter_map(reference).collect();
        Self { certificates, backends: summary.backends.iter().map(|(id, _)| id.to_string()).collect() }
    }
}

impl Built {
    fn say(&mut self, item: &Item, problems: Vec<Problem>) {
        let broken = |(part, at, problem)| Broken { item: item.clone(), part, at, problem };
        self.broken.extend(problems.into_iter().map(broken));
    }

    fn note_uses(&mut self, by: &str, named: &Named) {
        // It may be an issuer, which needs no key.
        let uses =
            named.certificates.iter().map(|of| Use { by: by.to_owned(), of: of.clone(), needs_key: false });
        self.uses.extend(uses);
        self.backend_users.extend(named.backends.iter().map(|id| (id.clone(), by.to_owned())));
    }
}

impl fmt::Debug for ApiParts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ApiParts").finish_non_exhaustive()
    }
}
