//! Routes of the file: guard, forwarding and upstream trust.

use std::{
    collections::HashMap,
    convert::Infallible,
    path::PathBuf,
    sync::{Arc, atomic::AtomicUsize},
};

use tower::{Layer, ServiceBuilder};
use tower_mtls::{
    IdentityLayer, RequireCertificateLayer, ReverseProxyLayer, Shared, UpstreamTrust,
    apim::{ApimPolicyLayer, Document, ForwardingLayer},
    certificate::SpiffeId,
    danger::UpstreamVerification,
    outbound::{RetryIdempotent, UpstreamPin},
    proxy::Forwarded,
};

use super::{
    SectionsByName,
    cache::{Digest, Memo},
    choice::{self, KnownIdentities},
    document::{self, Deployment},
    files::Findings,
    rules,
    trust::{self, Roots},
};
use crate::{
    config::{
        BY_REQUEST, Config, FilePath, IdentitySource, Located, Mode, Proxy, RouteConfig, RouteIdentity,
        Scheme, UpstreamUrl, Verify, quoted,
    },
    edge::Bounds,
    routing::{
        Client, IdentitySelector, Route, RouteFacts, RouteMetrics, RoutePolicy, RouteService, UnverifiedLayer,
    },
    store::CurrentStore,
};

/// Parts that routes share.
pub(super) struct RouteContext<'a> {
    pub(super) config: &'a Config,
    pub(super) roots: &'a SectionsByName<Roots>,
    pub(super) store: &'a Arc<CurrentStore>,
    pub(super) identities: &'a KnownIdentities,
    pub(super) deployment: &'a Deployment,
    pub(super) client: &'a Client,
}

/// Builds a route; None if a part of it is invalid, which has been reported.
pub(super) fn route(
    context: &RouteContext<'_>,
    route: &Located<RouteConfig>,
    trusts: &mut UpstreamTrusts<'_>,
    in_flight: &mut Memo<Arc<AtomicUsize>>,
    documents: &mut Memo<Document>,
    findings: &mut Findings,
) -> Option<Route> {
    let config = context.config;
    let guard = guard(context, route, documents, findings);
    let document = guard.as_ref().and_then(RoutePolicy::document);
    let identity_layer = identity_layer(context, route, document, trusts, findings);
    let to_upstream = ServiceBuilder::new()
        .layer(bounds(config, route, in_flight))
        .layer(forwarding(config, route, findings)?)
        .retry(RetryIdempotent::default())
        .layer(identity_layer?)
        .service(context.client.clone());
    let guard = guard?;
    let is_shadow = route.client_certificate.as_ref().is_some_and(|rules| rules.mode == Mode::Shadow);
    let host = route.host.as_ref().map_or("", |host| host.as_str());
    let unverified = |is_anchored| UnverifiedLayer::new(is_anchored, host, &route.path);
    let service = match &guard {
        RoutePolicy::None => RouteService::Open(to_upstream),
        RoutePolicy::Rules(policy) => {
            let layer = RequireCertificateLayer::new(policy.clone());
            let layer = if is_shadow { layer.shadow() } else { layer };
            RouteService::Rules(layer.layer(unverified(policy.is_anchored()).layer(to_upstream)))
        }
        RoutePolicy::Document(document) => {
            let layer = ApimPolicyLayer::new(document.clone());
            let layer = if is_shadow { layer.shadow() } else { layer };
            let forwarding = ForwardingLayer::new(context.identities.all().clone());
            let inside = unverified(document.summary().is_anchored).layer(forwarding.layer(to_upstream));
            RouteService::Document(layer.layer(inside))
        }
    };
    let rules = route.client_certificate.as_ref();
    Some(Route {
        facts: Arc::new(RouteFacts {
            path: route.path.value.clone(),
            host: route.host.as_ref().map(|host| host.value.clone()),
            upstream: match guard.document() {
                // The actual upstream is part of the client's errors.
                Some(document) if document.summary().chooses_backend => {
                    format!("{}, or what the policy document chose", origin(&route.upstream))
                }
                _ => origin(&route.upstream),
            },
            url: format!("{}{}", origin(&route.upstream), route.upstream.path),
            identity: route
                .identity
                .as_ref()
                .filter(|identity| identity_selector(identity).is_none())
                .map(RouteIdentity::label),
            identity_selector: route.identity.as_ref().and_then(identity_selector),
            metrics: metrics(route, guard.document()),
        }),
        allow_empty_segments: route.allow_empty_segments,
        is_enforced: rules.is_some()
            && !is_shadow
            && guard.document().is_none_or(|document| document.summary().uses_certificate),
        is_shadow,
        policy: guard,
        service,
    })
}

/// Builds the certificate rules of a route; None if they are invalid.
fn guard(
    context: &RouteContext<'_>,
    route: &RouteConfig,
    documents: &mut Memo<Document>,
    findings: &mut Findings,
) -> Option<RoutePolicy> {
    let Some(rules) = &route.client_certificate else { return Some(RoutePolicy::None) };
    match &rules.policy {
        Some(file) => {
            document::document(context, route, rules, file, documents, findings).map(RoutePolicy::Document)
        }
        None => rules::policy(rules, context.roots, context.store, findings).map(RoutePolicy::Rules),
    }
}

/// The count of requests in flight continues over reloads, so that a reload does not double the limit.
fn bounds(config: &Config, route: &RouteConfig, in_flight: &mut Memo<Arc<AtomicUsize>>) -> Bounds {
    let host = route.host.as_ref().map_or("", |host| host.as_str());
    let digest = Digest::of("in flight", [host.as_bytes(), route.path.as_bytes()]);
    let in_flight: Result<_, Infallible> = in_flight.get_or_build(digest, || Ok(Arc::default()));
    Bounds {
        first_byte_timeout: route.limits.first_byte_timeout(&config.limits),
        body_timeout: route.limits.body_timeout(&config.limits),
        request_timeout: route.limits.request_timeout(&config.limits),
        max_requests: route.limits.max_requests,
        in_flight: in_flight.unwrap_or_else(|never| match never {}),
    }
}

/// The upstream as in log and metrics.
pub(super) fn origin(upstream: &UpstreamUrl) -> String {
    format!("{}://{}", upstream.scheme.as_str(), upstream.authority)
}

fn metrics(route: &RouteConfig, document: Option<&Document>) -> RouteMetrics {
    let text = |text: &Option<Located<String>>| text.as_ref().map_or("", |text| text.as_str()).to_owned();
    let identity = match document {
        Some(document) if document.summary().chooses_identity => BY_REQUEST.to_owned(),
        _ => route.identity.as_ref().map(RouteIdentity::label).unwrap_or_default(),
    };
    RouteMetrics::new(&text(&route.host), &route.path, &identity, &route.upstream.authority.to_string())
}

fn identity_selector(identity: &RouteIdentity) -> Option<IdentitySelector> {
    let RouteIdentity::PerRequest(by) = identity else { return None };
    Some(match &by.by {
        IdentitySource::Header(name) => IdentitySelector::Header(name.value.clone()),
        IdentitySource::Claim(claim) => IdentitySelector::Claim(claim.value),
    })
}

fn forwarding(config: &Config, route: &RouteConfig, findings: &mut Findings) -> Option<ReverseProxyLayer> {
    match proxy(&config.proxy, &route.path, &route.upstream) {
        Ok(layer) => Some(if route.preserve_host { layer.preserve_host() } else { layer }),
        Err(problem) => {
            findings.error(&route.upstream, problem, "write https://host:port/path");
            None
        }
    }
}

/// Builds the layer that forwards requests for this path and those below it.
pub(super) fn proxy(proxy: &Proxy, path: &str, upstream: &UpstreamUrl) -> Result<ReverseProxyLayer, String> {
    let text = format!("{}://{}{}", upstream.scheme.as_str(), upstream.authority, upstream.path);
    let parsed = text.parse().map_err(|error| format!("{}: {error}", quoted(&text)))?;
    let forwarded = match (proxy.x_forwarded, proxy.forwarded) {
        (false, false) => Forwarded::Nothing,
        (true, false) => Forwarded::XForwarded,
        (false, true) => Forwarded::Rfc7239,
        (true, true) => Forwarded::Both,
    };
    let layer = ReverseProxyLayer::new(path, parsed).forwarded(forwarded);
    Ok(layer.remove_request_headers(proxy.removed.iter().cloned()))
}

fn identity_layer(
    context: &RouteContext<'_>,
    route: &RouteConfig,
    document: Option<&Document>,
    trusts: &mut UpstreamTrusts<'_>,
    findings: &mut Findings,
) -> Option<IdentityLayer> {
    let layer = choice::layer(route.identity.as_ref(), context.identities, findings);
    let layer = if route.allow_missing_close_notify {
        layer.map(IdentityLayer::allow_missing_close_notify)
    } else {
        layer
    };
    // An upstream that a document chooses is verified like that of the route.
    if route.upstream.scheme == Scheme::Http
        && !document.is_some_and(|document| document.summary().chooses_backend)
    {
        return layer;
    }
    let trust = trusts.of(context.config, route, findings);
    Some(layer?.with_trust(trust?))
}

/// Upstream trusts by their settings: routes with the same settings share connections.
pub(super) struct UpstreamTrusts<'c> {
    /// Those of this load, so that each file is read once.
    built: HashMap<TrustSettings, Option<SharedTrust>>,
    memo: &'c mut Memo<UpstreamTrust>,
    /// By their settings, whatever the files contain.
    shared: &'c mut Memo<Shared<UpstreamTrust>>,
}

/// The value that requests look up, and its content after this load.
type SharedTrust = (Shared<UpstreamTrust>, UpstreamTrust);

type TrustSettings =
    (Vec<PathBuf>, Verify, Option<String>, Option<SpiffeId>, Vec<UpstreamPin>, Option<RouteKey>);

/// Host and path of a route with its own settings: a change ends only its connections.
type RouteKey = (Option<String>, String);

impl<'c> UpstreamTrusts<'c> {
    pub(super) fn new(
        memo: &'c mut Memo<UpstreamTrust>,
        shared: &'c mut Memo<Shared<UpstreamTrust>>,
    ) -> Self {
        Self { built: HashMap::new(), memo, shared }
    }

    /// Returns all trusts of this load.
    pub(super) fn into_all(self) -> Vec<SharedTrust> {
        self.built.into_values().flatten().collect()
    }

    fn of(
        &mut self,
        config: &Config,
        route: &RouteConfig,
        findings: &mut Findings,
    ) -> Option<Shared<UpstreamTrust>> {
        let verify = route.upstream_tls.as_ref().map_or(Verify::Full, |tls| tls.verify);
        let server_name = route.upstream_tls.as_ref().and_then(|tls| tls.server_name.as_ref());
        let server_name = server_name.map(|name| name.value.clone());
        let spiffe_id = route.upstream_tls.as_ref().and_then(|tls| tls.spiffe_id.as_ref());
        let spiffe_id = spiffe_id.map(|id| id.value.clone());
        let pins = route.upstream_tls.as_ref().map_or(&[][..], |tls| &tls.pins);
        let pins = pins.iter().map(|pin| pin.value).collect();
        let files = config.upstream_ca_of(route);
        let route_key = route
            .upstream_tls
            .as_ref()
            .map(|_| (route.host.as_ref().map(|host| host.value.clone()), route.path.value.clone()));
        let files_named = files.iter().map(|file| file.resolved.clone()).collect();
        let settings = (files_named, verify, server_name, spiffe_id, pins, route_key);
        if let Some(built) = self.built.get(&settings) {
            return built.as_ref().map(|(shared, _)| shared.clone());
        }
        let built = self.build(&settings, files, route, findings);
        let built = built.map(|trust| (self.shared(&settings, &trust), trust));
        let shared = built.as_ref().map(|(shared, _)| shared.clone());
        self.built.insert(settings, built);
        shared
    }

    /// Returns the shared value for these settings. Its content is replaced when this load is published.
    fn shared(&mut self, settings: &TrustSettings, trust: &UpstreamTrust) -> Shared<UpstreamTrust> {
        let digest = Digest::of("shared trust", [format!("{settings:?}").as_bytes()]);
        let built: Result<_, Infallible> =
            self.shared.get_or_build(digest, || Ok(Shared::new(trust.clone())));
        built.unwrap_or_else(|never| match never {})
    }

    fn build(
        &mut self,
        settings @ (_, verify, server_name, spiffe_id, pins, _): &TrustSettings,
        files: &[Located<FilePath>],
        route: &RouteConfig,
        findings: &mut Findings,
    ) -> Option<UpstreamTrust> {
        let read = trust::upstreams(files, findings)?;
        let pinned = pins.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ");
        let id = spiffe_id.as_ref().map_or_else(String::new, ToString::to_string);
        let requirements =
            [verify.as_str(), server_name.as_deref().unwrap_or_default(), &id, &pinned].map(str::as_bytes);
        let digest =
            Digest::of("upstream trust", requirements.into_iter().chain(read.iter().map(Vec::as_slice)));
        let built = self.memo.get_or_build(digest, || {
            let mut builder = UpstreamTrust::builder();
            if let Some(name) = server_name {
                builder = builder.with_server_name(name);
            }
            for pin in pins {
                builder = builder.pin(*pin);
            }
            if let Some(id) = spiffe_id {
                builder = builder.spiffe_id(id.clone());
            }
            builder = match verify {
                Verify::Full => builder,
                Verify::Chain => builder.dangerous(UpstreamVerification::ChainOnly),
                Verify::Name => builder.dangerous(UpstreamVerification::NameOnly),
                Verify::None => builder.dangerous(UpstreamVerification::Nothing),
            };
            read.iter().fold(builder, |builder, pem| builder.add_roots_pem(pem)).build()
        });
        let trust = built.map_err(|error| {
            let remedy = "name the upstream's CA in [upstream_tls] ca = [\"FILE\"]";
            findings.error(&route.upstream, error.to_string(), remedy);
        });
        // Equal requirements of other routes stay when these change.
        let text = format!("{settings:?}");
        let digest = Digest::of("upstream trust of these settings", [text.as_bytes(), digest.as_bytes()]);
        let own = self.memo.get_or_build(digest, || trust.map(|trust| trust.renewed()));
        own.ok()
    }
}
