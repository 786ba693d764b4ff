//! Routes of the file: policy, forwarding and client identity.

use std::{
    convert::Infallible,
    sync::{Arc, atomic::AtomicUsize},
};

use tower_mtls::{
    IdentityLayer, ReverseProxyLayer,
    apim::{Document, ForwardingLayer},
    outbound::ConnectionShare,
    proxy::Forwarded,
};

use super::{
    cache::{Digest, Memo},
    choice, document,
    files::Findings,
    rate_limits::{self, LimiterMemo},
    route_context::RouteContext,
    rules,
    thumbprint_lists::ThumbprintLists,
    upstream_trusts::UpstreamTrusts,
};
use crate::{
    config::{
        BY_REQUEST, Config, IdentitySource, Located, Mode, Proxy, RequestLimits, RouteConfig, RouteIdentity,
        Scheme, UpstreamUrl, quoted,
    },
    edge::Bounds,
    routing::{Client, IdentitySelector, Route, RouteFacts, RouteLayers, RouteMetrics, RoutePolicy},
};

/// Parts of routes that continue over reloads.
pub(super) struct RouteMemos<'a> {
    pub(super) in_flight: &'a mut Memo<Arc<AtomicUsize>>,
    pub(super) rate_limits: &'a mut LimiterMemo,
    pub(super) documents: &'a mut Memo<Document>,
    pub(super) thumbprints: ThumbprintLists<'a>,
    pub(super) metrics: &'a mut Memo<Arc<RouteMetrics>>,
}

/// Builds a route; None if a part of it is invalid, which has been reported.
pub(super) fn route(
    context: &RouteContext<'_>,
    route: &Located<RouteConfig>,
    trusts: &mut UpstreamTrusts<'_>,
    memos: &mut RouteMemos<'_>,
    findings: &mut Findings,
) -> Option<Route> {
    let config = context.config;
    let policy = policy(context, route, memos, findings);
    let document = policy.as_ref().and_then(RoutePolicy::document);
    if let Some(document) = document {
        rate_limits::check(route, document, findings);
    }
    let identity_layer = identity_layer(context, route, document, trusts, findings);
    let bounds = bounds(route, config.limits.request, memos.in_flight);
    let rate_limits = rate_limits::of_route(route, context.rate_limits, memos.rate_limits);
    let proxy = forwarding(config, route, findings)?;
    let identity = identity_layer?;
    let policy = policy?;
    let identity = identity.with_connection_share(connection_share(context.client, route, policy.document()));
    let is_shadow = route.client_certificate.as_ref().is_some_and(|rules| rules.mode == Mode::Shadow);
    let forwarding = ForwardingLayer::new(context.identities.all().clone());
    let client = context.client.clone();
    let layers = RouteLayers { is_shadow, forwarding, rate_limits, bounds, proxy, identity, client };
    let service = layers.service(&policy, route.host.as_ref().map(|host| host.as_str()), &route.path);
    let rules = route.client_certificate.as_ref();
    Some(Route {
        facts: Arc::new(RouteFacts {
            path: route.path.value.clone(),
            host: route.host.as_ref().map(|host| host.value.clone()),
            upstream: match policy.document() {
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
            metrics: metrics(route, policy.document(), memos.metrics),
        }),
        allow_empty_segments: route.allow_empty_segments,
        is_enforced: rules.is_some()
            && !is_shadow
            && policy.document().is_none_or(|document| document.summary().uses_certificate),
        is_shadow,
        on_revoked: route.on_revoked,
        policy,
        service,
    })
}

/// Builds the policy of a route; None if it is invalid, which has been reported.
fn policy(
    context: &RouteContext<'_>,
    route: &RouteConfig,
    memos: &mut RouteMemos<'_>,
    findings: &mut Findings,
) -> Option<RoutePolicy> {
    let Some(rules) = &route.client_certificate else { return Some(RoutePolicy::None) };
    match &rules.policy {
        Some(file) => {
            let document = document::document(context, route, rules, file, memos.documents, findings);
            document.map(RoutePolicy::Document)
        }
        None => {
            let lists = &mut memos.thumbprints;
            rules::policy(rules, context.roots, context.store, lists, findings).map(RoutePolicy::Rules)
        }
    }
}

/// The share of upstream connections of a route. It continues over reloads.
fn connection_share(client: &Client, route: &RouteConfig, document: Option<&Document>) -> ConnectionShare {
    let host = route.host.as_ref().map_or("", |host| host.as_str());
    let chooses_backend = document.is_some_and(|document| document.summary().chooses_backend);
    share(client, &format!("{host}{}", route.path.value), &route.upstream, chooses_backend)
}

/// The share of upstream connections of the route with this name.
pub(super) fn share(
    client: &Client,
    name: &str,
    upstream: &UpstreamUrl,
    chooses_backend: bool,
) -> ConnectionShare {
    let authority = if chooses_backend { None } else { upstream.authority.parse().ok() };
    client.connection_share(name, authority.as_ref())
}

/// The count of requests in flight continues over reloads, so that a reload does not double the limit.
fn bounds(route: &RouteConfig, general: RequestLimits, in_flight: &mut Memo<Arc<AtomicUsize>>) -> Bounds {
    let host = route.host.as_ref().map_or("", |host| host.as_str());
    let digest = Digest::of("in flight", [host.as_bytes(), route.path.as_bytes()]);
    let in_flight: Result<_, Infallible> = in_flight.get_or_build(digest, || Ok(Arc::default()));
    Bounds {
        limits: route.limits.request,
        general,
        max_requests: route.limits.max_requests,
        in_flight: in_flight.unwrap_or_else(|never| match never {}),
    }
}

/// The upstream as in log and metrics.
pub(super) fn origin(upstream: &UpstreamUrl) -> String {
    format!("{}://{}", upstream.scheme.as_str(), upstream.authority)
}

/// The metrics of a route. They are registered once: that costs more than building its layers.
fn metrics(
    route: &RouteConfig,
    document: Option<&Document>,
    memo: &mut Memo<Arc<RouteMetrics>>,
) -> Arc<RouteMetrics> {
    let host = route.host.as_ref().map_or("", |host| host.as_str());
    let identity = match document {
        Some(document) if document.summary().chooses_identity => BY_REQUEST.to_owned(),
        _ => route.identity.as_ref().map(RouteIdentity::label).unwrap_or_default(),
    };
    let (path, upstream) = (route.path.as_str(), route.upstream.authority.to_string());
    let digest = Digest::of("metrics", [host, path, &identity, &upstream].map(str::as_bytes));
    let build = || Ok::<_, Infallible>(Arc::new(RouteMetrics::new(host, path, &identity, &upstream)));
    let Ok(metrics) = memo.get_or_build(digest, build);
    metrics
}

fn identity_selector(identity: &RouteIdentity) -> Option<IdentitySelector> {
    let RouteIdentity::PerRequest(by) = identity else { return None };
    Some(match &by.by {
        IdentitySource::Header(name) => IdentitySelector::Header(name.value.clone()),
        IdentitySource::Claim(claim) => IdentitySelector::Claim(claim.value),
    })
}

fn forwarding(config: &Config, route: &RouteConfig, findings: &mut Findings) -> Option<ReverseProxyLayer> {
    match proxy(&config.proxy, &route.limits.request, &route.path, &route.upstream) {
        Ok(layer) => Some(if route.preserve_host { layer.preserve_host() } else { layer }),
        Err(problem) => {
            findings.error(&route.upstream, problem, "write https://host:port/path");
            None
        }
    }
}

/// Builds the layer that forwards requests for this path and those below it.
pub(super) fn proxy(
    proxy: &Proxy,
    limits: &RequestLimits,
    path: &str,
    upstream: &UpstreamUrl,
) -> Result<ReverseProxyLayer, String> {
    let text = format!("{}://{}{}", upstream.scheme.as_str(), upstream.authority, upstream.path);
    let parsed = text.parse().map_err(|error| format!("{}: {error}", quoted(&text)))?;
    let forwarded = match (proxy.x_forwarded, proxy.forwarded) {
        (false, false) => Forwarded::Nothing,
        (true, false) => Forwarded::XForwarded,
        (false, true) => Forwarded::Rfc7239,
        (true, true) => Forwarded::Both,
    };
    let layer = ReverseProxyLayer::new(path, parsed)
        .forwarded(forwarded)
        .tunnel_idle_timeout(limits.tunnel_idle_timeout);
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
