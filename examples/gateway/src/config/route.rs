//! `[[routes]]`: requests, upstreams, identities and certificate rules.

use std::collections::HashMap;

use toml::de::DeValue;
use tower_mtls::proxy::NormalizedPath;

use super::client_certificate::{self, CertificateRules};
use super::defined_names::DefinedNames;
use super::diagnostic::quoted;
use super::entry::{Entry, checked};
use super::limits::{self, RouteLimits};
use super::listener::CertificateRequest;
use super::located::{FilePath, Located};
use super::names;
use super::rate_limit;
use super::route_identity::{self, RouteIdentity};
use super::section::Section;
use super::upstream::{Scheme, UpstreamUrl};
use super::upstream_tls::{self, UpstreamTls};

pub(crate) const KEYS: &[&str] = &[
    "path",
    "host",
    "upstream",
    "preserve_host",
    "upstream_close",
    "identity",
    "identity_by",
    "allow_empty_segments",
    "limits",
    "upstream_tls",
    "client_certificate",
    "on_revoked",
];

/// Requests in flight whose caller would not be admitted any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum OnRevoked {
    /// They are cut.
    #[default]
    Cut,
    /// They finish.
    Finish,
}

impl OnRevoked {
    /// Takes the key `on_revoked`.
    pub(super) fn read(section: &mut Section<'_, '_>) -> Self {
        let choice = section.choice("on_revoked", &[("cut", Self::Cut), ("finish", Self::Finish)]);
        choice.map(|choice| choice.value).unwrap_or_default()
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RouteConfig {
    /// The host in its normal form (see [`crate::host::normal_host`]); None: any.
    pub(crate) host: Option<Located<String>>,
    /// The normalized path, without trailing `/` unless it is the root.
    pub(crate) path: Located<String>,
    pub(crate) upstream: Located<UpstreamUrl>,
    /// Whether the upstream receives the caller's `Host`; if not, its own.
    pub(crate) preserve_host: bool,
    /// Whether a response is allowed to end by a close without TLS `close_notify`.
    pub(crate) allow_missing_close_notify: bool,
    /// The client identity towards the upstream; None: anonymous.
    pub(crate) identity: Option<RouteIdentity>,
    /// Whether paths are allowed to have empty segments.
    pub(crate) allow_empty_segments: bool,
    /// Its limits, or else the general ones.
    pub(crate) limits: RouteLimits,
    /// Verification of the upstream's certificate.
    pub(crate) upstream_tls: Option<Located<UpstreamTls>>,
    /// Requirements for callers; None: any caller is admitted, as `client_certificate = "none"` states.
    pub(crate) client_certificate: Option<Located<CertificateRules>>,
    pub(crate) on_revoked: OnRevoked,
}

impl RouteConfig {
    /// Names of the identities that this route uses.
    pub(crate) fn identities(&self) -> Vec<&str> {
        match &self.identity {
            Some(RouteIdentity::Named(name)) => vec![name.as_str()],
            Some(RouteIdentity::PerRequest(by)) => {
                by.identities.iter().map(|(_, name)| name.as_str()).collect()
            }
            Some(RouteIdentity::Id(id)) => vec![id.as_str()],
            Some(RouteIdentity::Thumbprint(_)) | None => Vec::new(),
        }
    }

    /// The policy document of this route.
    pub(crate) fn policy(&self) -> Option<&Located<FilePath>> {
        self.client_certificate.as_ref().and_then(|rules| rules.policy.as_ref())
    }
}

/// Reads all routes. Invalid routes are reported and left out.
pub(crate) fn read_all(top: &mut Section<'_, '_>, names: &DefinedNames) -> Vec<Located<RouteConfig>> {
    let report = top.report;
    let Some(entry) = top.take("routes") else {
        report_missing(top);
        return Vec::new();
    };
    let DeValue::Array(items) = entry.value else {
        let remedy = "write [[routes]], with double brackets, above each route";
        report.error(entry.line, &entry.key, "is not a list of routes", remedy);
        return Vec::new();
    };
    if items.is_empty() {
        report_missing(top);
    }
    let mut declared = HashMap::new();
    let mut routes = Vec::new();
    for (index, item) in items.into_iter().enumerate() {
        let key = format!("routes[{}]", index + 1);
        let item = Entry { line: report.line(item.span()), key, value: item.into_inner() };
        let Some(section) = Section::of(item, report, KEYS) else {
            continue;
        };
        let (line, key) = (section.line, section.key.clone());
        if let Some(value) = read(section, names, &mut declared) {
            routes.push(Located { value, line, key });
        }
    }
    routes
}

/// Reports that there is no route.
fn report_missing(top: &Section<'_, '_>) {
    if !top.has_similar("routes") {
        let remedy = "add [[routes]] with path and upstream";
        top.report.missing(1, "routes", "there is no route", remedy);
    }
}

/// Hosts and paths of the routes that were read, each with its first key and line.
type DeclaredRoutes = HashMap<(Option<String>, String), (String, usize)>;

fn read(
    mut section: Section<'_, '_>,
    names: &DefinedNames,
    declared: &mut DeclaredRoutes,
) -> Option<RouteConfig> {
    let report = section.report;
    let has_host = section.has("host");
    let host = section.string("host").and_then(|host| {
        let remedy = "write one host name such as api.example.com, without port or wildcard";
        checked(report, host, remedy, names::host)
    });
    let path = read_path(&mut section);
    if let Some(path) = path.as_ref().filter(|_| has_host == host.is_some()) {
        refuse_duplicate(&section, host.as_ref(), path, declared);
    }
    let upstream = read_upstream(&mut section);
    let preserve_host = section.boolean("preserve_host", false);
    let allow_empty_segments = section.boolean("allow_empty_segments", false);
    let on_revoked = OnRevoked::read(&mut section);
    if let Some(upstream) = &upstream {
        reject_tls_keys(&section, upstream);
    }
    let allow_missing_close_notify = read_upstream_close(&mut section, upstream.as_deref());
    let open_line = section.line_of("client_certificate");
    let is_open = section.take_word("client_certificate", "none");
    let is_word = section.is_string("client_certificate");
    if is_word && let Some(word) = section.string("client_certificate") {
        let remedy = "write \"none\" to admit any caller, or rules in [routes.client_certificate]";
        report.error(word.line, &word.key, format!("{} is not a known value", quoted(&word)), remedy);
    }
    let is_guarded = section.has("client_certificate");
    let upstream_tls = section.nested("upstream_tls", upstream_tls::KEYS, UpstreamTls::read);
    let limits = section
        .nested("limits", limits::ROUTE_KEYS, |limits| Some(RouteLimits::read(limits, names.request_limits)));
    let client_certificate = section.nested("client_certificate", client_certificate::KEYS, |rules| {
        if names.certificate_request == CertificateRequest::Off {
            let problem = "needs a certificate, but listener.client_certificate = \"off\" requests none";
            report.error(rules.line, &rules.key, problem, "write \"request\" there, or remove this section");
        }
        CertificateRules::read(rules, names)
    });
    let rate_limits = limits.as_ref().and_then(|limits| limits.rate_limits.as_deref());
    if let Some(rate_limits) = rate_limits.filter(|_| !is_guarded) {
        rate_limit::reject_by_certificate(rate_limits, report);
    }
    let is_required = names.certificate_request == CertificateRequest::Require;
    if is_open && is_required {
        let problem = "admits callers with any certificate that the listener accepts, and no others: \
                       listener.client_certificate = \"require\"";
        let remedy = "write \"request\" there to admit callers without one";
        report.note(open_line, &section.key_of("client_certificate"), problem, remedy);
    }
    if path.is_some() && upstream.is_some() && !is_open && !is_word && !is_guarded {
        let problem = match is_required {
            true => "admits any caller that the listener accepts",
            false => "admits any caller",
        };
        let remedy = "add [routes.client_certificate], or client_certificate = \"none\" if that is intended";
        report.note(section.line, &section.key_of("client_certificate"), problem, remedy);
    }
    if let Some(upstream) = &upstream {
        note_anonymous(&section, upstream, client_certificate.as_ref());
    }
    let by = route_identity::read_by(&mut section, names, client_certificate.as_ref(), is_guarded, is_open);
    let named = RouteIdentity::read(&mut section, &names.identities);
    let identity = by.map_or(named, |by| Some(RouteIdentity::PerRequest(by)));
    section.finish();
    Some(RouteConfig {
        host,
        path: path?,
        upstream: upstream?,
        preserve_host,
        allow_missing_close_notify,
        identity,
        allow_empty_segments,
        limits: limits.map_or_else(|| RouteLimits::general(names.request_limits), |limits| limits.value),
        upstream_tls,
        client_certificate,
        on_revoked,
    })
}

/// Takes the path, which must be in normal form.
fn read_path(section: &mut Section<'_, '_>) -> Option<Located<String>> {
    let report = section.report;
    let text = section.required("path", "/")?;
    let remedy = match NormalizedPath::parse(&text) {
        Ok(normal) if normal.as_str() != *text => format!("write {}", quoted(normal.as_str())),
        _ => "write a plain path such as /orders".to_owned(),
    };
    if text.contains('*') {
        let problem = "* is not a wildcard and matches itself only";
        let remedy = match text.strip_suffix("/*") {
            Some("") => "write \"/\", which matches every path".to_owned(),
            Some(prefix) if !prefix.contains('*') => {
                format!("write {}, which also matches the paths below it", quoted(prefix))
            }
            _ => "name a prefix, which also matches the paths below it".to_owned(),
        };
        report.warning(text.line, &text.key, problem, remedy);
    }
    checked(report, text, &remedy, |text| {
        let normal = NormalizedPath::parse(text).map_err(|error| error.to_string())?;
        if normal.has_empty_segments() {
            return Err("has an empty segment".to_owned());
        }
        if normal.as_str() != text {
            return Err("is not in normal form".to_owned());
        }
        match text.strip_suffix('/') {
            Some("") | None => Ok(text.to_owned()),
            Some(shorter) => Ok(shorter.to_owned()),
        }
    })
}

/// Rejects a second route with the same host and path, and records the first.
fn refuse_duplicate(
    section: &Section<'_, '_>,
    host: Option<&Located<String>>,
    path: &Located<String>,
    declared: &mut DeclaredRoutes,
) {
    let pattern = (host.map(|host| host.value.clone()), path.value.clone());
    match declared.get(&pattern) {
        Some((first, line)) => {
            let problem = format!("has the same host and path as {first} on line {line}");
            section.report.error(path.line, &path.key, problem, "remove one of the two");
        }
        None => drop(declared.insert(pattern, (section.key.clone(), path.line))),
    }
}

/// Takes the URL of the upstream.
fn read_upstream(section: &mut Section<'_, '_>) -> Option<Located<UpstreamUrl>> {
    let text = section.required("upstream", "https://host:port")?;
    match UpstreamUrl::parse(&text) {
        Ok(upstream) => Some(text.map(|_| upstream)),
        Err(error) => {
            section.report.error(text.line, &text.key, error.problem, error.remedy);
            None
        }
    }
}

/// Takes the rule for responses that end with their connection. For an http upstream the key is an error with any
/// value.
fn read_upstream_close(section: &mut Section<'_, '_>, upstream: Option<&UpstreamUrl>) -> bool {
    if upstream.is_some_and(|upstream| upstream.scheme == Scheme::Http) {
        section.take("upstream_close");
        return false;
    }
    let Some(close) = section.choice("upstream_close", &[("strict", false), ("lenient", true)]) else {
        return false;
    };
    if close.value {
        let problem = "anyone on the network path can truncate a response without a length unnoticed";
        let remedy = "write \"strict\" once the upstream ends its connections with TLS close_notify";
        section.report.note(close.line, &close.key, problem, remedy);
    }
    close.value
}

/// Rejects keys that need TLS for an http upstream.
fn reject_tls_keys(section: &Section<'_, '_>, upstream: &UpstreamUrl) {
    let report = section.report;
    match upstream.scheme {
        Scheme::Http => {
            for name in ["identity", "identity_by", "upstream_tls", "upstream_close"]
                .into_iter()
                .filter(|name| section.has(name))
            {
                let problem = "has no effect for an http upstream";
                let remedy = format!("write an https upstream, or remove {name}");
                report.error(section.line_of(name), &section.key_of(name), problem, remedy);
            }
        }
        Scheme::Https => {}
    }
}

/// Notes that no identity is presented. A policy document can choose one, which is known once it has been read.
fn note_anonymous(
    section: &Section<'_, '_>,
    upstream: &UpstreamUrl,
    rules: Option<&Located<CertificateRules>>,
) {
    let has_identity = section.has("identity") || section.has("identity_by");
    let has_document = rules.is_some_and(|rules| rules.policy.is_some());
    if upstream.scheme == Scheme::Https && !has_identity && !has_document {
        let remedy = "add identity = \"NAME\" if the upstream demands a certificate";
        let key = section.key_of("identity");
        section.report.note(section.line, &key, "calls the upstream anonymously", remedy);
    }
}
