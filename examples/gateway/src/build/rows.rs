//! Rows of `identity_by` that one certificate could match at the same time.

use tower_mtls::{certificate::DistinguishedName, policy::NamePattern};

use super::files::Findings;
use crate::config::{Claim, IdentityBy, quoted};

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
    for (at, (value, identity)) in by.identities.iter().enumerate() {
        for (other, other_identity) in &by.identities[..at] {
            let problem = match relation(claim, value, other) {
                Relation::Same => "is the same value as",
                Relation::Overlapping if identity != other_identity => "names another identity than",
                _ => continue,
            };
            let problem = format!("{} {problem} {}", quoted(value), quoted(other));
            findings.error(value, problem, "keep one of the two: a certificate could match both");
            are_apart = false;
        }
    }
    are_apart
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
        Claim::SpiffeId => parsed::<tower_mtls::certificate::SpiffeId>(one, two),
        Claim::Thumbprint => parsed::<tower_mtls::certificate::Thumbprint>(one, two),
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
    use super::*;

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
}
