//! x509-limbo, for client certificates.
//!
//! Ten of its cases are of client certificates. The others are of servers: their leaves have serverAuth alone, so all
//! certificates and lists of such a case are issued again with clientAuth in its place, and the reverse ([`issue`]). Two
//! cases lack the intermediate that they describe, which is added. Names of servers are not compared.
//!
//! Judged are all cases but those of [`NOT_JUDGED`]: rules for certificates of public servers, for which the suite has a
//! namespace, names of servers, and rules for issuers, which RFC 5280 states in section 4 and does not check in section 6.
//! Lists of a case must be known and current: revocation is strict.

mod issue;

use std::path::Path;

use serde_json::Value;
use tower_mtls::certificate::Timestamp;

use super::{
    Tally,
    case::{Case, Policies},
    json, suite, text, texts, timestamp,
};
use crate::support::pki::NOON;

/// Cases that are not judged, each with the reason. A name that ends in `::` is a namespace.
const NOT_JUDGED: &[(&str, &str)] = &[
    ("webpki::", "rules of the CA/Browser Forum for certificates of public servers"),
    ("pathlen::max-chain-depth-", "the verifier has no limit of depth but its own"),
    ("rfc5280::ca-as-leaf-wrong-san", "names of servers"),
    ("rfc5280::san::underscore-dns", "names of servers"),
    ("rfc5280::san::ip-in-dns", "names of servers"),
    ("rfc5280::san::noncritical-with-empty-subject", "a rule for issuers (4.1.2.6)"),
    ("rfc5280::serial::too-long", "a rule for issuers (4.1.2.2)"),
    ("rfc5280::serial::zero", "a rule for issuers (4.1.2.2)"),
    ("rfc5280::serial::negative", "a rule for issuers (4.1.2.2); PKITS 4.4.14 states that it is valid"),
    ("rfc5280::aki::critical-aki", "a rule for issuers (4.2.1.1)"),
    ("rfc5280::aki::leaf-missing-aki", "a rule for issuers (4.2.1.1)"),
    ("rfc5280::aki::intermediate-missing-aki", "a rule for issuers (4.2.1.1)"),
    ("rfc5280::aki::cross-signed-root-missing-aki", "a rule for issuers (4.2.1.1)"),
    ("rfc5280::ski::critical-ski", "a rule for issuers (4.2.1.2)"),
    ("rfc5280::ski::root-missing-ski", "a rule for issuers (4.2.1.2)"),
    ("rfc5280::ski::intermediate-missing-ski", "a rule for issuers (4.2.1.2)"),
    ("rfc5280::leaf-ku-keycertsign", "a rule for issuers (4.2.1.3)"),
    ("rfc5280::root-missing-basic-constraints", "a rule for issuers (4.2.1.9); OpenSSL accepts keyCertSign"),
    ("rfc5280::root-non-critical-basic-constraints", "a rule for issuers (4.2.1.9)"),
    ("rfc5280::nc::permitted-dns-match-noncritical", "a rule for issuers (4.2.1.10)"),
    (
        "rfc5280::nc::invalid-dnsname-leading-period",
        "a rule for issuers (4.2.1.10); usual, OpenSSL and Go accept it",
    ),
    ("rfc5280::pc::ica-noncritical-pc", "a rule for issuers (4.2.1.11)"),
];

/// Cases of `webpki::` that judge the chain of any certificate.
const JUDGED: &[&str] = &[
    "webpki::nc::permitted-dns-match-noncritical",
    "webpki::nc::nc-permits-dns-san-pattern",
    "webpki::explicit-curve",
    "webpki::cryptographydotio-chain",
    "webpki::cryptographydotio-chain-missing-intermediate",
    "webpki::forbidden-p192-root",
    "webpki::forbidden-dsa-root",
    "webpki::forbidden-weak-rsa-key-in-root",
];

/// Valid chains that are rejected, each with the reason.
const REJECTED: &[(&str, &str)] = &[
    ("rfc5280::ca-as-leaf", "the key usage of a client needs digitalSignature or keyAgreement"),
    (
        "pathlen::validation-ignores-pathlen-in-leaf",
        "the key usage of a client needs digitalSignature or keyAgreement",
    ),
];

#[test]
fn limbo_chains_are_judged_as_the_suite_states() {
    let Some(suite) = suite("x509-limbo") else { return };
    let mut tally = Tally::default();
    let cases = cases(&suite);
    for (case, is_valid) in &cases {
        tally.add(&case.name, *is_valid, case.judge());
    }
    tally.assert("x509-limbo", cases.len(), REJECTED);
    assert!(tally.right >= 118 && REJECTED.len() <= 2, "{} of {} are right", tally.right, cases.len());
}

/// The cases that are judged, and whether the suite states that the chain is valid.
pub(super) fn cases(suite: &Path) -> Vec<(Case, bool)> {
    let limbo = json(&suite.join("limbo.json"));
    let rows = limbo["testcases"].as_array().unwrap();
    for (name, reason) in NOT_JUDGED {
        assert!(rows.iter().any(|row| text(row, "id").starts_with(name)), "{name} is not a case: {reason}");
    }
    let is_judged = |row: &&Value| {
        let id = text(row, "id");
        JUDGED.contains(&id) || NOT_JUDGED.iter().all(|(name, _)| !id.starts_with(name))
    };
    let judged = rows.iter().filter(is_judged);
    judged.map(|row| (case(row), text(row, "expected_result") == "SUCCESS")).collect()
}

fn case(row: &Value) -> Case {
    match text(row, "validation_kind") {
        "CLIENT" => read(row),
        _ => issue::for_clients(read(row)),
    }
}

/// A case as the suite has it.
fn read(row: &Value) -> Case {
    let read_all = |field| texts(row, field).into_iter().map(der).collect::<Vec<_>>();
    let lists = read_all("crls");
    Case {
        name: text(row, "id").into(),
        roots: read_all("trusted_certs"),
        intermediates: read_all("untrusted_intermediates"),
        leaf: der(text(row, "peer_certificate")),
        lists: (!lists.is_empty()).then_some(lists),
        policies: Policies::default(),
        now: row["validation_time"].as_str().map_or(Timestamp::from_unix(NOON), timestamp),
    }
}

fn der(pem: &str) -> Vec<u8> {
    pem::parse(pem).unwrap().into_contents()
}
