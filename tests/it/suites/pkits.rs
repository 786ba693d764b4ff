//! NIST's Public Key Interoperability Test Suite (PKITS), with its revocation lists and policy inputs. Every list must be
//! known and current: revocation is strict.

use std::path::Path;

use serde_json::Value;

use super::{
    Tally,
    case::{Case, Policies},
    json, suite, text, texts, timestamp,
};

/// Valid chains that are rejected, each with the reason.
const REJECTED: &[(&str, &str)] = &[
    ("4.1.4 Valid DSA Signatures Test4", "DSA"),
    ("4.1.5 Valid DSA Parameter Inheritance Test5", "DSA"),
    ("4.14.22 Valid IDP with indirectCRL Test22", "an indirect list"),
    ("4.14.24 Valid IDP with indirectCRL Test24", "an indirect list"),
    ("4.14.25 Valid IDP with indirectCRL Test25", "an indirect list"),
    ("4.14.28 Valid cRLIssuer Test28", "an indirect list"),
    ("4.14.29 Valid cRLIssuer Test29", "an indirect list"),
    ("4.14.30 Valid cRLIssuer Test30", "an indirect list"),
    ("4.14.33 Valid cRLIssuer Test33", "an indirect list"),
    ("4.15.5 Valid delta-CRL Test5", "a delta list that removes the entry"),
];

#[test]
fn pkits_chains_are_judged_as_nist_states() {
    let Some(suite) = suite("pkits") else { return };
    let mut tally = Tally::default();
    let cases = cases(&suite);
    for (case, is_valid) in &cases {
        tally.add(&case.name, *is_valid, case.judge());
    }
    tally.assert("PKITS", cases.len(), REJECTED);
    assert!(tally.right >= 228, "{} of {} are right", tally.right, cases.len());
}

/// All cases, and whether NIST states that the chain is valid.
pub(super) fn cases(suite: &Path) -> Vec<(Case, bool)> {
    let expected = json(&suite.join("expected.json"));
    let rows = expected["cases"].as_array().unwrap();
    assert_eq!(rows.len(), 249);
    rows.iter().map(|row| (case(suite, row), row["valid"].as_bool().unwrap())).collect()
}

fn case(suite: &Path, row: &Value) -> Case {
    let read = |file: &str| std::fs::read(suite.join(file)).unwrap();
    let read_all = |field| texts(row, field).into_iter().map(read).collect::<Vec<_>>();
    let flag = |field: &str| row[field].as_bool().unwrap();
    // The suite lists the certificate that the root issued first.
    let mut intermediates = read_all("intermediates");
    intermediates.reverse();
    Case {
        name: text(row, "title").into(),
        roots: vec![read(text(row, "trust_anchor"))],
        intermediates,
        leaf: read(text(row, "leaf")),
        lists: Some(read_all("crls")),
        policies: Policies {
            initial: texts(row, "initial_policy_set").into_iter().map(policy).collect(),
            explicit: flag("initial_explicit_policy"),
            inhibit_mapping: flag("initial_policy_mapping_inhibit"),
            inhibit_any: flag("initial_inhibit_any_policy"),
        },
        now: timestamp(text(row, "time")),
    }
}

/// The OID of `NIST-test-policy-N`.
fn policy(name: &str) -> String {
    let number = name.strip_prefix("NIST-test-policy-").unwrap();
    format!("2.16.840.1.101.3.2.1.48.{number}")
}
