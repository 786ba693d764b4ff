//! From a configuration file to what serves: reads all that it names, or says all that is wrong.

mod advice;
mod cache;
mod choice;
mod document;
mod endpoint;
mod files;
mod fingerprint;
mod key_pair;
mod publication;
mod rows;
mod rules;
mod trust;
mod upstream;

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use tower_mtls::MtlsClient;

pub(crate) use self::{
    cache::Cache,
    choice::explain as explain_choice,
    endpoint::Endpoint,
    fingerprint::{Fingerprint, Fingerprints, fingerprints},
    publication::Publication,
};
use self::{
    cache::Digest,
    choice::Known,
    document::Deployed,
    files::Findings,
    key_pair::Pair,
    trust::Roots,
    upstream::{BackEndTrusts, Parts},
};
use crate::{
    config::{self, Config, Diagnostic, Limits},
    management::Access,
    routes::RouteTable,
    serve::{Client, Expiry, Site, back_end_connections},
};

/// A configuration that is ready to serve.
#[derive(Debug)]
pub(crate) struct Loaded {
    /// The file it was read from.
    pub(crate) file: PathBuf,
    /// Its text.
    pub(crate) text: String,
    pub(crate) listener: Endpoint,
    pub(crate) management: Option<(Endpoint, Access)>,
    pub(crate) limits: Limits,
    pub(crate) site: Site,
    pub(crate) publication: Publication,
}

/// What came of loading a file.
#[derive(Debug)]
pub(crate) struct Outcome {
    /// There exactly if no finding is an error.
    pub(crate) loaded: Option<Loaded>,
    pub(crate) findings: Vec<Diagnostic>,
    /// Every file that was read, in the state it was in before that.
    pub(crate) read: Fingerprints,
}

/// Loads the file, and reuses what an earlier load made of the same contents.
pub(crate) fn load(file: &Path, cache: &mut Cache) -> Outcome {
    let state = Fingerprint::of(file);
    let (config, diagnostics) = config::read(file);
    let mut findings = Findings::new(file, diagnostics);
    let loaded = config.and_then(|config| build(&config, cache, &mut findings));
    let (findings, mut read) = findings.finish();
    read.insert(file.to_owned(), state);
    let is_sound = !findings.iter().any(Diagnostic::is_error);
    Outcome { loaded: loaded.filter(|_| is_sound), findings, read }
}

/// What the sections of the file are by name; None for one that is broken.
type Named<T> = BTreeMap<String, Option<T>>;

/// Builds whatever can be built, so that all errors are found at once.
fn build(config: &Config, cache: &mut Cache, findings: &mut Findings) -> Option<Loaded> {
    let listener = endpoint::listener(config, cache, findings);
    let roots: Named<Roots> = config
        .trust
        .iter()
        .map(|(name, set)| (name.clone(), trust::roots(&set.ca, &mut cache.anchors, findings)))
        .collect();
    let identities: Named<Pair> = config
        .identities
        .iter()
        .map(|(name, identity)| {
            (name.clone(), key_pair::named(name, &identity.files, &mut cache.identities, findings))
        })
        .collect();
    let known = Known::new(&identities, cache.shared_identities.clone());
    let deployed = Deployed::new(&identities);
    // A document may use any of them.
    let has_document = config.routes.iter().any(|route| route.policy().is_some());
    for (name, identity) in &config.identities {
        if !has_document && !config.routes.iter().any(|route| route.identities().contains(&name.as_str())) {
            findings.note(identity, "no route uses this identity", "");
        }
    }
    let management = config
        .management
        .as_ref()
        .map(|management| endpoint::management(config, management, &roots, cache, findings));
    let client = client(&config.limits, cache);
    let parts = Parts { config, roots: &roots, identities: &known, deployed: &deployed, client: &client };
    let mut trusts = BackEndTrusts::new(&mut cache.back_end_trusts, &mut cache.shared_trusts);
    let (in_flight, documents) = (&mut cache.in_flight, &mut cache.documents);
    let routes: Vec<_> = config
        .routes
        .iter()
        .map(|route| upstream::route(&parts, route, &mut trusts, in_flight, documents, findings))
        .collect();
    let shared_trusts = trusts.into_all();
    let trusts = shared_trusts.iter().map(|(_, trust)| trust.clone()).collect();
    let paths = config.routes.iter().map(|route| {
        let host = route.host.as_ref().map(|host| host.value.clone());
        (host, route.path.value.clone())
    });
    let table = RouteTable::new(paths);
    let listener = listener?;
    let management = match management {
        Some(management) => Some(management?),
        None => None,
    };
    let identities: BTreeMap<_, _> =
        identities.into_iter().filter_map(|(name, pair)| Some((name, pair?.identity))).collect();
    let mut expiries: Vec<_> = identities
        .iter()
        .map(|(name, identity)| Expiry::of_identity(name, identity.certificate().validity().not_after))
        .collect();
    expiries.push(Expiry::of_listener("main", listener.not_after));
    expiries.extend(management.iter().map(|(at, _)| Expiry::of_listener("management", at.not_after)));
    let routes = routes.into_iter().collect::<Option<_>>()?;
    let site = Site { table, routes, client, identities, trusts, expiries };
    let publication = Publication { shared: cache.shared_identities.clone(), trusts: shared_trusts };
    Some(Loaded {
        file: config.file.clone(),
        text: config.text.clone(),
        listener,
        management,
        limits: config.limits,
        site,
        publication,
    })
}

/// The client of all routes, with its connections: the same as before unless its own settings changed.
fn client(limits: &Limits, cache: &mut Cache) -> Client {
    let timeouts =
        [limits.connect_timeout, limits.handshake_timeout, limits.idle_timeout, limits.drain_timeout];
    let most = limits.max_back_end_connections;
    let settings = format!("{timeouts:?} {most:?}");
    let digest = Digest::of("client", [settings.as_bytes()]);
    let made: Result<_, std::convert::Infallible> = cache.clients.get_or_make(digest, || {
        let [connect, handshake, idle, drain] = timeouts;
        let client = MtlsClient::builder()
            .with_connect_timeout(connect)
            .with_handshake_timeout(handshake)
            .with_idle_timeout(idle)
            .with_drain_timeout(drain)
            // One caller's connection can ask for many of back ends: all of them fit into the open files as well.
            .with_max_total_connections(back_end_connections());
        Ok(match most {
            Some(most) => client.with_max_connections(most).build(),
            None => client.build(),
        })
    });
    match made {
        Ok(client) => client,
        Err(never) => match never {},
    }
}

#[cfg(test)]
mod tests;
