use std::{fmt, str::FromStr};

use crate::certificate::{Certificate, GeneralName};

/// A DNS name in a rule, such as `orders.contoso.com` or `*.contoso.com` (RFC 9525).
///
/// `*` matches exactly one whole label, and only the leftmost one. ASCII case is ignored. A wildcard in a *certificate*
/// matches no pattern.
///
/// ```
/// use tower_mtls::{Rule, policy::DnsNamePattern};
///
/// let pattern: DnsNamePattern = "*.contoso.com".parse()?;
/// assert_eq!(pattern.to_string(), "*.contoso.com");
/// assert!(format!("{:?}", Rule::dns_name([pattern])).contains("*.contoso.com"));
/// assert!("orders.*.com".parse::<DnsNamePattern>().is_err());
/// # Ok::<(), tower_mtls::policy::DnsNameParseError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DnsNamePattern {
    wildcard: bool,
    name: Box<str>,
}

impl DnsNamePattern {
    /// Returns true if one of the certificate's dNSName entries matches.
    pub fn matches(&self, certificate: &Certificate) -> bool {
        certificate
            .subject_alternative_names()
            .iter()
            .any(|name| matches!(name, GeneralName::Dns(name) if self.matches_name(name)))
    }

    /// Returns true if the certificate has a dNSName that is not a plain host name.
    pub(super) fn has_odd_names(certificate: &Certificate) -> bool {
        let is_odd =
            |name: &GeneralName| matches!(name, GeneralName::Dns(name) if !name.split('.').all(is_label));
        certificate.subject_alternative_names().iter().any(is_odd)
    }

    fn matches_name(&self, name: &str) -> bool {
        if !name.split('.').all(is_label) {
            return false;
        }
        if !self.wildcard {
            return self.name.eq_ignore_ascii_case(name);
        }
        name.split_once('.').is_some_and(|(_, parent)| self.name.eq_ignore_ascii_case(parent))
    }
}

fn is_label(label: &str) -> bool {
    (1..=63).contains(&label.len())
        && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
}

impl FromStr for DnsNamePattern {
    type Err = DnsNameParseError;

    /// # Errors
    ///
    /// The text is not a DNS name of ASCII labels (write international names in their `xn--` form), or has
    /// a `*` anywhere but as the whole first label of a name with at least two more.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (wildcard, name) = match text.strip_prefix("*.") {
            Some(parent) => (true, parent),
            None => (false, text),
        };
        let long_enough = !wildcard || name.contains('.');
        if name.len() > 253 || !long_enough || !name.split('.').all(is_label) {
            return Err(DnsNameParseError);
        }
        Ok(Self { wildcard, name: name.into() })
    }
}

impl fmt::Display for DnsNamePattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", if self.wildcard { "*." } else { "" }, self.name)
    }
}

/// Error of parsing a [`DnsNamePattern`].
///
/// ```
/// use tower_mtls::policy::{DnsNameParseError, DnsNamePattern};
///
/// let error: DnsNameParseError = "müller.de".parse::<DnsNamePattern>().unwrap_err();
/// assert!(error.to_string().contains("xn--"));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct DnsNameParseError;

impl fmt::Display for DnsNameParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(
            "not a DNS name; write orders.contoso.com or *.contoso.com, international names as xn--...",
        )
    }
}

impl std::error::Error for DnsNameParseError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wildcard_of_a_rule_matches_one_whole_label() {
        for (pattern, name, expected) in [
            ("orders.contoso.com", "Orders.Contoso.COM", true),
            ("orders.contoso.com", "orders.contoso.com.evil.com", false),
            ("*.contoso.com", "orders.contoso.com", true),
            ("*.contoso.com", "contoso.com", false),
            ("*.contoso.com", "a.b.contoso.com", false),
            ("*.contoso.com", "*.contoso.com", false),
            ("*.contoso.com", ".contoso.com", false),
            ("orders.contoso.com", "*.contoso.com", false),
            ("orders.contoso.com", "orders.contoso.com.", false),
            ("orders.contoso.com", "orders.contoso.com\0", false),
        ] {
            let parsed: DnsNamePattern = pattern.parse().unwrap();
            assert_eq!(parsed.matches_name(name), expected, "{pattern} {name}");
        }
    }

    #[test]
    fn text_that_is_not_a_dns_name_is_an_error() {
        for text in
            ["", "*", "*.", "*.com", "a*.contoso.com", "a.*.com", "a..b", "müller.de", "a b", &"a".repeat(64)]
        {
            assert!(text.parse::<DnsNamePattern>().is_err(), "{text}");
        }
    }
}
