//! A route's way to its upstream.

use std::{
    collections::HashMap,
    convert::Infallible,
    path::PathBuf,
    sync::{Arc, atomic::AtomicUsize},
};

use tower::{Layer, ServiceBuilder};
use tower_mtls::{
    IdentityLayer, RequireCertificateLayer, ReverseProxyLayer, UpstreamTrust,
    apim::{ApimPolicyLayer, Document, ForwardingLayer},
    danger::UpstreamVerification,
    outbound::{RetryIdempotent, SharedUpstreamTrust, UpstreamPin},
    proxy::Forwarded,
};

use super::{
    Named,
    cache::{Digest, Memo},
    choice::{self, Known},
    document::{self, Deployment},
    files::Findings,
    rules,
    trust::{self, Roots},
};
use crate::{
    config::{
        BY_REQUEST, By, Config, FilePath, Located, Mode, Proxy, Route as RouteConfig, RouteIdentity, Scheme,
        Upstream, Verify, quoted,
    },
    serve::{
        Bounds, Client, Guard, IdentitySelector, Route, RouteFacts, RouteMeasures, RouteService,
        UnverifiedLayer,
    },
    store::Published,
};

/// What routes are built from.
pub(super) struct Parts<'a> {
    pub(super) config: &'a Config,
    pub(super) roots: &'a Named<Roots>,
    pub(super) store: &'a Arc<Published>,
    pub(super) identities: &'a Known,
    pub(super) deployment: &'a Deployment,
    pub(super) client: &'a Client,
}

/// Builds a route; None if anything it needs is broken, which has been reported by then.
pub(super) fn route(
    parts: &Parts<'_>,
    route: &Located<RouteConfig>,
    trusts: &mut UpstreamTrusts<'_>,
    in_flight: &mut Memo<Arc<AtomicUsize>>,
    documents: &mut Memo<Document>,
    findings: &mut Findings,
) -> Option<Route> {
    let config = parts.config;
    let guard = guard(parts, route, documents, findings);
    let document = guard.as_ref().and_then(Guard::document);
    let calling = calling(parts, route, document, trusts, findings);
    let to_upstream = ServiceBuilder::new()
        .layer(bounds(config, route, in_flight))
        .layer(forwarding(config, route, findings)?)
        .retry(RetryIdempotent::default())
        .layer(calling?)
        .service(parts.client.clone());
    let guard = guard?;
    let is_shadow = route.client_certificate.as_ref().is_some_and(|rules| rules.mode == Mode::Shadow);
    let host = route.host.as_ref().map_or("", |host| host.as_str());
    let unverified = |is_anchored| UnverifiedLayer::new(is_anchored, host, &route.path);
    let service = match &guard {
        Guard::Nothing => RouteService::Open(to_upstream),
        Guard::Rules(policy) => {
            let layer = RequireCertificateLayer::new(policy.clone());
            let layer = if is_shadow { layer.shadow() } else { layer };
            RouteService::Guarded(layer.layer(unverified(policy.is_anchored()).layer(to_upstream)))
        }
        Guard::Document(document) => {
            let layer = ApimPolicyLayer::new(document.clone());
            let layer = if is_shadow { layer.shadow() } else { layer };
            let forwarding = ForwardingLayer::new(parts.identities.all().clone());
            let inside = unverified(document.summary().is_anchored).layer(forwarding.layer(to_upstream));
            RouteService::Policy(layer.layer(inside))
        }
    };
    let rules = route.client_certificate.as_ref();
    Some(Route {
        facts: Arc::new(RouteFacts {
            path: route.path.value.clone(),
            host: route.host.as_ref().map(|host| host.value.clone()),
            upstream: match guard.document() {
                // Which one it was is counted with the client's own errors.
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
            measures: measures(route, guard.document()),
        }),
        allow_empty_segments: route.allow_empty_segments,
        is_enforced: rules.is_some()
            && !is_shadow
            && guard.document().is_none_or(|document| document.summary().uses_certificate),
        is_shadow,
        guard,
        service,
    })
}

/// What stands between callers and the route; None if it is broken.
fn guard(
    parts: &Parts<'_>,
    route: &RouteConfig,
    documents: &mut Memo<Document>,
    findings: &mut Findings,
) -> Option<Guard> {
    let Some(rules) = &route.client_certificate else { return Some(Guard::Nothing) };
    match &rules.policy {
        Some(file) => document::document(parts, route, rules, file, documents, findings).map(Guard::Document),
        None => rules::policy(rules, parts.roots, parts.store, findings).map(Guard::Rules),
    }
}

/// Requests are counted on when the route changes, so that a reload does not let in twice as many.
fn bounds(config: &Config, route: &RouteConfig, in_flight: &mut Memo<Arc<AtomicUsize>>) -> Bounds {
    let host = route.host.as_ref().map_or("", |host| host.as_str());
    let digest = Digest::of("in flight", [host.as_bytes(), route.path.as_bytes()]);
    let in_flight: Result<_, Infallible> = in_flight.get_or_make(digest, || Ok(Arc::default()));
    Bounds {
        first_byte: route.limits.first_byte_timeout(&config.limits),
        body: route.limits.body_timeout(&config.limits),
        whole: route.limits.request_timeout(&config.limits),
        requests: route.limits.max_requests,
        in_flight: in_flight.unwrap_or_else(|never| match never {}),
    }
}

/// The upstream, as log and metrics have it.
pub(super) fn origin(upstream: &Upstream) -> String {
    format!("{}://{}", upstream.scheme.as_str(), upstream.authority)
}

fn measures(route: &RouteConfig, document: Option<&Document>) -> RouteMeasures {
    let text = |text: &Option<Located<String>>| text.as_ref().map_or("", |text| text.as_str()).to_owned();
    let identity = match document {
        Some(document) if document.summary().chooses_identity => BY_REQUEST.to_owned(),
        _ => route.identity.as_ref().map(RouteIdentity::label).unwrap_or_default(),
    };
    RouteMeasures::new(&text(&route.host), &route.path, &identity, &route.upstream.authority.to_string())
}

fn identity_selector(identity: &RouteIdentity) -> Option<IdentitySelector> {
    let RouteIdentity::By(by) = identity else { return None };
    Some(match &by.by {
        By::Header(name) => IdentitySelector::Header(name.value.clone()),
        By::Claim(claim) => IdentitySelector::Claim(claim.value),
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

/// What sends requests for this path and below it on to an upstream.
pub(super) fn proxy(proxy: &Proxy, path: &str, upstream: &Upstream) -> Result<ReverseProxyLayer, String> {
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

fn calling(
    parts: &Parts<'_>,
    route: &RouteConfig,
    document: Option<&Document>,
    trusts: &mut UpstreamTrusts<'_>,
    findings: &mut Findings,
) -> Option<IdentityLayer> {
    let layer = choice::layer(route.identity.as_ref(), parts.identities, findings);
    let layer = if route.allow_missing_close_notify {
        layer.map(IdentityLayer::allow_missing_close_notify)
    } else {
        layer
    };
    // Another upstream that a document chooses is judged as the route's own would be.
    if route.upstream.scheme == Scheme::Http
        && !document.is_some_and(|document| document.summary().chooses_backend)
    {
        return layer;
    }
    let trust = trusts.of(parts.config, route, findings);
    Some(layer?.with_trust(trust?))
}

/// Upstream trusts by what they were made of: routes with the same settings share their connections.
pub(super) struct UpstreamTrusts<'c> {
    /// Those of this load, so that each file is read once.
    made: HashMap<Settings, Option<Shared>>,
    kept: &'c mut Memo<UpstreamTrust>,
    /// By their settings, whatever the files say.
    shared: &'c mut Memo<SharedUpstreamTrust>,
}

/// What requests look up, and what it is to be from now on.
type Shared = (SharedUpstreamTrust, UpstreamTrust);

type Settings = (Vec<PathBuf>, Verify, Option<String>, Vec<UpstreamPin>, Option<Place>);

/// Host and path of a route with settings of its own: when they change, only its connections end.
type Place = (Option<String>, String);

impl<'c> UpstreamTrusts<'c> {
    pub(super) fn new(kept: &'c mut Memo<UpstreamTrust>, shared: &'c mut Memo<SharedUpstreamTrust>) -> Self {
        Self { made: HashMap::new(), kept, shared }
    }

    /// All that were made.
    pub(super) fn into_all(self) -> Vec<Shared> {
        self.made.into_values().flatten().collect()
    }

    fn of(
        &mut self,
        config: &Config,
        route: &RouteConfig,
        findings: &mut Findings,
    ) -> Option<SharedUpstreamTrust> {
        let verify = route.upstream_tls.as_ref().map_or(Verify::Full, |tls| tls.verify);
        let server_name = route.upstream_tls.as_ref().and_then(|tls| tls.server_name.as_ref());
        let server_name = server_name.map(|name| name.value.clone());
        let pins = route.upstream_tls.as_ref().map_or(&[][..], |tls| &tls.pins);
        let pins = pins.iter().map(|pin| pin.value).collect();
        let files = config.upstream_ca_of(route);
        let place = route
            .upstream_tls
            .as_ref()
            .map(|_| (route.host.as_ref().map(|host| host.value.clone()), route.path.value.clone()));
        let files_named = files.iter().map(|file| file.resolved.clone()).collect();
        let settings = (files_named, verify, server_name, pins, place);
        if let Some(made) = self.made.get(&settings) {
            return made.as_ref().map(|(shared, _)| shared.clone());
        }
        let made = self.make(&settings, files, route, findings);
        let made = made.map(|trust| (self.shared(&settings, &trust), trust));
        let shared = made.as_ref().map(|(shared, _)| shared.clone());
        self.made.insert(settings, made);
        shared
    }

    /// What an earlier load made for these settings; it is replaced when this one is published.
    fn shared(&mut self, settings: &Settings, trust: &UpstreamTrust) -> SharedUpstreamTrust {
        let digest = Digest::of("shared trust", [format!("{settings:?}").as_bytes()]);
        let made: Result<_, Infallible> =
            self.shared.get_or_make(digest, || Ok(SharedUpstreamTrust::new(trust.clone())));
        made.unwrap_or_else(|never| match never {})
    }

    fn make(
        &mut self,
        settings @ (_, verify, server_name, pins, _): &Settings,
        files: &[Located<FilePath>],
        route: &RouteConfig,
        findings: &mut Findings,
    ) -> Option<UpstreamTrust> {
        let read = trust::upstreams(files, findings)?;
        let pinned = pins.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ");
        let demands =
            [verify.as_str(), server_name.as_deref().unwrap_or_default(), &pinned].map(str::as_bytes);
        let digest = Digest::of("upstream trust", demands.into_iter().chain(read.iter().map(Vec::as_slice)));
        let made = self.kept.get_or_make(digest, || {
            let mut builder = UpstreamTrust::builder();
            if let Some(name) = server_name {
                builder = builder.with_server_name(name);
            }
            for pin in pins {
                builder = builder.pin(*pin);
            }
            builder = match verify {
                Verify::Full => builder,
                Verify::Chain => builder.dangerous(UpstreamVerification::ChainOnly),
                Verify::Name => builder.dangerous(UpstreamVerification::NameOnly),
                Verify::None => builder.dangerous(UpstreamVerification::Nothing),
            };
            read.iter().fold(builder, |builder, pem| builder.add_roots_pem(pem)).build()
        });
        let trust = made.map_err(|error| {
            let remedy = "name the upstream's CA in [upstream_tls] ca = [\"FILE\"]";
            findings.error(&route.upstream, error.to_string(), remedy);
        });
        // The same demands elsewhere may stay when these change.
        let place = format!("{settings:?}");
        let digest = Digest::of("upstream trust of these settings", [place.as_bytes(), digest.as_bytes()]);
        let own = self.kept.get_or_make(digest, || trust.map(|trust| trust.renewed()));
        own.ok()
    }
}
