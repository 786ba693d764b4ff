//! Proof of a certificate: whether rules can be satisfied by a certificate that a caller issues to itself.
//!
//! | rules | prove |
//! |---|---|
//! | `trust`, `issuer_thumbprint` | the certificate, by the signature of its issuer |
//! | `thumbprint`, `thumbprint_file`, `in_store` | the certificate, by its hash or its bytes |
//! | `spki_pin` | the key only: its owner can issue a certificate with any names |
//! | all others | nothing: the issuer of a certificate chooses them |
//!
//! An `any_of` proves what each of its alternatives proves.

use std::collections::HashSet;

use super::defined_names::DefinedNames;
use super::located::Located;
use super::report::Report;
use super::rule_set::RuleSet;
use super::section::Section;

/// Rules that prove the certificate with its names.
const PROVES_NAMES: &[&str] = &["trust", "thumbprint", "thumbprint_file", "in_store", "issuer_thumbprint"];

/// Rules that compare names. The issuer's name and the serial number are chosen with them.
const NAMES: &[&str] = &[
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
];

/// The rules of a section by their keys. A misspelt key counts, since it is reported as such; so does a key with a
/// broken value.
#[derive(Debug)]
pub(super) struct StatedRules {
    /// Whether one of them proves the certificate, or at least its key.
    pub(super) is_anchored: bool,
    proves_names: bool,
    /// Whether one of them compares what the certificate contains.
    has_claims: bool,
    /// The first rule about names.
    name: Option<Located<&'static str>>,
}

impl StatedRules {
    pub(super) fn of(section: &Section<'_, '_>) -> Self {
        let has = |keys: &[&str]| keys.iter().any(|key| section.has_similar(key) && !section.is_false(key));
        let proves_names = has(PROVES_NAMES) || (section.knows("policy") && section.has_similar("policy"));
        let name = NAMES.iter().find(|key| section.has(key));
        Self {
            is_anchored: proves_names || has(&["spki_pin"]),
            proves_names,
            has_claims: has(NAMES) || has(&["extended_key_usage"]),
            name: name.map(|key| Located {
                value: *key,
                line: section.line_of(key),
                key: section.key_of(key),
            }),
        }
    }
}

/// Rejects rules without an anchor and without `any_of`, unless the file allows them.
pub(super) fn require_anchor(
    section: &Section<'_, '_>,
    stated: &StatedRules,
    validity: bool,
    allow_unanchored: bool,
) {
    if allow_unanchored && (stated.has_claims || validity) {
        return;
    }
    let add = "add trust = \"NAME\" or thumbprint = [\"...\"], or state allow_unanchored = true";
    let (problem, remedy) = if stated.has_claims {
        ("can be forged: any caller can issue itself a certificate with these values", add)
    } else if validity {
        ("has no rule besides validity, which any self-made certificate satisfies", add)
    } else {
        ("has no rule", "add trust = \"NAME\" or thumbprint = [\"...\"], or remove the section")
    };
    section.report.missing(section.line, &section.key, problem, remedy);
}

/// Rejects alternatives without an anchor: one such alternative makes the whole group worthless.
pub(super) fn require_anchored_alternatives(report: &Report, group: &[(&StatedRules, &Located<RuleSet>)]) {
    for (_, rules) in group.iter().filter(|(stated, _)| !stated.is_anchored && stated.has_claims) {
        let problem =
            "can be forged: any caller can issue itself a certificate that satisfies this alternative";
        let remedy = "add trust = \"NAME\" or thumbprint = [\"...\"] to it, or to the rules beside any_of";
        report.missing(rules.line, &rules.key, problem, remedy);
    }
}

/// Rejects rules about names that only public keys anchor, if there are several keys: the owner of each could use the
/// names of the others.
pub(super) fn require_proven_names(
    report: &Report,
    (stated, all_of): (&StatedRules, &RuleSet),
    group: &[(&StatedRules, &Located<RuleSet>)],
    names: &DefinedNames,
) {
    if stated.proves_names {
        return;
    }
    let common = keys(all_of);
    if group.is_empty() {
        require_one_key(report, &common, stated, names);
        return;
    }
    let mut reachable = HashSet::new();
    for (alternative, rules) in group.iter().filter(|(alternative, _)| !alternative.proves_names) {
        let own = keys(rules);
        let usable = match (common.is_empty(), own.is_empty()) {
            (false, false) => common.intersection(&own).copied().collect(),
            (false, true) => common.clone(),
            (true, _) => own,
        };
        require_one_key(report, &usable, alternative, names);
        reachable.extend(usable);
    }
    // A certificate that another alternative proves has names as well, which the owner of a pinned key could use.
    let has_proven = group.iter().any(|(alternative, _)| alternative.proves_names);
    let limit = if has_proven { 0 } else { 1 };
    require_keys(report, &reachable, limit, stated, names);
}

type Keys = HashSet<[u8; 32]>;

fn keys(rules: &RuleSet) -> Keys {
    rules.spki_pin.iter().map(|pin| pin.value).collect()
}

fn require_one_key(report: &Report, keys: &Keys, stated: &StatedRules, names: &DefinedNames) {
    require_keys(report, keys, 1, stated, names);
}

/// Rejects a rule about names that more than `limit` keys anchor.
fn require_keys(report: &Report, keys: &Keys, limit: usize, stated: &StatedRules, names: &DefinedNames) {
    let Some(name) = stated.name.as_ref().filter(|_| keys.len() > limit) else { return };
    let owners = match keys.len() {
        1 => "the owner of the key".to_owned(),
        keys => format!("the owner of each of the {keys} keys"),
    };
    let problem = format!("is not proven by spki_pin: {owners} can issue itself a certificate with any name");
    let remedy = match names.only_trust() {
        Some(trust) => format!("add trust = \"{trust}\", or remove {}", name.value),
        None => format!("remove {}, or add trust = \"NAME\" with a set of [trust.NAME]", name.value),
    };
    report.missing(name.line, &name.key, problem, remedy);
}
