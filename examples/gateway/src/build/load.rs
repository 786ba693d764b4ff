//! Loading of a configuration file and all files that it names, with all errors.

use std::{
    collections::{BTreeMap, HashSet},
    convert::Infallible,
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
};

use tower_mtls::MtlsClient;

use super::{
    api_trust::ApiTrust,
    apis::{ApiBuilder, DocumentCompiler, TakenPaths},
    cache::{Cache, Digest, Memo},
    choice::KnownIdentities,
    deployment::Deployment,
    endpoint::{self, Endpoint},
    files::Findings,
    fingerprint::{Fingerprint, Fingerprints},
    key_pair::{self, LoadedKeyPair},
    letter_case,
    publication::Publication,
    rate_limits,
    references::route_uses,
    revocation::{self, Crls},
    route::{self, RouteMemos},
    route_context::RouteContext,
    sections::SectionsByName,
    served::LoadedSource,
    thumbprint_lists::ThumbprintLists,
    trust::{self, Roots},
    upstream_trusts::UpstreamTrusts,
};
use crate::{
    config::{self, CertificateRequest, Config, Diagnostic, Limits, Located},
    edge::upstream_connections,
    management::Access,
    routing::{Client, Expiry, FileRoutes, Route, RoutePolicy},
    store::CurrentStore,
};

/// A configuration that is ready to be served.
#[derive(Debug)]
pub(crate) struct Loaded {
    pub(crate) file: PathBuf,
    /// Number of worker threads, effective at a start.
    pub(crate) workers: Option<usize>,
    pub(crate) listener: Endpoint,
    pub(crate) management: Option<(Endpoint, Access)>,
    pub(crate) limits: Limits,
    pub(crate) store: Option<Located<config::Store>>,
    /// Contents of the store for requests, once it is open.
    pub(crate) published: Arc<CurrentStore>,
    pub(crate) file_routes: Arc<FileRoutes>,
    pub(crate) api_builder: Arc<ApiBuilder>,
    pub(crate) publication: Publication,
    pub(crate) crls: Crls,
}

/// Result of loading a file.
#[derive(Debug)]
pub(crate) struct LoadOutcome {
    /// The configuration, exactly if no finding is an error.
    pub(crate) loaded: Option<Loaded>,
    pub(crate) findings: Vec<Diagnostic>,
    /// All files that were read, each with its state before.
    pub(crate) read: Fingerprints,
}

/// The text of a configuration file.
#[derive(Debug, Clone)]
pub(crate) struct Source {
    pub(crate) file: PathBuf,
    /// The state of the file before it was read.
    pub(crate) state: Fingerprint,
    pub(crate) text: config::Text,
}

impl Source {
    pub(crate) fn read(file: &Path) -> Self {
        let state = Fingerprint::of(file);
        Self { file: file.to_owned(), state, text: config::text(file) }
    }
}

/// Loads a configuration with the files that it names. Values that an earlier load built from the same contents are
/// reused.
pub(crate) fn load(source: &Source, cache: &mut Cache) -> LoadOutcome {
    let file = &source.file;
    let (config, diagnostics) = match &source.text {
        Ok(text) => config::parse(file, text),
        Err(error) => (None, vec![Diagnostic::clone(error)]),
    };
    let mut findings = Findings::new(file, diagnostics);
    let loaded = config.and_then(|config| build(&config, cache, &mut findings));
    let (findings, mut read, contents) = findings.finish();
    read.insert(file.clone(), source.state);
    let is_sound = !findings.iter().any(Diagnostic::is_error);
    let loaded = loaded.filter(|_| is_sound);
    cache.loaded = Some(LoadedSource { source: source.clone(), contents });
    LoadOutcome { loaded, findings, read }
}

/// Builds all parts, so that all errors are reported at once.
fn build(config: &Config, cache: &mut Cache, findings: &mut Findings) -> Option<Loaded> {
    let roots: SectionsByName<Roots> = config
        .trust
        .iter()
        .map(|(name, set)| (name.clone(), trust::roots(name, set, config, cache, findings)))
        .collect();
    let listener = endpoint::listener(config, &roots, cache, findings);
    let published = cache.store.clone();
    let identities: SectionsByName<LoadedKeyPair> = config
        .identities
        .iter()
        .map(|(name, identity)| {
            (name.clone(), key_pair::named(name, &identity.files, &mut cache.identities, findings))
        })
        .collect();
    let store = config.store.is_some().then(|| published.clone());
    let known = KnownIdentities::new(&identities, cache.shared_identities.clone(), store);
    let deployment = Deployment::new(&identities, &published, &mut cache.deployments);
    // A document can use any of them.
    let has_document = config.store.is_some() || config.routes.iter().any(|route| route.policy().is_some());
    let used: HashSet<&str> = config.routes.iter().flat_map(|route| route.identities()).collect();
    for (name, identity) in &config.identities {
        let is_for_crls = || config.trust.values().any(|set| set.revocation.uses_identity(name));
        if !has_document && !used.contains(name.as_str()) && !is_for_crls() {
            findings.note(identity, "no route uses this identity", "");
        }
    }
    letter_case::note(&config.routes, findings);
    let management = config
        .management
        .as_ref()
        .map(|management| endpoint::management(config, management, &roots, &published, cache, findings));
    let client = client(&config.limits, cache);
    let rate_limits = rate_limits::general(config, &mut cache.rate_limits);
    let store = &published;
    let context = RouteContext {
        config,
        roots: &roots,
        store,
        identities: &known,
        deployment: &deployment,
        client: &client,
        rate_limits: &rate_limits,
    };
    let mut trusts = UpstreamTrusts::new(&mut cache.upstream_trusts, &mut cache.shared_trusts);
    let mut memos = RouteMemos {
        in_flight: &mut cache.in_flight,
        rate_limits: &mut cache.rate_limits,
        documents: &mut cache.documents,
        thumbprints: ThumbprintLists::new(&mut cache.thumbprints),
        metrics: &mut cache.metrics,
    };
    let routes: Vec<_> = config
        .routes
        .iter()
        .map(|route| route::route(&context, route, &mut trusts, &mut memos, findings))
        .collect();
    let api_builder = api_builder(&context, &mut cache.api_trusts, findings);
    let shared_trusts = trusts.into_all();
    let trusts = shared_trusts.iter().map(|(digest, (_, trust))| (*digest, trust.clone())).collect();
    let (listener, handshake_rule) = listener?;
    let management = match management {
        Some(management) => Some(management?),
        None => None,
    };
    let identities: BTreeMap<_, _> =
        identities.into_iter().filter_map(|(name, pair)| Some((name, pair?.identity))).collect();
    let mut expiries: Vec<_> = identities
        .iter()
        .map(|(name, identity)| Expiry::identity(name, identity.certificate().validity().not_after))
        .collect();
    expiries.push(Expiry::listener("main", listener.certificate.validity().not_after));
    expiries.extend(
        management.iter().map(|(at, _)| Expiry::listener("management", at.certificate.validity().not_after)),
    );
    let routes = routes.into_iter().map(|route| route.map(Arc::new)).collect::<Option<Vec<_>>>()?;
    recommend_required_certificates(config, &routes, findings);
    let uses = route_uses(config, &routes);
    let deployed = deployment.deployed;
    let api_builder = api_builder?;
    let (revocations, crls) = revocation::collect(roots, &cache.crls);
    let file_routes = FileRoutes {
        handshake_rule,
        routes,
        client,
        identities,
        trusts,
        expiries,
        uses,
        deployed,
        revocations,
    };
    let publication = Publication {
        shared: cache.shared_identities.clone(),
        trusts: shared_trusts.into_values().collect(),
    };
    Some(Loaded {
        file: config.file.clone(),
        workers: config.workers,
        listener,
        management,
        limits: config.limits.clone(),
        store: config.store.clone(),
        published,
        file_routes: Arc::new(file_routes),
        api_builder: Arc::new(api_builder),
        publication,
        crls,
    })
}

/// Notes that the handshake could require a certificate: every route does. APIs of the store can be open.
fn recommend_required_certificates(config: &Config, routes: &[Arc<Route>], findings: &mut Findings) {
    let request = &config.listener.handshake.request;
    if request.value == CertificateRequest::Request
        && config.store.is_none()
        && routes.iter().all(|route| matches!(route.policy, RoutePolicy::Rules(_)) && !route.is_shadow)
    {
        let problem = "every route needs a certificate, but the handshake does not";
        findings.note(request, problem, "write client_certificate = \"require\"");
    }
}

/// Settings for the APIs of the store; None if their trust is invalid, which has been reported.
fn api_builder(
    context: &RouteContext<'_>,
    memo: &mut Memo<Arc<ApiTrust>>,
    findings: &mut Findings,
) -> Option<ApiBuilder> {
    let config = context.config;
    let trust = match &config.apis.trust {
        Some(name) => Some(context.roots.get(name.as_str())?.as_ref()?.anchors.clone()),
        None => None,
    };
    let files = trust::upstreams(&config.upstream_ca, findings)?;
    let digest = Digest::of("trust of APIs", files.iter().map(Vec::as_slice));
    let built = memo.get_or_build(digest, || Ok::<_, Infallible>(Arc::new(ApiTrust::new(files.clone()))));
    let Ok(upstream_trust) = built;
    let host = |route: &config::RouteConfig| route.host.as_ref().map(|host| host.value.clone());
    Some(ApiBuilder {
        client: context.client.clone(),
        identities: context.identities.all().clone(),
        documents: DocumentCompiler {
            deployment: context.deployment.certificates.clone(),
            trust,
            allow_unanchored: config.apis.allow_unanchored,
        },
        upstream_trust,
        limits: config.limits.clone(),
        on_revoked: config.apis.on_revoked,
        rate_limits: context.rate_limits.clone(),
        proxy: config.proxy.clone(),
        taken: TakenPaths::new(
            config.routes.iter().map(|route| (host(route), route.path.value.clone())).collect(),
        ),
        cache: Mutex::default(),
    })
}

/// The client of all routes with its connections. It is replaced only if its settings changed.
fn client(limits: &Limits, cache: &mut Cache) -> Client {
    let timeouts =
        [limits.connect_timeout, limits.handshake_timeout, limits.idle_timeout, limits.drain_timeout];
    let most = limits.max_upstream_connections;
    let settings = format!("{timeouts:?} {most:?}");
    let digest = Digest::of("client", [settings.as_bytes()]);
    let built: Result<_, Infallible> = cache.clients.get_or_build(digest, || {
        let [connect, handshake, idle, drain] = timeouts;
        let client = MtlsClient::builder()
            .with_connect_timeout(connect)
            .with_handshake_timeout(handshake)
            .with_idle_timeout(idle)
            .with_drain_timeout(drain)
            // One caller's connection can need many upstream connections, which count as open files too.
            .with_max_total_connections(upstream_connections());
        Ok(match most {
            Some(most) => client.with_max_connections(most).build_repeating(),
            None => client.build_repeating(),
        })
    });
    built.unwrap_or_else(|never| match never {})
}

#[cfg(test)]
mod tests;
