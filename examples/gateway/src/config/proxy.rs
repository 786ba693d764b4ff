//! `[proxy]`: request headers towards upstreams.

use tower_mtls::proxy::{HeaderPattern, HeaderPatternError};

use super::entry::{checked, choose};
use super::identity_by::IdentitySource;
use super::located::Located;
use super::report::Report;
use super::route::RouteConfig;
use super::route_identity::RouteIdentity;
use super::section::Section;

pub(crate) const KEYS: &[&str] = &["forwarded", "remove_request_headers"];

/// Request headers that are set and removed.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Proxy {
    /// Whether `X-Forwarded-For`, `-Proto` and `-Host` are set.
    pub(crate) x_forwarded: bool,
    /// Whether `Forwarded` (RFC 7239) is set.
    pub(crate) forwarded: bool,
    /// Headers that are removed in addition to those that always are.
    pub(crate) removed: Vec<HeaderPattern>,
}

/// A form of forwarded headers.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    XForwarded,
    Forwarded,
}

impl Proxy {
    pub(crate) fn read(mut section: Section<'_, '_>) -> Self {
        let report = section.report;
        let mut proxy = Self::default();
        for text in section.strings("forwarded") {
            let options = [("x-forwarded", Form::XForwarded), ("forwarded", Form::Forwarded)];
            match choose(report, text, &options).map(|form| form.value) {
                Some(Form::XForwarded) => proxy.x_forwarded = true,
                Some(Form::Forwarded) => proxy.forwarded = true,
                None => {}
            }
        }
        for text in section.strings("remove_request_headers") {
            let remedy = match text.parse::<HeaderPattern>() {
                Err(HeaderPatternError::Needed(_)) => "remove it from the list, or write a longer prefix",
                _ => "write a name such as x-my-identity, or a prefix such as x-corp-*",
            };
            proxy.removed.extend(checked(report, text, remedy, str::parse).map(|pattern| pattern.value));
        }
        section.finish();
        proxy
    }

    /// Rejects routes that select their identity by a header that is removed before.
    pub(crate) fn reject_removed_selectors(&self, routes: &[Located<RouteConfig>], report: &Report) {
        for route in routes {
            if let Some(RouteIdentity::PerRequest(by)) = &route.identity
                && let IdentitySource::Header(name) = &by.by
                && self.removed.iter().any(|pattern| pattern.matches(name))
            {
                let problem = format!("{} is removed by proxy.remove_request_headers", name.value);
                report.error(
                    name.line,
                    &name.key,
                    problem,
                    "take it out of that list, or name another header",
                );
            }
        }
    }
}
