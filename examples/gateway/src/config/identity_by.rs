//! `[routes.identity_by]`: selection of the identity per request, by the caller's certificate or by a header.

use std::collections::BTreeSet;

use http::{
    HeaderName,
    header::{CONTENT_LENGTH, TRAILER},
};
use tower_mtls::proxy::is_removed;
use tower_mtls::{Certificate, certificate::GeneralName};

use super::diagnostic::quoted;
use super::entry::checked;
use super::located::Located;
use super::names;
use super::section::Section;

pub(crate) const KEYS: &[&str] = &["claim", "header", "identities"];

/// Selection of the identity for a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct IdentityBy {
    pub(crate) by: IdentitySource,
    /// Values, each with the name of a defined identity; at least one.
    pub(crate) identities: Vec<(Located<String>, String)>,
}

/// Source of the value that selects an identity.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum IdentitySource {
    /// A part of the admitted certificate.
    Claim(Located<Claim>),
    /// A header, which the caller controls.
    Header(Located<HeaderName>),
}

/// A part of a certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Claim {
    /// The only common name of the subject.
    CommonName,
    Subject,
    DnsName,
    SpiffeId,
    /// Its SHA-1 or SHA-256 thumbprint.
    Thumbprint,
}

const CLAIMS: [(&str, Claim); 5] = [
    ("common_name", Claim::CommonName),
    ("subject", Claim::Subject),
    ("dns_name", Claim::DnsName),
    ("spiffe_id", Claim::SpiffeId),
    ("thumbprint", Claim::Thumbprint),
];

impl Claim {
    /// The name in the configuration.
    pub(crate) fn as_str(self) -> &'static str {
        CLAIMS.iter().find(|(_, claim)| *claim == self).map_or("", |(name, _)| name)
    }

    /// The value in a certificate, for logs.
    pub(crate) fn of(self, certificate: &Certificate) -> String {
        match self {
            Self::CommonName => certificate.subject().common_names().collect::<Vec<_>>().join(", "),
            Self::Subject => certificate.subject().to_string(),
            Self::DnsName => {
                let names = certificate.subject_alternative_names().iter();
                let names = names.filter_map(|name| match name {
                    GeneralName::Dns(name) => Some(name.to_string()),
                    _ => None,
                });
                names.collect::<Vec<_>>().join(", ")
            }
            Self::SpiffeId => certificate.spiffe_id().map(|id| id.to_string()).unwrap_or_default(),
            Self::Thumbprint => certificate.sha256_thumbprint().to_string(),
        }
    }
}

impl IdentityBy {
    /// Reads the section; `defined` are the names of `[identities]`.
    pub(crate) fn read(mut section: Section<'_, '_>, defined: &BTreeSet<String>) -> Option<Self> {
        let report = section.report;
        let remedy = "write claim = \"common_name\" or header = \"x-tenant\"";
        if section.has("claim") && section.has("header") {
            let problem = "conflicts with claim; only one of the two can select the identity";
            report.error(section.line_of("header"), &section.key_of("header"), problem, remedy);
        } else if !section.has_similar("claim") && !section.has_similar("header") {
            report.missing(section.line, &section.key, "has neither claim nor header", remedy);
        }
        let claim = section.choice("claim", &CLAIMS).map(IdentitySource::Claim);
        let header = section.string("header").and_then(|name| {
            checked(report, name, "write the name of a header such as x-tenant", |name| {
                let name: HeaderName = name.parse().map_err(|_| "is not a header name")?;
                if is_removed(&name) || name == CONTENT_LENGTH || name == TRAILER {
                    return Err("is a header that the gateway removes or sets itself");
                }
                Ok(name)
            })
        });
        let identities = read_identities(&mut section, defined);
        section.finish();
        let by = match claim {
            Some(claim) => claim,
            None => IdentitySource::Header(header?),
        };
        Some(Self { by, identities: identities? })
    }
}

/// The table of values and identities.
fn read_identities(
    section: &mut Section<'_, '_>,
    defined: &BTreeSet<String>,
) -> Option<Vec<(Located<String>, String)>> {
    let report = section.report;
    let (line, key) = (section.line, section.key_of("identities"));
    let remedy = "add identities = { \"VALUE\" = \"NAME\" }, with names of [identities]";
    if !section.has_similar("identities") {
        report.missing(line, &key, "is missing", remedy);
        return None;
    }
    let mut table = section.section("identities", &[])?;
    let mut identities = Vec::new();
    for (value, entry) in table.take_all() {
        let Some(name) = entry.into_string(report) else { continue };
        if !defined.contains(name.as_str()) {
            let remedy = names::defined_name(&name, "identities", defined.iter().map(String::as_str));
            report.missing(name.line, &name.key, format!("{} is not defined", quoted(&name)), remedy);
        }
        let Located { value: name, line, key } = name;
        identities.push((Located { value, line, key }, name));
    }
    if identities.is_empty() {
        report.error(line, &key, "is an empty table", remedy);
    }
    Some(identities)
}
