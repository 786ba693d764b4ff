//! A route's `identity` and `[routes.identity_by]`: the client identity towards the upstream.

use std::collections::BTreeSet;

use toml::de::DeValue;
use tower_mtls::certificate::Thumbprint;

use super::client_certificate::{CertificateRules, Mode};
use super::defined_names::DefinedNames;
use super::diagnostic::quoted;
use super::entry::{Entry, checked};
use super::identity_by::{self, Claim, IdentityBy, IdentitySource};
use super::located::Located;
use super::names;
use super::report::Report;
use super::section::Section;

/// Label in metrics for an identity that is selected per request.
pub(crate) const BY_REQUEST: &str = "by request";

/// The client identity towards a route's upstream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum RouteIdentity {
    /// One of `[identities]`.
    Named(Located<String>),
    /// The certificate with this id, which can be added to the store later.
    Id(Located<String>),
    /// The certificate with this thumbprint, which can be added to the store later.
    Thumbprint(Located<Thumbprint>),
    /// Selected per request.
    PerRequest(Located<IdentityBy>),
}

impl RouteIdentity {
    pub(crate) fn label(&self) -> String {
        match self {
            Self::Named(name) => name.value.clone(),
            Self::Id(id) => format!("id:{}", id.value),
            Self::Thumbprint(thumbprint) => format!("thumbprint:{}", thumbprint.value),
            Self::PerRequest(_) => BY_REQUEST.to_owned(),
        }
    }

    /// Takes the identity: a name, which must be one of `defined`, or a reference.
    pub(crate) fn read(section: &mut Section<'_, '_>, defined: &BTreeSet<String>) -> Option<Self> {
        let report = section.report;
        let entry = section.take("identity")?;
        if let DeValue::Table(_) = entry.value {
            return read_reference(entry, report);
        }
        let name = entry.into_string(report)?;
        if !defined.contains(name.as_str()) {
            let remedy = names::defined_name(&name, "identities", defined.iter().map(String::as_str));
            report.missing(name.line, &name.key, format!("{} is not defined", quoted(&name)), remedy);
        }
        Some(Self::Named(name))
    }
}

/// Reads a reference to a certificate that can be added to the store later.
fn read_reference(entry: Entry<'_>, report: &Report) -> Option<RouteIdentity> {
    let mut reference = Section::of(entry, report, &["id", "thumbprint"])?;
    let (id, thumbprint) = (reference.has_similar("id"), reference.has_similar("thumbprint"));
    if id == thumbprint {
        let remedy = "write { id = \"ID\" } or { thumbprint = \"HEX\" }";
        report.error(reference.line, &reference.key, "is not a single reference", remedy);
        drop((reference.take("id"), reference.take("thumbprint")));
    }
    let id = reference.string("id").map(RouteIdentity::Id);
    let thumbprint = reference.string("thumbprint").and_then(|text| {
        let remedy = "write the 40 hex digits of SHA-1 or the 64 of SHA-256";
        checked(report, text, remedy, |text| text.parse().map_err(|_| "is not a thumbprint"))
    });
    reference.finish();
    match id {
        Some(id) => Some(id),
        None => Some(RouteIdentity::Thumbprint(thumbprint?)),
    }
}

/// Takes the section that selects an identity per request.
pub(super) fn read_by(
    section: &mut Section<'_, '_>,
    names: &DefinedNames,
    rules: Option<&Located<CertificateRules>>,
    is_guarded: bool,
    is_open: bool,
) -> Option<Located<IdentityBy>> {
    let report = section.report;
    let has_both = section.has("identity");
    let by =
        section.nested("identity_by", identity_by::KEYS, |by| IdentityBy::read(by, &names.identities))?;
    if has_both {
        let problem = "conflicts with identity; only one of the two can select the identity";
        report.error(by.line, &by.key, problem, "remove one of the two");
    }
    match &by.by {
        IdentitySource::Claim(claim) if !is_guarded => {
            let remedy = match is_open {
                true => {
                    "write [routes.client_certificate] in place of client_certificate = \"none\", or select by header"
                }
                false => "add [routes.client_certificate], or select by header",
            };
            report.error(
                claim.line,
                &claim.key,
                "has no admitted certificate to look at, since this route has no certificate rules",
                remedy,
            );
        }
        IdentitySource::Claim(claim) if rules.is_some_and(|rules| rules.mode == Mode::Shadow) => {
            let problem = "callers that fail the rules are not admitted in shadow mode, so they get 502";
            report.warning(claim.line, &claim.key, problem, "write mode = \"enforce\"");
        }
        IdentitySource::Claim(claim) if claim.value != Claim::Thumbprint && has_unproven_names(rules) => {
            let problem = "callers could choose any identity of this table: nothing proves the names of their certificates";
            let remedy = match names.only_trust() {
                Some(trust) => {
                    format!("add trust = \"{trust}\" to client_certificate, or write claim = \"thumbprint\"")
                }
                None => {
                    "add trust = \"NAME\" to client_certificate, or write claim = \"thumbprint\"".to_owned()
                }
            };
            report.error(claim.line, &claim.key, problem, remedy);
        }
        IdentitySource::Header(header) if !is_guarded => {
            let problem = "any caller can choose the identity by this header, since this route has no certificate rules";
            report.warning(header.line, &header.key, problem, "add [routes.client_certificate]");
        }
        _ => {}
    }
    Some(by)
}

/// Whether callers could choose the names of their certificates: public keys are the only anchor.
fn has_unproven_names(rules: Option<&Located<CertificateRules>>) -> bool {
    rules.is_some_and(|rules| rules.policy.is_none() && rules.has_pins() && !rules.proves_names())
}
