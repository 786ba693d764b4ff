//! Trust in the upstreams of routes.

use std::{
    collections::{BTreeMap, HashMap},
    convert::Infallible,
    path::PathBuf,
    rc::Rc,
};

use tower_mtls::{Shared, UpstreamTrust, certificate::SpiffeId, outbound::UpstreamPin};

use super::{
    cache::{Digest, Memo},
    files::Findings,
    trust,
    verification::trust_builder,
};
use crate::config::{Config, FilePath, Located, RouteConfig, Verify};

/// Upstream trusts by their settings: routes with the same settings share connections.
pub(super) struct UpstreamTrusts<'c> {
    /// Those of this load.
    built: HashMap<TrustSettings, Option<(Digest, SharedTrust)>>,
    /// Valid CA files by their names and lines, so that the general ones are read once.
    roots: HashMap<Vec<(PathBuf, usize)>, PemTexts>,
    memo: &'c mut Memo<UpstreamTrust>,
    /// By their settings, whatever the files contain.
    shared: &'c mut Memo<Shared<UpstreamTrust>>,
}

/// The value that requests look up, and its content after this load.
type SharedTrust = (Shared<UpstreamTrust>, UpstreamTrust);

/// Contents of CA files.
type PemTexts = Rc<Vec<Vec<u8>>>;

type TrustSettings =
    (Vec<PathBuf>, Verify, Option<String>, Option<SpiffeId>, Vec<UpstreamPin>, Option<RouteKey>);

/// Host and path of a route with its own settings: a change ends only its connections.
type RouteKey = (Option<String>, String);

impl<'c> UpstreamTrusts<'c> {
    pub(super) fn new(
        memo: &'c mut Memo<UpstreamTrust>,
        shared: &'c mut Memo<Shared<UpstreamTrust>>,
    ) -> Self {
        Self { built: HashMap::new(), roots: HashMap::new(), memo, shared }
    }

    /// Returns all trusts of this load by the digests of their settings.
    pub(super) fn into_all(self) -> BTreeMap<[u8; 32], SharedTrust> {
        self.built.into_values().flatten().map(|(digest, trust)| (digest.to_bytes(), trust)).collect()
    }

    /// Returns the trust of a route; None if it is invalid, which has been reported.
    pub(super) fn of(
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
            return built.as_ref().map(|(_, (shared, _))| shared.clone());
        }
        let built = self.build(&settings, files, route, findings);
        let built = built.map(|trust| {
            let digest = Digest::of("shared trust", [format!("{settings:?}").as_bytes()]);
            (digest, (self.shared(digest, &trust), trust))
        });
        let shared = built.as_ref().map(|(_, (shared, _))| shared.clone());
        self.built.insert(settings, built);
        shared
    }

    /// Returns the shared value for these settings. Its content is replaced when this load is published.
    fn shared(&mut self, digest: Digest, trust: &UpstreamTrust) -> Shared<UpstreamTrust> {
        let built: Result<_, Infallible> =
            self.shared.get_or_build(digest, || Ok(Shared::new(trust.clone())));
        built.unwrap_or_else(|never| match never {})
    }

    fn roots(&mut self, files: &[Located<FilePath>], findings: &mut Findings) -> Option<PemTexts> {
        let key: Vec<_> = files.iter().map(|file| (file.resolved.clone(), file.line)).collect();
        if let Some(read) = self.roots.get(&key) {
            return Some(read.clone());
        }
        let read = Rc::new(trust::upstreams(files, findings)?);
        self.roots.insert(key, read.clone());
        Some(read)
    }

    fn build(
        &mut self,
        settings @ (_, verify, server_name, spiffe_id, pins, _): &TrustSettings,
        files: &[Located<FilePath>],
        route: &RouteConfig,
        findings: &mut Findings,
    ) -> Option<UpstreamTrust> {
        let read = self.roots(files, findings)?;
        let pinned = pins.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ");
        let id = spiffe_id.as_ref().map_or_else(String::new, ToString::to_string);
        let requirements =
            [verify.as_str(), server_name.as_deref().unwrap_or_default(), &id, &pinned].map(str::as_bytes);
        let digest =
            Digest::of("upstream trust", requirements.into_iter().chain(read.iter().map(Vec::as_slice)));
        let built = self.memo.get_or_build(digest, || {
            let mut builder = trust_builder(*verify);
            if let Some(name) = server_name {
                builder = builder.with_server_name(name);
            }
            for pin in pins {
                builder = builder.pin(*pin);
            }
            if let Some(id) = spiffe_id {
                builder = builder.spiffe_id(id.clone());
            }
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
