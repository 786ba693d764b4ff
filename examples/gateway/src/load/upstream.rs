//! A route's way to its back end.

use std::{collections::HashMap, path::PathBuf};

use hyper::body::Incoming;
use tower::{Layer, ServiceBuilder};
use tower_mtls::{
    BackEndTrust, IdentityLayer, MtlsClient, RequireCertificateLayer, ReverseProxyLayer, TrustAnchors,
    danger::BackEndVerification,
    outbound::BackEndPin,
    proxy::{Forwarded, ProxyBody},
};

use super::{
    Named, advice,
    choice::{self, Known},
    files::Findings,
    rules,
};
use crate::{
    config::{Config, Located, Mode, Proxy, Route as RouteConfig, Scheme, Verify, quoted},
    serve::{Route, RouteService},
};

/// Builds a route; None if anything it needs is broken, which has been reported by then.
pub(super) fn route(
    config: &Config,
    route: &Located<RouteConfig>,
    anchors: &Named<TrustAnchors>,
    identities: &Known,
    trusts: &mut BackEndTrusts,
    client: &MtlsClient<ProxyBody<Incoming>>,
    findings: &mut Findings,
) -> Option<Route> {
    let policy = route.client_certificate.as_ref().map(|rules| rules::policy(rules, anchors, findings));
    let calling = calling(config, route, identities, trusts, findings);
    let to_back_end = ServiceBuilder::new()
        .layer(forwarding(config, route, findings)?)
        .layer(calling?)
        .service(client.clone());
    let policy = match policy {
        Some(policy) => Some(policy?),
        None => None,
    };
    let service = match (&policy, &route.client_certificate) {
        (Some(policy), Some(rules)) => {
            let layer = RequireCertificateLayer::new(policy.clone());
            let layer = match rules.mode {
                Mode::Enforce => layer,
                Mode::Shadow => layer.shadow(),
            };
            RouteService::Guarded(layer.layer(to_back_end))
        }
        _ => RouteService::Open(to_back_end),
    };
    Some(Route {
        path: route.path.value.clone(),
        upstream: format!("{}://{}", route.upstream.scheme.as_str(), route.upstream.authority),
        allow_empty_segments: route.allow_empty_segments,
        policy,
        service,
    })
}

fn forwarding(config: &Config, route: &RouteConfig, findings: &mut Findings) -> Option<ReverseProxyLayer> {
    let upstream = &route.upstream;
    let text = format!("{}://{}{}", upstream.scheme.as_str(), upstream.authority, upstream.path);
    let parsed = match text.parse() {
        Ok(parsed) => parsed,
        Err(error) => {
            findings.error(upstream, format!("{}: {error}", quoted(&text)), "write https://host:port/path");
            return None;
        }
    };
    let layer = ReverseProxyLayer::new(&route.path, parsed).forwarded(match config.proxy {
        Proxy { x_forwarded: false, forwarded: false } => Forwarded::Nothing,
        Proxy { x_forwarded: true, forwarded: false } => Forwarded::XForwarded,
        Proxy { x_forwarded: false, forwarded: true } => Forwarded::Rfc7239,
        Proxy { x_forwarded: true, forwarded: true } => Forwarded::Both,
    });
    Some(if route.preserve_host { layer.preserve_host() } else { layer })
}

fn calling(
    config: &Config,
    route: &RouteConfig,
    identities: &Known,
    trusts: &mut BackEndTrusts,
    findings: &mut Findings,
) -> Option<IdentityLayer> {
    let layer = choice::layer(route.identity.as_ref(), identities, findings);
    match route.upstream.scheme {
        Scheme::Https => {
            let trust = trusts.of(config, route, findings);
            Some(layer?.with_trust(trust?))
        }
        Scheme::Http => layer,
    }
}

/// Back-end trusts by what they were made of: routes with the same settings share their connections.
#[derive(Debug, Default)]
pub(super) struct BackEndTrusts(HashMap<Settings, Option<BackEndTrust>>);

type Settings = (Vec<PathBuf>, Verify, Option<String>, Vec<BackEndPin>);

impl BackEndTrusts {
    fn of(&mut self, config: &Config, route: &RouteConfig, findings: &mut Findings) -> Option<BackEndTrust> {
        let verify = route.upstream_tls.as_ref().map_or(Verify::Full, |tls| tls.verify);
        let server_name = route.upstream_tls.as_ref().and_then(|tls| tls.server_name.as_ref());
        let pins = route.upstream_tls.as_ref().map_or(&[][..], |tls| &tls.pins);
        let files = config.upstream_ca_of(route);
        let settings = (
            files.iter().map(|file| file.resolved.clone()).collect(),
            verify,
            server_name.map(|name| name.value.clone()),
            pins.iter().map(|pin| pin.value).collect(),
        );
        if let Some(made) = self.0.get(&settings) {
            return made.clone();
        }
        let made = Self::make(config, route, findings);
        self.0.insert(settings, made.clone());
        made
    }

    fn make(config: &Config, route: &RouteConfig, findings: &mut Findings) -> Option<BackEndTrust> {
        let mut builder = BackEndTrust::builder();
        if let Some(tls) = &route.upstream_tls {
            if let Some(name) = &tls.server_name {
                builder = builder.with_server_name(name.as_str());
            }
            for pin in &tls.pins {
                builder = builder.pin(pin.value);
            }
            builder = match tls.verify {
                Verify::Full => builder,
                Verify::Chain => builder.dangerous(BackEndVerification::ChainOnly),
                Verify::Name => builder.dangerous(BackEndVerification::NameOnly),
                Verify::None => builder.dangerous(BackEndVerification::Nothing),
            };
        }
        let mut is_sound = true;
        for file in config.upstream_ca_of(route) {
            let Some(pem) = findings.read(file) else {
                is_sound = false;
                continue;
            };
            if let Err(error) = BackEndTrust::from_pem(&pem) {
                let problem = format!("{}: {error}", quoted(&file.written));
                findings.error(file, problem, "name a PEM file of CA certificates");
                is_sound = false;
            }
            advice::on_authorities(file, &pem, findings);
            builder = builder.add_roots_pem(&pem);
        }
        if !is_sound {
            return None;
        }
        match builder.build() {
            Ok(trust) => Some(trust),
            Err(error) => {
                let remedy = "name the back end's CA in [upstream_tls] ca = [\"FILE\"]";
                findings.error(&route.upstream, error.to_string(), remedy);
                None
            }
        }
    }
}
