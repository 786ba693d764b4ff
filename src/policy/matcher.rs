//! One entry of a rule's list: a comparison with one field of a certificate.

use std::{fmt, net::IpAddr};

use super::{Answer, DnsNamePattern, NamePattern, RejectionKind};
use crate::certificate::{
    Certificate, DistinguishedName, ExtendedKeyUsage, GeneralName, KeyKind, SerialNumber, SingleValue,
    SpiffeId, SpiffeTrustDomain, is_plain_text, same_text,
};

#[derive(Debug, Clone)]
pub(super) enum Matcher {
    Issuer(NamePattern),
    Subject(NamePattern),
    CommonName(String),
    OrganizationalUnit(String),
    Organization(String),
    Country(String),
    DnsName(DnsNamePattern),
    Uri(String),
    SpiffeId(SpiffeId),
    SpiffeTrustDomain(SpiffeTrustDomain),
    Email(String),
    Ip(IpAddr),
    Serial(SerialNumber),
    ExtendedKeyUsage(ExtendedKeyUsage),
    Key(KeyKind),
}

impl Matcher {
    /// Compares the entry with its field of the certificate. An unreadable or ambiguous field is
    /// [`Answer::CannotTell`]: `not` must not admit it.
    pub(super) fn judge(&self, certificate: &Certificate) -> Answer {
        let any_name = |matches: &dyn Fn(&GeneralName) -> bool| {
            Answer::from(certificate.subject_alternative_names().iter().any(matches))
        };
        match self {
            Self::Issuer(name) => judge_name(name, certificate.issuer()),
            Self::Subject(name) => judge_name(name, certificate.subject()),
            Self::CommonName(name) => judge_single(name, certificate.subject().common_name()),
            Self::Organization(name) => judge_single(name, certificate.subject().organization()),
            Self::Country(code) => judge_single(code, certificate.subject().country()),
            Self::OrganizationalUnit(unit) => judge_unit(unit, certificate.subject()),
            Self::DnsName(name) if name.matches(certificate) => Answer::Holds,
            // With a wildcard, a dot at the end or a NUL it is not certain which host is named.
            Self::DnsName(_) if DnsNamePattern::has_odd_names(certificate) => Answer::CannotTell,
            Self::DnsName(_) => Answer::Fails,
            Self::Uri(uri) => any_name(&|name| matches!(name, GeneralName::Uri(found) if found == uri)),
            Self::SpiffeId(id) => judge_spiffe(certificate, |found| found == id),
            Self::SpiffeTrustDomain(domain) => judge_spiffe(certificate, |found| domain.contains(found)),
            Self::Email(email) => {
                any_name(&|name| matches!(name, GeneralName::Email(found) if same_mailbox(email, found)))
            }
            Self::Ip(address) => any_name(&|name| matches!(name, GeneralName::Ip(found) if found == address)),
            Self::Serial(serial) => (certificate.serial() == serial).into(),
            Self::ExtendedKeyUsage(usage) => {
                certificate.extended_key_usage().is_some_and(|usages| usages.contains(usage)).into()
            }
            Self::Key(kind) => match certificate.key_kind() {
                KeyKind::Other => Answer::CannotTell,
                found => found.satisfies(*kind).into(),
            },
        }
    }
}

fn judge_single(expected: &str, found: SingleValue<'_>) -> Answer {
    match found {
        SingleValue::Missing => Answer::Fails,
        SingleValue::One(only) if same_text(expected, only) => Answer::Holds,
        SingleValue::One(only) if !is_plain_text(only) => Answer::CannotTell,
        SingleValue::One(_) => Answer::Fails,
        SingleValue::Unclear => Answer::CannotTell,
    }
}

fn judge_unit(expected: &str, subject: &DistinguishedName) -> Answer {
    match subject.organizational_units().any(|unit| same_text(expected, unit)) {
        true => Answer::Holds,
        false if subject.has_unclear_unit() => Answer::CannotTell,
        false => Answer::Fails,
    }
}

fn judge_name(pattern: &NamePattern, name: &DistinguishedName) -> Answer {
    match pattern.matches(name) {
        true => Answer::Holds,
        false if name.is_plain() => Answer::Fails,
        false => Answer::CannotTell,
    }
}

/// A SPIFFE URI beside another URI, or a malformed one, is ambiguous: the certificate may be meant to have an ID.
fn judge_spiffe(certificate: &Certificate, matches: impl Fn(&SpiffeId) -> bool) -> Answer {
    if let Some(id) = certificate.spiffe_id() {
        return matches(&id).into();
    }
    let resembles = |name: &GeneralName| match name {
        GeneralName::Uri(uri) => uri.get(..7).is_some_and(|scheme| scheme.eq_ignore_ascii_case("spiffe:")),
        _ => false,
    };
    let any = certificate.subject_alternative_names().iter().any(resembles);
    if any { Answer::CannotTell } else { Answer::Fails }
}

/// Compares e-mail addresses (RFC 5280, section 7.5): the local part byte by byte, the domain ignoring ASCII case.
fn same_mailbox(one: &str, other: &str) -> bool {
    match (one.rsplit_once('@'), other.rsplit_once('@')) {
        (Some((local, domain)), Some((other_local, other_domain))) => {
            local == other_local && domain.eq_ignore_ascii_case(other_domain)
        }
        _ => false,
    }
}

impl fmt::Display for Matcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Issuer(name) | Self::Subject(name) => name.fmt(f),
            Self::CommonName(text)
            | Self::OrganizationalUnit(text)
            | Self::Organization(text)
            | Self::Country(text)
            | Self::Uri(text)
            | Self::Email(text) => write!(f, "{text:?}"),
            Self::DnsName(name) => name.fmt(f),
            Self::SpiffeId(id) => id.fmt(f),
            Self::SpiffeTrustDomain(domain) => write!(f, "any ID of {domain}"),
            Self::Ip(address) => address.fmt(f),
            Self::Serial(serial) => serial.fmt(f),
            Self::ExtendedKeyUsage(usage) => usage.fmt(f),
            Self::Key(KeyKind::Rsa { bits }) => write!(f, "RSA of at least {bits} bits"),
            Self::Key(kind) => kind.fmt(f),
        }
    }
}

/// Name of the field that a rule of this kind compares.
pub(super) fn field_name(kind: RejectionKind) -> &'static str {
    match kind {
        RejectionKind::Issuer => "the issuer",
        RejectionKind::Subject => "the subject",
        RejectionKind::CommonName => "the only common name",
        RejectionKind::OrganizationalUnit => "an organizational unit",
        RejectionKind::Organization => "the only organization",
        RejectionKind::Country => "the only country",
        RejectionKind::DnsName => "a DNS name",
        RejectionKind::Uri => "a URI",
        RejectionKind::SpiffeId => "the SPIFFE ID",
        RejectionKind::Email => "an e-mail address",
        RejectionKind::IpAddress => "an IP address",
        RejectionKind::Serial => "the serial number",
        RejectionKind::ExtendedKeyUsage => "an extended key usage",
        RejectionKind::Key => "the key",
        _ => "the certificate",
    }
}

/// Value of the field that a rule of this kind compares.
pub(super) fn field_value(kind: RejectionKind, certificate: &Certificate) -> String {
    let names = |pick: fn(&GeneralName) -> Option<String>| {
        list(certificate.subject_alternative_names().iter().filter_map(pick))
    };
    match kind {
        RejectionKind::Issuer => certificate.issuer().to_string(),
        RejectionKind::Subject => certificate.subject().to_string(),
        RejectionKind::CommonName => texts(certificate.subject().common_names()),
        RejectionKind::OrganizationalUnit => texts(certificate.subject().organizational_units()),
        RejectionKind::Organization => texts(certificate.subject().organizations()),
        RejectionKind::Country => texts(certificate.subject().countries()),
        RejectionKind::DnsName => names(|name| match name {
            GeneralName::Dns(name) => Some(format!("{name:?}")),
            _ => None,
        }),
        RejectionKind::Uri | RejectionKind::SpiffeId => names(|name| match name {
            GeneralName::Uri(uri) => Some(format!("{uri:?}")),
            _ => None,
        }),
        RejectionKind::Email => names(|name| match name {
            GeneralName::Email(email) => Some(format!("{email:?}")),
            _ => None,
        }),
        RejectionKind::IpAddress => names(|name| match name {
            GeneralName::Ip(address) => Some(address.to_string()),
            _ => None,
        }),
        RejectionKind::Serial => certificate.serial().to_string(),
        RejectionKind::ExtendedKeyUsage => {
            list(certificate.extended_key_usage().into_iter().flatten().map(ToString::to_string))
        }
        RejectionKind::Key => certificate.key_kind().to_string(),
        _ => String::new(),
    }
}

fn texts<'a>(items: impl Iterator<Item = &'a str>) -> String {
    list(items.map(|text| format!("{text:?}")))
}

fn list(items: impl Iterator<Item = String>) -> String {
    let items: Vec<_> = items.collect();
    if items.is_empty() { "none".into() } else { items.join(", ") }
}
