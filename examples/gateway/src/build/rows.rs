//! Rows of `identity_by`: the index by which requests find theirs, and rows that one certificate could match at the same
//! time.

use std::collections::HashMap;

use tower_mtls::{
    Certificate, Policy,
    certificate::{DistinguishedName, GeneralName, Presented, SpiffeId, Thumbprint, Timestamp},
    identity::IdentityReference,
    policy::NamePattern,
};

use super::files::Findings;
use crate::config::{Claim, IdentityBy, quoted};

/// Rows with a look-up by the claim, so that its cost does not depend on their number.
pub(super) struct Rows {
    claim: Claim,
    rows: Vec<(Policy, IdentityReference)>,
    index: Index,
}

/// Indexes of rows by key.
#[derive(Default)]
struct Index {
    by_key: HashMap<String, Vec<usize>>,
    /// Rows without a key, which can match any certificate.
    others: Vec<usize>,
}

impl Rows {
    /// `rows` are the rules of `by`, in its order.
    pub(super) fn new(claim: Claim, by: &IdentityBy, rows: Vec<(Policy, IdentityReference)>) -> Self {
        Self { claim, rows, index: Index::new(claim, by) }
    }

    /// Returns the identity of all matching rows, if there are any and it is the same.
    pub(super) fn find(&self, presented: &Presented) -> Option<&IdentityReference> {
        // The validity period has been checked at admission.
        let any_time = Timestamp::from_unix(0);
        let candidates = match presented {
            Presented::Certificate(certificate) => keys(self.claim, certificate),
            _ => None,
        };
        let candidates: Vec<_> = match &candidates {
            Some(keys) => {
                keys.iter().flat_map(|key| self.index.of_key(key)).chain(&self.index.others).collect()
            }
            None => self.index.by_key.values().flatten().chain(&self.index.others).collect(),
        };
        let candidates = candidates.into_iter().filter_map(|row| self.rows.get(*row));
        let mut matching = candidates.filter(|(rule, _)| rule.judge(presented, any_time).is_ok());
        let (_, identity) = matching.next()?;
        matching.all(|(_, other)| other == identity).then_some(identity)
    }
}

impl Index {
    fn new(claim: Claim, by: &IdentityBy) -> Self {
        let mut index = Self::default();
        for (row, (value, _)) in by.identities.iter().enumerate() {
            match key(claim, value) {
                Some(key) => index.by_key.entry(key).or_default().push(row),
                None => index.others.push(row),
            }
        }
        index
    }

    fn of_key(&self, key: &str) -> &[usize] {
        self.by_key.get(key).map_or(&[], Vec::as_slice)
    }
}

/// The key of a row: equal for rows that match the same certificate, except for wildcards. None: no key is certain.
fn key(claim: Claim, value: &str) -> Option<String> {
    match claim {
        Claim::CommonName => ascii_folded(value),
        Claim::Subject => subject_key(&value.parse().ok()?),
        Claim::DnsName => Some(value.to_ascii_lowercase()),
        Claim::SpiffeId => value.parse::<SpiffeId>().ok().map(|id| id.to_string()),
        Claim::Thumbprint => value.parse::<Thumbprint>().ok().map(|thumbprint| thumbprint.to_string()),
    }
}

/// The keys of all rows that can match a certificate, apart from those without a key. None: any row can match.
fn keys(claim: Claim, certificate: &Certificate) -> Option<Vec<String>> {
    Some(match claim {
        Claim::CommonName => {
            let mut names = certificate.subject().common_names();
            let only = names.next().filter(|_| names.next().is_none())?;
            vec![ascii_folded(only)?]
        }
        Claim::Subject => vec![subject_key(certificate.subject())?],
        Claim::DnsName => {
            let names = certificate.subject_alternative_names().iter();
            let names = names.filter_map(|name| match name {
                GeneralName::Dns(name) => Some(name.to_ascii_lowercase()),
                _ => None,
            });
            names.flat_map(|name| [wildcard(&name), Some(name)]).flatten().collect()
        }
        Claim::SpiffeId => certificate.spiffe_id().iter().map(ToString::to_string).collect(),
        Claim::Thumbprint => {
            vec![certificate.sha256_thumbprint().to_string(), certificate.sha1_thumbprint().to_string()]
        }
    })
}

/// Attribute type of a common name.
const COMMON_NAME: &str = "2.5.4.3";

/// The common names in any string type, which are the same in both orders of a name.
fn subject_key(subject: &DistinguishedName) -> Option<String> {
    let common_names = subject.attributes().filter(|attribute| attribute.oid() == COMMON_NAME);
    let mut names: Vec<_> =
        common_names.map(|attribute| attribute.text().and_then(ascii_folded)).collect::<Option<_>>()?;
    names.sort_unstable();
    Some(names.join("\n"))
}

/// The text as comparisons of names see it; None for other than ASCII, whose forms vary.
fn ascii_folded(text: &str) -> Option<String> {
    let is_plain = text.bytes().all(|byte| byte.is_ascii_graphic() || byte == b' ');
    is_plain.then(|| folded(text))
}

/// The wildcard that matches this DNS name.
fn wildcard(name: &str) -> Option<String> {
    name.split_once('.').map(|(_, parent)| format!("*.{parent}"))
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Relation {
    Apart,
    /// Some certificates match both.
    Overlapping,
    /// The same value in two spellings.
    Same,
}

/// Reports rows whose order would decide. Returns true if there are none.
pub(super) fn are_apart(claim: Claim, by: &IdentityBy, findings: &mut Findings) -> bool {
    let mut are_apart = true;
    for (at, other) in candidate_pairs(claim, by) {
        let (Some((value, identity)), Some((other, other_identity))) =
            (by.identities.get(at), by.identities.get(other))
        else {
            continue;
        };
        let problem = match relation(claim, value, other) {
            Relation::Same => "is the same value as",
            Relation::Overlapping if identity != other_identity => "names another identity than",
            _ => continue,
        };
        let problem = format!("{} {problem} {}", quoted(value), quoted(other));
        findings.error(value, problem, "keep one of the two: a certificate could match both");
        are_apart = false;
    }
    are_apart
}

/// Returns all pairs of a row and an earlier one that can have a relation, in the order of the rows.
fn candidate_pairs(claim: Claim, by: &IdentityBy) -> Vec<(usize, usize)> {
    let index = Index::new(claim, by);
    let mut pairs = Vec::new();
    for (row, (value, _)) in by.identities.iter().enumerate() {
        let key = key(claim, value);
        let same = key.as_deref().map(|key| index.of_key(key)).unwrap_or_default();
        let over = key.as_deref().filter(|_| claim == Claim::DnsName).and_then(wildcard);
        let over = over.as_deref().map(|key| index.of_key(key)).unwrap_or_default();
        let others = same.iter().chain(over).chain(&index.others).copied().filter(|other| *other != row);
        pairs.extend(others.map(|other| (row.max(other), row.min(other))));
    }
    pairs.sort_unstable();
    pairs.dedup();
    pairs
}

/// Compares two values; invalid ones are reported elsewhere.
fn relation(claim: Claim, one: &str, two: &str) -> Relation {
    let is_same = match claim {
        Claim::CommonName => folded(one) == folded(two),
        Claim::Subject => match (one.parse::<NamePattern>(), two.parse::<DistinguishedName>()) {
            (Ok(one), Ok(two)) => one.matches(&two),
            _ => false,
        },
        Claim::DnsName => {
            let (one, two) = (one.to_ascii_lowercase(), two.to_ascii_lowercase());
            if one != two && (matches_wildcard(&one, &two) || matches_wildcard(&two, &one)) {
                return Relation::Overlapping;
            }
            one == two
        }
        Claim::SpiffeId => parsed::<SpiffeId>(one, two),
        Claim::Thumbprint => parsed::<Thumbprint>(one, two),
    };
    if is_same { Relation::Same } else { Relation::Apart }
}

fn parsed<T: std::str::FromStr + PartialEq>(one: &str, two: &str) -> bool {
    matches!((one.parse::<T>(), two.parse::<T>()), (Ok(one), Ok(two)) if one == two)
}

/// Folds case and white space, as in the comparison of names.
fn folded(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ").to_lowercase()
}

/// Whether this wildcard matches this name.
fn matches_wildcard(wildcard: &str, name: &str) -> bool {
    let parent = name.split_once('.').map(|(_, parent)| parent);
    wildcard.strip_prefix("*.").is_some_and(|stem| parent == Some(stem))
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, DnType, DnValue, KeyPair, SanType};
    use tower_mtls::Rule;

    use super::*;
    use crate::config::{IdentitySource, Located};

    #[test]
    fn rows_are_compared_like_rules() {
        use Relation::{Apart, Overlapping, Same};
        let prints = ["aa".repeat(20), "AA:".repeat(19) + "AA"];
        for (claim, one, two, expected) in [
            (Claim::CommonName, "Orders", "orders", Same),
            (Claim::CommonName, " a  b", "A b ", Same),
            (Claim::CommonName, "a", "b", Apart),
            (Claim::Subject, "CN=a, O=B", "cn=A,o=b", Same),
            (Claim::Subject, "CN=a, O=B", "O=B, CN=a", Same),
            (Claim::Subject, "CN=a, O=B", "CN=a", Apart),
            (Claim::DnsName, "a.example.com", "A.Example.com", Same),
            (Claim::DnsName, "*.example.com", "a.example.com", Overlapping),
            (Claim::DnsName, "A.example.com", "*.Example.com", Overlapping),
            (Claim::DnsName, "*.example.com", "a.b.example.com", Apart),
            (Claim::SpiffeId, "spiffe://a.example/b", "spiffe://a.example/b", Same),
            (Claim::SpiffeId, "spiffe://a.example/b", "spiffe://a.example/B", Apart),
            (Claim::Thumbprint, &prints[0], &prints[1], Same),
        ] {
            assert_eq!(relation(claim, one, two), expected, "{one} {two}");
        }
    }

    /// Rows of these values, each with its own identity, and the rule that `rule` builds.
    fn rows(claim: Claim, values: &[&str], rule: impl Fn(&str) -> Rule) -> Rows {
        let located = |value: &str| Located { value: value.to_owned(), line: 1, key: String::new() };
        let by = IdentityBy {
            by: IdentitySource::Claim(Located { value: claim, line: 1, key: String::new() }),
            identities: values.iter().map(|value| (located(value), (*value).to_owned())).collect(),
        };
        let policy = |value: &str| {
            let policy = Policy::builder().allow_outside_validity().allow_unanchored();
            policy.require(rule(value)).build().unwrap()
        };
        let rules = values.iter().map(|value| (policy(value), IdentityReference::name(*value))).collect();
        Rows::new(claim, &by, rules)
    }

    fn presented(common_names: &[&str], names: Vec<SanType>) -> Presented {
        presented_as(|name| DnValue::Utf8String(name.to_owned()), common_names, names)
    }

    /// With common names of the string type that `value` encodes.
    fn presented_as(
        value: impl Fn(&str) -> DnValue,
        common_names: &[&str],
        names: Vec<SanType>,
    ) -> Presented {
        let mut params = CertificateParams::default();
        params.distinguished_name = rcgen::DistinguishedName::new();
        params.distinguished_name.push(DnType::OrganizationName, "B");
        for name in common_names {
            params.distinguished_name.push(DnType::CommonName, value(name));
        }
        params.subject_alt_names = names;
        let issued = params.self_signed(&KeyPair::generate().unwrap()).unwrap();
        Presented::from_der_chain([issued.der().as_ref()])
    }

    #[test]
    fn indexed_rows_match_as_their_rules_do() {
        let dns = |name: &str| vec![SanType::DnsName(name.try_into().unwrap())];
        let uri = |uri: &str| vec![SanType::URI(uri.try_into().unwrap())];
        let bmp = |name: &str| DnValue::BmpString(name.try_into().unwrap());
        let any = || presented(&["a"], Vec::new());
        let Presented::Certificate(certificate) = any() else { panic!("unreadable") };
        let (sha1, sha256) =
            (certificate.sha1_thumbprint().to_string(), certificate.sha256_thumbprint().to_string());
        let common_name = rows(Claim::CommonName, &["a  B", "ä", "c"], |name| Rule::common_name([name]));
        let subject = |name: &str| Rule::subject([name.parse::<NamePattern>().unwrap()]);
        let subject = rows(Claim::Subject, &["CN=x, O=B", "O=B, CN=y", "O=B", "CN=x"], subject);
        let dns_name = |name: &str| Rule::dns_name([name.parse().unwrap()]);
        let dns_name = rows(Claim::DnsName, &["A.example.com", "*.example.org"], dns_name);
        let spiffe = |id: &str| Rule::spiffe_id([id.parse::<SpiffeId>().unwrap()]);
        let spiffe = rows(Claim::SpiffeId, &["spiffe://a.example/b", "spiffe://a.example/c"], spiffe);
        let thumbprint = |text: &str| Rule::thumbprint([text.parse::<Thumbprint>().unwrap()]);
        let [by_sha1, by_sha256] = [&sha1, &sha256]
            .map(|text| rows(Claim::Thumbprint, &[&"ab".repeat(20), &text.to_uppercase()], thumbprint));
        let presented_certificate = Presented::Certificate(certificate);
        for (name, rows, presented, expected) in [
            ("common name", &common_name, presented(&["A b"], Vec::new()), Some("a  B")),
            ("composed common name", &common_name, presented(&["A\u{308}"], Vec::new()), Some("ä")),
            ("other common name", &common_name, presented(&["d"], Vec::new()), None),
            ("no common name", &common_name, presented(&[], Vec::new()), None),
            ("subject", &subject, presented(&["X"], Vec::new()), Some("CN=x, O=B")),
            (
                "subject in another string type",
                &subject,
                presented_as(bmp, &["x"], Vec::new()),
                Some("CN=x, O=B"),
            ),
            ("subject in encoding order", &subject, presented(&["y"], Vec::new()), Some("O=B, CN=y")),
            ("subject without common name", &subject, presented(&[], Vec::new()), Some("O=B")),
            ("other subject", &subject, presented(&["z"], Vec::new()), None),
            ("DNS name", &dns_name, presented(&[], dns("a.Example.com")), Some("A.example.com")),
            ("wildcard", &dns_name, presented(&[], dns("b.example.ORG")), Some("*.example.org")),
            ("two labels below a wildcard", &dns_name, presented(&[], dns("a.b.example.org")), None),
            (
                "names of two rows",
                &dns_name,
                presented(&[], [dns("b.example.org"), dns("a.example.com")].concat()),
                None,
            ),
            ("SPIFFE ID", &spiffe, presented(&[], uri("spiffe://a.example/c")), Some("spiffe://a.example/c")),
            ("other SPIFFE ID", &spiffe, presented(&[], uri("spiffe://a.example/C")), None),
            ("SHA-1", &by_sha1, presented_certificate.clone(), Some(&*sha1.to_uppercase())),
            ("SHA-256", &by_sha256, presented_certificate, Some(&*sha256.to_uppercase())),
            ("other thumbprint", &by_sha256, any(), None),
            ("unreadable", &common_name, Presented::from_der_chain([&b"garbage"[..]]), None),
        ] {
            let found = rows.find(&presented);
            assert_eq!(found, expected.map(IdentityReference::name).as_ref(), "{name}");
        }
    }
}
