//! `[routes.client_certificate]`: the callers that a route admits.

use toml::de::DeValue;

use super::defined_names::DefinedNames;
use super::entry::{Entry, choose};
use super::located::{FilePath, Located};
use super::proof::{self, StatedRules};
use super::rule_set::{RULE_KEYS, RuleSet, rule_keys};
use super::section::Section;

pub(crate) const KEYS: &[&str] = rule_keys!["validity", "any_of", "allow_unanchored", "mode", "policy"];

/// The keys of `[management.client_certificate]`: always enforced, and without a policy document.
pub(crate) const MANAGEMENT_KEYS: &[&str] = rule_keys!["validity", "any_of", "allow_unanchored"];

/// Keys that are allowed beside a policy document.
const BESIDE_POLICY: &[&str] = &["policy", "trust", "mode", "allow_unanchored"];

/// Requirements for a caller's certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct CertificateRules {
    /// Whether now must lie between notBefore and notAfter. The default.
    pub(crate) validity: bool,
    /// Rules that all must hold.
    pub(crate) all_of: RuleSet,
    /// Alternatives of which at least one must hold; empty: no such requirement.
    pub(crate) any_of: Vec<Located<RuleSet>>,
    /// Whether rules, or a document, are allowed that a self-made certificate can satisfy.
    pub(crate) allow_unanchored: bool,
    /// Whether rejections are enforced.
    pub(crate) mode: Mode,
    /// The policy document that decides in place of all rules; not read yet.
    pub(crate) policy: Option<Located<FilePath>>,
}

/// Enforcement of rejections.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Mode {
    /// Callers that do not satisfy the rules are rejected. The default.
    #[default]
    Enforce,
    /// They pass without being admitted, and are logged and counted.
    Shadow,
}

impl CertificateRules {
    pub(crate) fn read(mut section: Section<'_, '_>, names: &DefinedNames) -> Option<Self> {
        let report = section.report;
        let has_policy = section.knows("policy") && section.has("policy");
        if has_policy {
            refuse_beside_policy(&section);
        }
        let stated = StatedRules::of(&section);
        let has_group = section.has_similar("any_of");
        let validity_line = section.line_of("validity");
        let validity = section.boolean("validity", true);
        let allow_unanchored = section.boolean("allow_unanchored", false);
        if !validity && section.has("trust") && !has_policy {
            let problem = "has no effect beside trust, which judges the dates of the whole chain";
            report.warning(validity_line, &section.key_of("validity"), problem, "remove it");
        }
        // A rule beside a document has been reported; the store is not required for it as well.
        let all_of = RuleSet::take(&mut section, names, names.has_store || has_policy);
        let group = if has_group { any_of(&mut section, names) } else { Vec::new() };
        if !has_policy {
            let alternatives: Vec<_> = group.iter().map(|(stated, rules)| (stated, rules)).collect();
            if !stated.is_anchored && !has_group {
                proof::require_anchor(&section, &stated, validity, allow_unanchored);
            } else if !stated.is_anchored && !allow_unanchored {
                proof::require_anchored_alternatives(report, &alternatives);
            }
            let is_anchored = stated.is_anchored
                || has_group && alternatives.iter().all(|(alternative, _)| alternative.is_anchored);
            // `allow_unanchored` has no effect on anchored rules.
            if is_anchored || !allow_unanchored {
                proof::require_proven_names(report, (&stated, &all_of), &alternatives, names);
            }
        }
        let read = Self {
            validity,
            all_of,
            any_of: group.into_iter().map(|(_, rules)| rules).collect(),
            allow_unanchored,
            mode: if section.knows("mode") { mode(&mut section) } else { Mode::Enforce },
            policy: if section.knows("policy") { section.file("policy") } else { None },
        };
        section.finish();
        Some(read)
    }

    /// Whether a public key is pinned.
    pub(crate) fn has_pins(&self) -> bool {
        let alternatives = self.any_of.iter().map(|rules| &rules.value);
        std::iter::once(&self.all_of).chain(alternatives).any(|rules| !rules.spki_pin.is_empty())
    }

    /// Whether a chain, or the certificate itself, proves the names of every certificate that these rules admit.
    /// [`RuleSet::spki_pin`] does not: the owner of the key chooses them.
    pub(crate) fn proves_names(&self) -> bool {
        let mut alternatives = self.any_of.iter();
        self.all_of.proves_names()
            || (!self.any_of.is_empty() && alternatives.all(|rules| rules.proves_names()))
    }
}

/// Rejects rules beside a document, which decides alone: they would have no effect.
fn refuse_beside_policy(section: &Section<'_, '_>) {
    let rules = KEYS.iter().filter(|key| !BESIDE_POLICY.contains(key));
    for rule in rules.filter(|rule| section.has(rule)) {
        let problem = "has no effect beside policy, whose document decides in place of all rules";
        let remedy =
            "remove it, or remove policy; only trust, mode and allow_unanchored are allowed beside it";
        section.report.error(section.line_of(rule), &section.key_of(rule), problem, remedy);
    }
}

/// Takes the alternatives: a list of tables.
fn any_of(section: &mut Section<'_, '_>, names: &DefinedNames) -> Vec<(StatedRules, Located<RuleSet>)> {
    let report = section.report;
    let Some(entry) = section.take("any_of") else { return Vec::new() };
    let DeValue::Array(items) = entry.value else {
        let header = format!("[[{}.any_of]]", section.header_name());
        let remedy = format!("write {header} above each alternative, or any_of = [{{ ... }}, {{ ... }}]");
        report.error(entry.line, &entry.key, "is not a list of tables", remedy);
        return Vec::new();
    };
    if items.is_empty() {
        report.error(
            entry.line,
            &entry.key,
            "is an empty list",
            "name at least one alternative, or remove it",
        );
    }
    let mut alternatives = Vec::new();
    for (index, item) in items.into_iter().enumerate() {
        let key = format!("{}[{}]", entry.key, index + 1);
        let item = Entry { line: report.line(item.span()), key, value: item.into_inner() };
        let Some(mut section) = Section::of(item, report, RULE_KEYS) else { continue };
        let stated = StatedRules::of(&section);
        let (line, key) = (section.line, section.key.clone());
        if section.is_empty() {
            report.error(line, &key, "has no rule, so every certificate matches", "add a rule, or remove it");
        }
        let value = RuleSet::take(&mut section, names, names.has_store);
        section.finish();
        alternatives.push((stated, Located { value, line, key }));
    }
    alternatives
}

fn mode(section: &mut Section<'_, '_>) -> Mode {
    let report = section.report;
    let modes = [("enforce", Mode::Enforce), ("shadow", Mode::Shadow)];
    section
        .string("mode")
        .and_then(|mode| choose(report, mode, &modes))
        .map(|mode| mode.value)
        .unwrap_or_default()
}
