//! `gateway.toml`: from text to plain data, or to all errors, each with its line and key. Imports no other room.
//!
//! [`parse`] opens no other file. Later stages read the files that the configuration names, and report errors at the
//! line and key of each name ([`Located`]).

mod apis;
mod chain_requirements;
mod client_certificate;
mod crl_url;
mod defined_names;
mod diagnostic;
mod entry;
mod identity;
mod identity_by;
mod key_files;
mod limits;
mod listener;
mod located;
mod management;
mod names;
mod proof;
mod proxy;
mod quantity;
mod rate_limit;
mod report;
mod revocation;
mod route;
mod route_identity;
mod rule_set;
mod rule_values;
mod section;
mod store;
mod syntax;
mod trust;
mod upstream;
mod upstream_tls;

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use toml::de::DeTable;

pub(crate) use self::apis::Apis;
pub(crate) use self::client_certificate::{CertificateRules, Mode};
pub(crate) use self::crl_url::CrlUrl;
pub(crate) use self::diagnostic::{Diagnostic, Severity, quoted};
pub(crate) use self::identity::IdentityConfig;
pub(crate) use self::identity_by::{Claim, IdentityBy, IdentitySource};
pub(crate) use self::key_files::KeyFiles;
pub(crate) use self::limits::{Limits, RequestLimits};
pub(crate) use self::listener::{CertificateRequest, ListenerConfig};
pub(crate) use self::located::{FilePath, Located};
pub(crate) use self::management::ManagementConfig;
pub(crate) use self::proxy::Proxy;
pub(crate) use self::rate_limit::{RateLimit, RateLimitKey};
pub(crate) use self::revocation::{RevocationCheck, RevocationConfig};
pub(crate) use self::route::{OnRevoked, RouteConfig};
pub(crate) use self::route_identity::{BY_REQUEST, RouteIdentity};
pub(crate) use self::rule_set::{InStore, RuleSet};
pub(crate) use self::store::Store;
pub(crate) use self::trust::Trust;
pub(crate) use self::upstream::{Scheme, UpstreamUrl};
pub(crate) use self::upstream_tls::Verify;

use self::defined_names::DefinedNames;
use self::report::{KnownSections, Report};
use self::section::Section;
use crate::file;

/// The largest number of worker threads.
const MAX_WORKERS: usize = 1_024;

/// The size limit of a configuration file, in bytes.
const MAX_SIZE: usize = 4 * 1024 * 1024;

/// The top-level keys.
const KEYS: &[&str] = &[
    "workers",
    "listener",
    "management",
    "store",
    "apis",
    "trust",
    "identities",
    "upstream_tls",
    "routes",
    "limits",
    "proxy",
];

/// The sections of the file, with their keys; the top comes first.
const SECTIONS: KnownSections = &[
    ("the top of the file", KEYS),
    ("[listener]", listener::KEYS),
    ("[management]", management::KEYS),
    ("[store]", store::KEYS),
    ("[apis]", apis::KEYS),
    ("[trust.NAME]", trust::KEYS),
    ("[identities.NAME]", identity::KEYS),
    ("[[routes]]", route::KEYS),
    ("[routes.upstream_tls]", upstream_tls::KEYS),
    ("[routes.identity_by]", identity_by::KEYS),
    ("[routes.client_certificate]", client_certificate::KEYS),
    ("[limits]", limits::KEYS),
    ("[routes.limits]", limits::ROUTE_KEYS),
    ("rate_limit", rate_limit::KEYS),
    ("[proxy]", proxy::KEYS),
];

/// A valid configuration. The files that it names have not been opened yet.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Config {
    pub(crate) file: PathBuf,
    /// Number of worker threads; None: as many as there are CPUs for the process.
    pub(crate) workers: Option<usize>,
    pub(crate) listener: ListenerConfig,
    /// The management listener, if any.
    pub(crate) management: Option<ManagementConfig>,
    /// The store of certificates and APIs that are added at run time, if any.
    pub(crate) store: Option<Located<Store>>,
    /// Settings of the APIs in the store.
    pub(crate) apis: Apis,
    /// Sets of CAs, by name.
    pub(crate) trust: BTreeMap<String, Located<Trust>>,
    /// Identities, by name.
    pub(crate) identities: BTreeMap<String, Located<IdentityConfig>>,
    /// CAs of upstreams, for routes without their own; empty: the system's roots.
    pub(crate) upstream_ca: Vec<Located<FilePath>>,
    /// Routes in file order; at least one.
    pub(crate) routes: Vec<Located<RouteConfig>>,
    pub(crate) limits: Limits,
    /// Rate limits of the routes without their own.
    pub(crate) rate_limits: Vec<Located<RateLimit>>,
    /// Request headers towards upstreams.
    pub(crate) proxy: Proxy,
}

impl Config {
    /// The CAs that a route trusts for its upstream: its own, or else the general ones; empty: the system's roots.
    pub(crate) fn upstream_ca_of<'a>(&'a self, route: &'a RouteConfig) -> &'a [Located<FilePath>] {
        match &route.upstream_tls {
            Some(tls) if !tls.ca.is_empty() => &tls.ca,
            _ => &self.upstream_ca,
        }
    }
}

/// The text of a configuration file, or the error of reading it.
pub(crate) type Text = Result<String, Box<Diagnostic>>;

/// Reads and parses the file. Returns a configuration exactly if no diagnostic is an error.
pub(crate) fn read(file: &Path) -> (Option<Config>, Vec<Diagnostic>) {
    match text(file) {
        Ok(text) => parse(file, &text),
        Err(error) => (None, vec![*error]),
    }
}

/// Reads the file's text.
pub(crate) fn text(file: &Path) -> Text {
    let fail = |line, problem: String, remedy: &str| {
        let (severity, key, file) = (Severity::Error, String::new(), file.to_owned());
        Err(Box::new(Diagnostic { severity, file, line, key, problem, remedy: remedy.to_owned() }))
    };
    let bytes = match file::read(file, MAX_SIZE) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::FileTooLarge => {
            return fail(1, "is larger than 4 MiB".to_owned(), "name a gateway.toml");
        }
        Err(error) => return fail(1, format!("cannot be read: {error}"), "name a readable file"),
    };
    match std::str::from_utf8(&bytes) {
        Ok(text) => Ok(text.to_owned()),
        Err(error) => {
            let before = bytes.iter().take(error.valid_up_to());
            let line = 1 + before.filter(|byte| **byte == b'\n').count();
            fail(line, "is not UTF-8".to_owned(), "save the file as UTF-8")
        }
    }
}

/// Parses the text of the file. `file` is its name in messages; relative paths start at its folder.
///
/// Collects all errors. Returns a configuration exactly if no diagnostic is an error.
pub(crate) fn parse(file: &Path, text: &str) -> (Option<Config>, Vec<Diagnostic>) {
    let (table, errors) = DeTable::parse_recoverable(text);
    let report = Report::new(file, text, &errors, SECTIONS);
    let config = read_top(Section::top(&report, KEYS, table.into_inner()), file);
    let diagnostics = report.finish();
    let is_sound = !diagnostics.iter().any(Diagnostic::is_error);
    (config.filter(|_| is_sound), diagnostics)
}

/// Reads all sections. Errors are possible even if it returns a configuration.
fn read_top(mut top: Section<'_, '_>, file: &Path) -> Option<Config> {
    if !top.has_similar("listener") {
        let remedy = "add [listener] with address, certificate and private_key";
        top.report.missing(1, "listener", "is missing", remedy);
    }
    let workers = top.integer("workers", 1, MAX_WORKERS);
    let listener = top.section("listener", listener::KEYS).map(ListenerConfig::read);
    let (listener, handshake) = listener.unzip();
    let listener = listener.flatten();
    let trust = named_sections(&mut top, "trust", trust::KEYS, Trust::read);
    let identities = named_sections(&mut top, "identities", identity::KEYS, IdentityConfig::read);
    let upstream_ca = top.section("upstream_tls", upstream_tls::DEFAULT_KEYS).map(upstream_tls::read_default);
    let has_store = top.has_similar("store");
    let store = top.nested("store", store::KEYS, Store::read);
    let mut limits = top.section("limits", limits::KEYS);
    let rate_limits = limits.as_mut().and_then(rate_limit::read).unwrap_or_default();
    let limits = limits.map(Limits::read).unwrap_or_default();
    let names = DefinedNames {
        trust: trust.keys().cloned().collect(),
        has_store,
        identities: identities.keys().cloned().collect(),
        certificate_request: handshake.as_ref().map(|handshake| handshake.request.value).unwrap_or_default(),
        request_limits: limits.request,
    };
    names.check_trust(handshake.as_ref().and_then(|handshake| handshake.trust.as_ref()), top.report);
    for set in trust.values().flatten() {
        set.revocation.check_identity(&names, top.report);
    }
    let apis = top.section("apis", apis::KEYS).map(|section| Apis::read(section, &names));
    let routes = route::read_all(&mut top, &names);
    let management =
        top.section("management", management::KEYS).map(|section| ManagementConfig::read(section, &names));
    if let (Some(Some(management)), Some(listener)) = (&management, &listener) {
        management.reject_address_of(listener, &top);
    }
    let proxy = top.section("proxy", proxy::KEYS).map(Proxy::read).unwrap_or_default();
    proxy.reject_removed_selectors(&routes, top.report);
    if !has_store && routes.iter().all(|route| route.client_certificate.is_none()) {
        rate_limit::warn_by_certificate(&rate_limits, top.report);
    }
    top.finish();
    Some(Config {
        file: file.to_owned(),
        workers,
        listener: listener?,
        management: match management {
            Some(management) => Some(management?),
            None => None,
        },
        store: if has_store { Some(store?) } else { None },
        apis: apis.unwrap_or_default(),
        trust: valid(trust),
        identities: valid(identities),
        upstream_ca: upstream_ca.unwrap_or_default(),
        routes,
        limits,
        rate_limits,
        proxy,
    })
}

/// Reads a table of named sections. An invalid section keeps its name, with None.
fn named_sections<'t, T>(
    top: &mut Section<'_, 't>,
    name: &str,
    known: &'static [&'static str],
    read: impl Fn(Section<'_, 't>) -> Option<T>,
) -> BTreeMap<String, Option<Located<T>>> {
    let report = top.report;
    let Some(mut section) = top.section(name, &[]) else {
        return BTreeMap::new();
    };
    let mut found = BTreeMap::new();
    for (section_name, entry) in section.take_all() {
        if !entry.value.is_table() {
            let problem = format!("is not in a section [{name}.NAME]");
            report.error(
                entry.line,
                &entry.key,
                problem,
                format!("write [{name}.NAME], with a name, above it"),
            );
            continue;
        }
        if !names::is_name(&section_name) {
            let remedy = "write a name of up to 64 letters, digits, hyphens and underscores";
            report.error(entry.line, &entry.key, "is not a valid name", remedy);
        }
        let (line, key) = (entry.line, entry.key.clone());
        let value = Section::of(entry, report, known).and_then(&read);
        found.insert(section_name, value.map(|value| Located { value, line, key }));
    }
    found
}

/// The valid sections.
fn valid<T>(sections: BTreeMap<String, Option<T>>) -> BTreeMap<String, T> {
    sections.into_iter().filter_map(|(name, section)| Some((name, section?))).collect()
}

#[cfg(test)]
mod tests;
