//! `rate_limit` of `[limits]` and `[routes.limits]`: requests per time.

use std::num::NonZeroU32;
use std::time::Duration;

use toml::de::DeValue;

use super::entry::Entry;
use super::located::Located;
use super::quantity::{MIN_TIMEOUT, duration};
use super::report::Report;
use super::section::Section;

pub(crate) const KEYS: &[&str] = &["requests", "per", "by", "max_keys"];

/// The largest configurable number of requests.
const MAX_REQUESTS: usize = 1_000_000;

/// The default of `max_keys`, and its largest value.
const DEFAULT_KEYS: usize = 65_536;
const MAX_KEYS: usize = 1_048_576;

const EXAMPLE: &str = "as { requests = 100, per = \"1m\", by = \"address\" }, a list of them, or \"off\"";

/// A number of requests per time, counted separately for each address, certificate or route.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct RateLimit {
    /// Requests that are allowed per `per`, at once or spread.
    pub(crate) requests: NonZeroU32,
    pub(crate) per: Duration,
    pub(crate) by: RateLimitKey,
    /// Addresses, certificates or routes that are counted separately; further ones share a count. Default: 65,536.
    pub(crate) max_keys: usize,
}

/// The property of a request that selects its count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RateLimitKey {
    /// The caller's IPv4 address, or the /64 network of its IPv6 address.
    Address,
    /// The admitted certificate.
    Certificate,
    /// The route.
    Route,
}

impl RateLimitKey {
    /// Returns the name in the file.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Address => "address",
            Self::Certificate => "certificate",
            Self::Route => "route",
        }
    }
}

/// Takes the limits of a section. None: the key is missing. `"off"` is an empty list.
pub(super) fn read(section: &mut Section<'_, '_>) -> Option<Vec<Located<RateLimit>>> {
    if section.take_word("rate_limit", "off") {
        return Some(Vec::new());
    }
    let report = section.report;
    let entry = section.take("rate_limit")?;
    let items: Vec<Entry<'_>> = match entry.value {
        DeValue::Table(_) => vec![entry],
        DeValue::Array(items) => {
            let numbered = items.into_iter().enumerate().map(|(index, item)| Entry {
                line: report.line(item.span()),
                key: format!("{}[{}]", entry.key, index + 1),
                value: item.into_inner(),
            });
            numbered.collect()
        }
        _ => {
            entry.mismatch(report, "a table", EXAMPLE);
            return None;
        }
    };
    let mut limits: Vec<Located<RateLimit>> = Vec::new();
    for item in items {
        let Some(limit) = read_one(item, report) else { continue };
        if limits.iter().any(|other| other.by == limit.by && other.per == limit.per) {
            let problem = "repeats per and by of another limit in the list";
            report.error(limit.line, &limit.key, problem, "remove one of the two");
        }
        limits.push(limit);
    }
    Some(limits)
}

fn read_one(item: Entry<'_>, report: &Report) -> Option<Located<RateLimit>> {
    if !item.value.is_table() {
        item.mismatch(report, "a table", EXAMPLE);
        return None;
    }
    let mut section = Section::of(item, report, KEYS)?;
    for (name, example) in [("requests", "100"), ("per", "\"1m\""), ("by", "\"address\"")] {
        if !section.has_similar(name) {
            let remedy = format!("add {name} = {example}");
            report.missing(section.line, &section.key_of(name), "is missing", remedy);
        }
    }
    let requests = section.integer("requests", 1, MAX_REQUESTS);
    let mut per = Duration::ZERO;
    duration(&mut section, "per", MIN_TIMEOUT, &mut per);
    let keys = [RateLimitKey::Address, RateLimitKey::Certificate, RateLimitKey::Route];
    let by = section.choice("by", &keys.map(|key| (key.as_str(), key)));
    let max_keys = section.integer("max_keys", 1, MAX_KEYS).unwrap_or(DEFAULT_KEYS);
    let (line, key) = (section.line, section.key.clone());
    section.finish();
    let requests = NonZeroU32::new(u32::try_from(requests?).ok()?)?;
    if per.is_zero() {
        return None;
    }
    Some(Located { value: RateLimit { requests, per, by: by?.value, max_keys }, line, key })
}

/// Rejects limits of a route by certificates that it does not admit.
pub(super) fn reject_by_certificate(limits: &[Located<RateLimit>], report: &Report) {
    for limit in limits.iter().filter(|limit| limit.by == RateLimitKey::Certificate) {
        let problem = "counts admitted certificates, but the route needs none";
        let remedy = "add [routes.client_certificate], or write by = \"address\"";
        report.error(limit.line, &format!("{}.by", limit.key), problem, remedy);
    }
}

/// Warns of general limits by certificates that the routes do not admit.
pub(super) fn warn_by_certificate(limits: &[Located<RateLimit>], report: &Report) {
    for limit in limits.iter().filter(|limit| limit.by == RateLimitKey::Certificate) {
        let problem = "has no effect: it counts admitted certificates, but the routes need none";
        report.warning(limit.line, &format!("{}.by", limit.key), problem, "write by = \"address\"");
    }
}
