//! Rules for a certificate: those of `[routes.client_certificate]`, and those of one alternative of `any_of`.

use std::net::IpAddr;

use tower_mtls::certificate::{ExtendedKeyUsage, SerialNumber, SpiffeId, SpiffeTrustDomain, Thumbprint};

use super::defined_names::DefinedNames;
use super::diagnostic::quoted;
use super::entry::checked;
use super::located::{FilePath, Located};
use super::names;
use super::rule_values as values;
use super::section::Section;

/// The keys of all rules, and further keys.
macro_rules! rule_keys {
    ($($further:literal),*) => {
        &[
            "trust",
            "issuer",
            "subject",
            "common_name",
            "organizational_unit",
            "organization",
            "dns_name",
            "uri",
            "spiffe_id",
            "spiffe_trust_domain",
            "email",
            "ip_address",
            "serial",
            "extended_key_usage",
            "thumbprint",
            "thumbprint_file",
            "spki_pin",
            "issuer_thumbprint",
            "in_store",
            $($further),*
        ]
    };
}
pub(super) use rule_keys;

/// The keys of one alternative of `any_of`.
pub(super) const RULE_KEYS: &[&str] = rule_keys![];

/// Rules that all must hold. A list holds if one of its entries matches; an empty list is not a rule.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct RuleSet {
    /// The name of the set of CAs that the chain must end in; it is defined.
    pub(crate) trust: Option<Located<String>>,
    /// Distinguished names of the issuer; not checked yet.
    pub(crate) issuer: Vec<Located<String>>,
    /// Distinguished names of the subject; not checked yet.
    pub(crate) subject: Vec<Located<String>>,
    /// Values of the subject's only common name.
    pub(crate) common_name: Vec<Located<String>>,
    /// Organizational units, of which the subject must have one.
    pub(crate) organizational_unit: Vec<Located<String>>,
    /// Values of the subject's only organization.
    pub(crate) organization: Vec<Located<String>>,
    /// DNS names, with an optional leading `*.`.
    pub(crate) dns_name: Vec<Located<String>>,
    /// URIs, compared byte by byte.
    pub(crate) uri: Vec<Located<String>>,
    pub(crate) spiffe_id: Vec<Located<SpiffeId>>,
    /// SPIFFE trust domains of which every ID is allowed.
    pub(crate) spiffe_trust_domain: Vec<Located<SpiffeTrustDomain>>,
    /// E-mail addresses.
    pub(crate) email: Vec<Located<String>>,
    /// IP addresses of the certificate, not of the connection.
    pub(crate) ip_address: Vec<Located<IpAddr>>,
    pub(crate) serial: Vec<Located<SerialNumber>>,
    /// Purposes, of which the certificate must contain one.
    pub(crate) extended_key_usage: Vec<Located<ExtendedKeyUsage>>,
    /// Thumbprints of the certificate; not checked yet.
    pub(crate) thumbprint: Vec<Located<String>>,
    /// The file with further thumbprints.
    pub(crate) thumbprint_file: Option<Located<FilePath>>,
    /// SHA-256 hashes of the SubjectPublicKeyInfo.
    pub(crate) spki_pin: Vec<Located<[u8; 32]>>,
    /// Thumbprints of the certificate that signed the caller's.
    pub(crate) issuer_thumbprint: Vec<Located<Thumbprint>>,
    /// Membership in the store.
    pub(crate) in_store: Option<InStore>,
}

/// Certificates of the store that count as members.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum InStore {
    /// Those of callers.
    Callers,
    /// Identities too.
    Any,
}

impl RuleSet {
    /// Takes all rules out of a section.
    pub(super) fn take(section: &mut Section<'_, '_>, names: &DefinedNames, has_store: bool) -> Self {
        let trust = section.string("trust");
        names.check_trust(trust.as_ref(), section.report);
        Self {
            trust,
            issuer: section.strings("issuer"),
            subject: section.strings("subject"),
            common_name: attributes(section, "common_name", "CN"),
            organizational_unit: attributes(section, "organizational_unit", "OU"),
            organization: attributes(section, "organization", "O"),
            dns_name: {
                let remedy = "write a name such as orders.contoso.com or *.contoso.com";
                list(section, "dns_name", remedy, |text| names::dns_pattern(text).map(|()| text.to_owned()))
            },
            uri: uris(section),
            spiffe_id: list(section, "spiffe_id", "write spiffe://TRUST-DOMAIN/PATH", |text| {
                text.parse().map_err(
                    |_| "is not a SPIFFE ID: lower-case trust domain, no port, query or empty segment",
                )
            }),
            spiffe_trust_domain: list(
                section,
                "spiffe_trust_domain",
                "write a trust domain such as contoso.com, without spiffe:// and path",
                |text| text.parse().map_err(|_| "is not a SPIFFE trust domain"),
            ),
            email: list(section, "email", "write one address such as orders@contoso.com", values::email),
            ip_address: list(
                section,
                "ip_address",
                "write one address such as 10.1.2.3 or 2001:db8::1; ranges are not supported",
                |text| text.parse().map_err(|_| "is not an IP address"),
            ),
            serial: list(
                section,
                "serial",
                "write the serial number in hex, such as 0A1B2C or 0A:1B:2C",
                |text| text.parse().map_err(|_| "is not a serial number"),
            ),
            extended_key_usage: list(
                section,
                "extended_key_usage",
                "write clientAuth, serverAuth, another name of RFC 5280, or an object identifier such as 1.3.6.1.4.1.311.20.2.2",
                values::extended_key_usage,
            ),
            thumbprint: section.strings("thumbprint"),
            thumbprint_file: section.file("thumbprint_file"),
            spki_pin: list(section, "spki_pin", values::SPKI_PIN_FORM, values::spki_pin),
            issuer_thumbprint: list(
                section,
                "issuer_thumbprint",
                "write the 40 hex digits of SHA-1 or the 64 of SHA-256",
                |text| text.parse().map_err(|_| "is not a thumbprint"),
            ),
            in_store: in_store(section, has_store),
        }
    }

    /// Whether these rules prove the names of the certificate.
    pub(super) fn proves_names(&self) -> bool {
        self.trust.is_some()
            || !self.thumbprint.is_empty()
            || self.thumbprint_file.is_some()
            || !self.issuer_thumbprint.is_empty()
            || self.in_store.is_some()
    }
}

/// Takes a list of texts and reads each.
fn list<T>(
    section: &mut Section<'_, '_>,
    name: &str,
    remedy: &str,
    read: impl Fn(&str) -> Result<T, &'static str>,
) -> Vec<Located<T>> {
    let report = section.report;
    let texts = section.strings(name);
    texts.into_iter().filter_map(|text| checked(report, text, remedy, &read)).collect()
}

/// Takes values of an attribute of the subject, and warns about those that begin with its label.
fn attributes(section: &mut Section<'_, '_>, name: &str, label: &str) -> Vec<Located<String>> {
    let report = section.report;
    let values = section.strings(name);
    for value in &values {
        if let Some((written, bare)) = value.split_once('=')
            && written.trim().eq_ignore_ascii_case(label)
        {
            let problem = format!("{} begins with {label}=", quoted(value));
            report.warning(value.line, &value.key, problem, format!("write {}", quoted(bare.trim())));
        }
    }
    values
}

/// Takes URIs, and warns about those for which there is a stricter rule.
fn uris(section: &mut Section<'_, '_>) -> Vec<Located<String>> {
    let report = section.report;
    let uris = list(section, "uri", "write a whole URI such as urn:example:orders", values::uri);
    for uri in uris.iter().filter(|uri| uri.starts_with("spiffe:")) {
        let problem = "a certificate with several URIs matches, which is not a valid SPIFFE identity";
        report.warning(uri.line, &uri.key, problem, format!("write spiffe_id = [{}]", quoted(uri)));
    }
    uris
}

/// Takes the kind of membership; `false` is the same as no rule.
fn in_store(section: &mut Section<'_, '_>, has_store: bool) -> Option<InStore> {
    let (report, line, key) = (section.report, section.line_of("in_store"), section.key_of("in_store"));
    let membership = match section.take_word("in_store", "any") {
        true => Some(InStore::Any),
        false => section.boolean("in_store", false).then_some(InStore::Callers),
    };
    if membership.is_some() && !has_store {
        report.missing(line, &key, "needs a store", "add [store] with path = \"store\"");
    }
    membership
}
