//! Name constraints (RFC 5280, sections 4.2.1.10 and 6.1.3 (b), (c)).

use std::cell::Cell;

use super::{
    certificate::PathCertificate,
    error::Failure,
    general_name::{GeneralName, NameConstraints},
};
use crate::certificate::{Attribute, DistinguishedName};

/// Comparisons of a name with a subtree per verdict. Typical paths need a few.
const MAX_COMPARISONS: usize = 100_000;

/// The name constraints of the CAs above a certificate.
#[derive(Debug)]
pub(super) struct ConstrainedNames<'p> {
    constraints: Vec<&'p NameConstraints<'p>>,
    /// Those of all paths.
    comparisons: &'p Cell<usize>,
}

impl<'p> ConstrainedNames<'p> {
    pub(super) fn new(comparisons: &'p Cell<usize>) -> Self {
        Self { constraints: Vec::new(), comparisons }
    }

    /// 6.1.4 (g). Permitted subtrees intersect and excluded ones unite: each extension is checked on its own.
    pub(super) fn push(&mut self, constraints: Option<&'p NameConstraints<'p>>) {
        self.constraints.extend(constraints);
    }

    /// Checks the subject and the subject alternative names of a certificate.
    pub(super) fn check(&mut self, certificate: &PathCertificate<'_>) -> Result<(), Failure> {
        if self.constraints.is_empty() {
            return Ok(());
        }
        let subject = &certificate.subject;
        if !subject.is_empty() {
            self.check_name(&GeneralName::Directory(subject.clone()))?;
        }
        for attribute in subject.attributes().filter(|attribute| attribute.oid() == EMAIL_ADDRESS) {
            // An unreadable text is in no permitted subtree and may be in each excluded one.
            self.check_name(&GeneralName::Email(attribute.text().unwrap_or_default()))?;
        }
        certificate.extensions.subject_alternative_names.iter().try_for_each(|name| self.check_name(name))
    }

    /// Checks the common names of a leaf that are hosts of a domain, in the form that rules compare: also those beside a
    /// dNSName, which OpenSSL does not check.
    pub(super) fn check_common_names(&mut self, leaf: &PathCertificate<'_>) -> Result<(), Failure> {
        if self.constraints.is_empty() {
            return Ok(());
        }
        let common_names = || leaf.subject.attributes().filter(|attribute| attribute.oid() == COMMON_NAME);
        if common_names().any(|name| has_nul(&name)) {
            return Err(Failure::NameConstraint("a common name contains NUL".into()));
        }
        common_names()
            .filter_map(|name| name.prepared_text())
            .filter(|text| is_like_host(text))
            .try_for_each(|host| self.check_name(&GeneralName::Dns(&host)))
    }

    fn check_name(&mut self, name: &GeneralName<'_>) -> Result<(), Failure> {
        for constraints in &self.constraints {
            let more = constraints.permitted.len() + constraints.excluded.len();
            let comparisons = self.comparisons.get().saturating_add(more);
            self.comparisons.set(comparisons);
            if comparisons > MAX_COMPARISONS {
                return Err(Failure::Limit("its name constraints need too many comparisons"));
            }
            let mut is_permitted = None;
            for base in constraints.permitted.iter().filter(|base| has_same_form(name, base)) {
                let matches = is_in(name, base, false).ok_or_else(|| unclear(name, base))?;
                is_permitted = Some(is_permitted.unwrap_or(false) || matches);
            }
            if is_permitted == Some(false) {
                return Err(Failure::NameConstraint(format!("{} is not permitted", print(name))));
            }
            for base in constraints.excluded.iter().filter(|base| has_same_form(name, base)) {
                if is_in(name, base, true).ok_or_else(|| unclear(name, base))? {
                    return Err(Failure::NameConstraint(format!("{} is excluded", print(name))));
                }
            }
        }
        Ok(())
    }
}

const EMAIL_ADDRESS: &str = "1.2.840.113549.1.9.1";
const COMMON_NAME: &str = "2.5.4.3";

/// Returns true if a text contains NUL, at which some readers end a host.
fn has_nul(name: &Attribute<'_>) -> bool {
    const UNIVERSAL_STRING: u32 = 28;
    const BMP_STRING: u32 = 30;
    let width = match name.tag {
        UNIVERSAL_STRING => 4,
        BMP_STRING => 2,
        _ => 1,
    };
    name.value.chunks(width).any(|unit| unit.iter().all(|byte| *byte == 0))
}

fn has_same_form(name: &GeneralName<'_>, base: &GeneralName<'_>) -> bool {
    match (name, base) {
        (GeneralName::SmtpUtf8Mailbox, GeneralName::Email(_) | GeneralName::Other(0xa0))
        | (GeneralName::Other(0xa0), GeneralName::SmtpUtf8Mailbox) => true,
        (GeneralName::Other(name), GeneralName::Other(base)) => name == base,
        _ => std::mem::discriminant(name) == std::mem::discriminant(base),
    }
}

fn unclear(name: &GeneralName<'_>, base: &GeneralName<'_>) -> Failure {
    let reason = match name {
        GeneralName::Other(_) | GeneralName::SmtpUtf8Mailbox => {
            format!("constraints on {} are not supported", name.form())
        }
        _ => format!("{} cannot be compared with the constraint {}", print(name), print(base)),
    };
    Failure::NameConstraint(reason)
}

fn print(name: &GeneralName<'_>) -> String {
    let value = match name {
        GeneralName::Email(text) | GeneralName::Dns(text) | GeneralName::Uri(text) => {
            text.escape_debug().take(256).collect()
        }
        GeneralName::Directory(name) => format!("{name:.256}", name = name.to_string()),
        GeneralName::Ip(bytes) => bytes.iter().map(u8::to_string).collect::<Vec<_>>().join("."),
        GeneralName::SmtpUtf8Mailbox | GeneralName::Other(_) => String::new(),
    };
    format!("{} {value:?}", name.form())
}

/// Returns true if a name is in the subtree of `base`, which has the same form. None if it cannot be decided: one of them
/// is malformed, or their form is not supported.
fn is_in(name: &GeneralName<'_>, base: &GeneralName<'_>, is_excluded: bool) -> Option<bool> {
    match (name, base) {
        (GeneralName::Directory(name), GeneralName::Directory(base)) => directory(name, base, is_excluded),
        (GeneralName::Dns(name), GeneralName::Dns(base)) => dns(name, base, is_excluded),
        (GeneralName::Email(name), GeneralName::Email(base)) => email(name, base),
        (GeneralName::Uri(name), GeneralName::Uri(base)) => uri(name, base),
        (GeneralName::Ip(name), GeneralName::Ip(base)) => Some(ip(name, base)),
        _ => None,
    }
}

/// A value in a string type that is not compared may be equal in another encoding: an exclusion is then undecided.
fn directory(name: &DistinguishedName, base: &DistinguishedName, is_excluded: bool) -> Option<bool> {
    let is_within = name.is_within(base);
    let is_certain = is_within || !is_excluded || (name.is_plain() && base.is_plain());
    is_certain.then_some(is_within)
}

/// The base and all names with further labels on its left; with a leading period, the latter only. A wildcard is excluded
/// if one of the names that it matches is.
fn dns(name: &str, base: &str, is_excluded: bool) -> Option<bool> {
    let (host, is_wildcard) = match name.strip_prefix("*.") {
        Some(host) => (host, true),
        None => (name, false),
    };
    if !is_host(host) {
        return None;
    }
    if base.is_empty() {
        return Some(true);
    }
    let (domain, is_strict) = match base.strip_prefix('.') {
        Some(domain) => (domain, true),
        None => (base, false),
    };
    if !is_host(domain) {
        return None;
    }
    let is_domain = host.eq_ignore_ascii_case(domain) && (is_wildcard || !is_strict);
    // `*.example.com` matches `a.example.com`, but not `a.b.example.com`.
    let matches_base = is_wildcard
        && is_excluded
        && domain.split_once('.').is_some_and(|(_, parent)| parent.eq_ignore_ascii_case(host));
    Some(is_domain || is_subdomain(host, domain) || matches_base)
}

/// A mailbox, a host, or with a leading period the hosts of a domain. Local parts are compared byte by byte.
fn email(name: &str, base: &str) -> Option<bool> {
    let (local, host) = mailbox(name)?;
    if base.contains('@') {
        let (base_local, base_host) = mailbox(base)?;
        return Some(local == base_local && host.eq_ignore_ascii_case(base_host));
    }
    is_host_in(host, base)
}

fn mailbox(text: &str) -> Option<(&str, &str)> {
    let (local, host) = text.rsplit_once('@')?;
    let is_local = !local.is_empty() && local.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'@');
    (is_local && is_host(host)).then_some((local, host))
}

/// A host, or with a leading period the hosts of a domain. The URI must have a fully qualified domain name.
fn uri(name: &str, base: &str) -> Option<bool> {
    let (scheme, rest) = name.split_once(':')?;
    let is_scheme = scheme.starts_with(|first: char| first.is_ascii_alphabetic())
        && scheme.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte));
    let authority = rest.strip_prefix("//")?.split(['/', '?', '#']).next()?;
    // Other parsers end the host at a backslash.
    if !is_scheme || !authority.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\') {
        return None;
    }
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    let host = host.split_once(':').map_or(host, |(host, _)| host);
    // An IPv4 address; an IPv6 address in brackets is not a host either.
    let is_address =
        host.rsplit('.').next().is_some_and(|last| last.bytes().all(|byte| byte.is_ascii_digit()));
    if !is_host(host) || is_address {
        return None;
    }
    is_host_in(host, base)
}

fn is_host_in(host: &str, base: &str) -> Option<bool> {
    match base.strip_prefix('.') {
        Some(domain) => is_host(domain).then(|| is_subdomain(host, domain)),
        None => is_host(base).then(|| host.eq_ignore_ascii_case(base)),
    }
}

fn ip(address: &[u8], range: &[u8]) -> bool {
    let (base, mask) = range.split_at(range.len() / 2);
    address.len() == base.len()
        && address.iter().zip(base).zip(mask).all(|((byte, base), mask)| byte & mask == base & mask)
}

fn is_subdomain(host: &str, domain: &str) -> bool {
    let Some(at) = host.len().checked_sub(domain.len()).filter(|at| *at > 0) else { return false };
    host.as_bytes()[at - 1] == b'.' && host.as_bytes()[at..].eq_ignore_ascii_case(domain.as_bytes())
}

/// Labels of letters, digits, hyphens and underscores.
fn is_host(text: &str) -> bool {
    let is_label = |label: &str| {
        matches!(label.len(), 1..=63)
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
    };
    text.len() <= 253 && text.split('.').all(is_label)
}

/// Returns true for labels of letters, digits, hyphens and underscores. With letters beyond ASCII, which [`is_host`] does
/// not allow, such a name cannot be compared with a constraint.
fn is_like_host(text: &str) -> bool {
    let is_label_character = |character: char| character.is_alphanumeric() || "-_.".contains(character);
    text.contains('.') && text.chars().all(is_label_character)
}

#[cfg(test)]
mod tests {
    use super::*;

    const IN: Option<bool> = Some(true);
    const OUT: Option<bool> = Some(false);

    #[test]
    fn dns_name_is_in_the_subtree_of_its_parents() {
        for (name, base, permitted, excluded) in [
            ("example.com", "example.com", IN, IN),
            ("EXAMPLE.com", "example.COM", IN, IN),
            ("a.b.example.com", "example.com", IN, IN),
            ("badexample.com", "example.com", OUT, OUT),
            ("com", "example.com", OUT, OUT),
            ("a.example.com", ".example.com", IN, IN),
            ("example.com", ".example.com", OUT, OUT),
            ("example.com", "", IN, IN),
            ("*.example.com", "example.com", IN, IN),
            ("*.example.com", "a.example.com", OUT, IN),
            ("*.example.com", "a.b.example.com", OUT, OUT),
            ("*.com", "example.com", OUT, IN),
            ("evil.com.", "evil.com", None, None),
            ("a..example.com", "example.com", None, None),
            ("*", "example.com", None, None),
            ("a.*.example.com", "example.com", None, None),
            ("example.com", "*.example.com", None, None),
        ] {
            assert_eq!(dns(name, base, false), permitted, "{name} in permitted {base}");
            assert_eq!(dns(name, base, true), excluded, "{name} in excluded {base}");
        }
    }

    #[test]
    fn mail_address_is_in_a_mailbox_host_or_domain() {
        for (name, base, expected) in [
            ("joe@example.com", "joe@example.com", IN),
            ("joe@EXAMPLE.com", "joe@example.com", IN),
            ("Joe@example.com", "joe@example.com", OUT),
            ("joe@example.com", "example.com", IN),
            ("joe@a.example.com", "example.com", OUT),
            ("joe@a.example.com", ".example.com", IN),
            ("joe@example.com", ".example.com", OUT),
            ("*@example.com", "*@example.com", IN),
            ("joe@example.com", "*@example.com", OUT),
            ("joe@example.com", "*.example.com", None),
            ("example.com", "example.com", None),
            ("@example.com", "example.com", None),
            ("a@b@example.com", "example.com", None),
            ("", "example.com", None),
        ] {
            assert_eq!(email(name, base), expected, "{name} in {base}");
        }
    }

    #[test]
    fn uri_is_in_the_subtree_of_its_host() {
        for (name, base, expected) in [
            ("https://example.com/a@b", "example.com", IN),
            ("https://user@Example.com:8443?x", "example.com", IN),
            ("https://a.example.com", "example.com", OUT),
            ("https://a.example.com", ".example.com", IN),
            ("https://example.com@evil.com/", "example.com", OUT),
            ("spiffe://contoso/orders", "contoso", IN),
            ("https://192.0.2.1/", "example.com", None),
            ("https://[::1]/", "example.com", None),
            ("urn:example", "example.com", None),
            ("https://exa%6dple.com/", "example.com", None),
            ("https:///path", "example.com", None),
        ] {
            assert_eq!(uri(name, base), expected, "{name} in {base}");
        }
    }

    #[test]
    fn address_is_in_a_range_of_its_family() {
        let range = [192, 0, 2, 0, 255, 255, 255, 0];
        assert!(ip(&[192, 0, 2, 9], &range));
        assert!(!ip(&[192, 0, 3, 9], &range));
        assert!(!ip(&[0; 16], &range));
        assert!(ip(&[7; 16], &[0; 32]), "all addresses");
    }

    #[test]
    fn directory_name_is_in_the_subtree_of_its_first_relative_names() {
        let name = |text: &str| text.parse::<DistinguishedName>().unwrap();
        for (subject, base, expected) in [
            ("CN=orders,O=Contoso", "O=Contoso", IN),
            ("CN=orders,O=CONTOSO", "O=contoso", IN),
            ("CN=orders,O=Contoso", "CN=orders,O=Contoso", IN),
            ("CN=orders,O=Contoso", "CN=orders", OUT),
            ("CN=orders,O=Contoso Ltd", "O=Contoso", OUT),
            ("CN=orders,OU=a+O=Contoso", "O=Contoso", OUT),
            ("O=Contoso", "CN=orders,O=Contoso", OUT),
        ] {
            assert_eq!(directory(&name(subject), &name(base), true), expected, "{subject} in {base}");
        }
        let organization = |tag, value: [u8; 4]| {
            let head = [0x30, 15, 0x31, 13, 0x30, 11, 6, 3, 85, 4, 10, tag, 4];
            DistinguishedName::from_der(&[&head[..], &value].concat()).unwrap()
        };
        let bmp_string = organization(0x1e, *b"\0C\0o");
        assert_eq!(directory(&bmp_string, &name("O=Co"), true), IN, "BMPString");
        let teletex_string = organization(0x14, *b"C\xc8uo");
        assert_eq!(directory(&teletex_string, &name("O=Co"), true), None, "excluded");
        assert_eq!(directory(&teletex_string, &name("O=Co"), false), OUT, "permitted");
    }
}
