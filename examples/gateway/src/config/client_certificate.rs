//! `[routes.client_certificate]`: which callers a route lets in.

use super::diagnostic::quoted;
use super::entry::{checked, choose};
use super::located::{FilePath, Located};
use super::names;
use super::route::DefinedNames;
use super::section::Section;

/// The keys of `[routes.client_certificate]`.
pub(crate) const KEYS: &[&str] = &[
    "validity",
    "trust",
    "issuer",
    "subject",
    "common_name",
    "dns_name",
    "thumbprint",
    "thumbprint_file",
    "in_store",
    "allow_unanchored",
    "mode",
    "policy",
];

/// The keys of `[management.client_certificate]`: always enforced, by rules of its own.
pub(crate) const MANAGEMENT_KEYS: &[&str] = &[
    "validity",
    "trust",
    "issuer",
    "subject",
    "common_name",
    "dns_name",
    "thumbprint",
    "thumbprint_file",
    "in_store",
    "allow_unanchored",
];

/// What a caller's certificate must fulfil: every rule that is not empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct CertificateRules {
    /// Whether the present must lie between notBefore and notAfter. The default.
    pub(crate) validity: bool,
    /// The name of the set of CAs that the chain must end in; it is defined.
    pub(crate) trust: Option<Located<String>>,
    /// The issuer is one of these distinguished names; not checked yet.
    pub(crate) issuer: Vec<Located<String>>,
    /// The subject is one of these distinguished names; not checked yet.
    pub(crate) subject: Vec<Located<String>>,
    /// The only common name of the subject is one of these.
    pub(crate) common_name: Vec<Located<String>>,
    /// A DNS name of the certificate is one of these, which may start with `*.`.
    pub(crate) dns_name: Vec<Located<String>>,
    /// The thumbprint is one of these; not checked yet.
    pub(crate) thumbprint: Vec<Located<String>>,
    /// The thumbprint is one in this file.
    pub(crate) thumbprint_file: Option<Located<FilePath>>,
    /// The very certificate is in the store.
    pub(crate) in_store: Option<InStore>,
    /// Whether rules, or a document, are allowed that anyone can meet with a certificate of their own making.
    pub(crate) allow_unanchored: bool,
    /// Whether callers are refused, or only watched.
    pub(crate) mode: Mode,
    /// The policy document that decides in place of all rules; not read yet.
    pub(crate) policy: Option<Located<FilePath>>,
}

/// Which of the store's certificates count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum InStore {
    /// Those of callers.
    Callers,
    /// Identities too.
    Any,
}

/// What becomes of callers who do not meet the rules.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Mode {
    /// They are refused. The default.
    #[default]
    Enforce,
    /// They pass, and are logged and counted.
    Shadow,
}

/// Rules that nobody can meet by a certificate of their own making.
const ANCHORS: &[&str] = &["trust", "thumbprint", "thumbprint_file", "in_store", "policy"];

/// Rules that compare what whoever makes the certificate writes into it.
const CLAIMS: &[&str] = &["issuer", "subject", "common_name", "dns_name"];

impl CertificateRules {
    /// Reads the section.
    pub(crate) fn read(mut section: Section<'_, '_>, names: &DefinedNames) -> Option<Self> {
        let report = section.report;
        let has_policy = section.knows("policy") && section.has("policy");
        if has_policy {
            refuse_beside_policy(&section);
        }
        let is_anchored = ANCHORS.iter().any(|rule| section.has_similar(rule));
        let has_claims = CLAIMS.iter().any(|rule| section.has_similar(rule));
        let validity_line = section.line_of("validity");
        let validity = section.boolean("validity", true);
        let allow_unanchored = section.boolean("allow_unanchored", false);
        require_anchor(&section, is_anchored, has_claims, validity, allow_unanchored);
        if !validity && section.has("trust") && !has_policy {
            let problem = "has no effect beside trust, which judges the dates of the whole chain";
            report.warning(validity_line, &section.key_of("validity"), problem, "remove it");
        }
        let trust = section.string("trust");
        names.check_trust(trust.as_ref(), report);
        let read = Self {
            validity,
            trust,
            issuer: section.strings("issuer"),
            subject: section.strings("subject"),
            common_name: common_names(&mut section),
            dns_name: dns_names(&mut section),
            thumbprint: section.strings("thumbprint"),
            thumbprint_file: section.file("thumbprint_file"),
            // Beside a document it has been refused already.
            in_store: in_store(&mut section, names.has_store || has_policy),
            allow_unanchored,
            mode: if section.knows("mode") { mode(&mut section) } else { Mode::Enforce },
            policy: if section.knows("policy") { section.file("policy") } else { None },
        };
        section.finish();
        Some(read)
    }
}

/// Refuses rules beside a document: it decides alone, so they would have no effect.
fn refuse_beside_policy(section: &Section<'_, '_>) {
    let rules = KEYS.iter().filter(|key| !matches!(**key, "policy" | "trust" | "mode" | "allow_unanchored"));
    for rule in rules.filter(|rule| section.has(rule)) {
        let problem = "stands beside policy, whose document decides in place of all rules";
        let remedy = "remove it, or remove policy; only trust, mode and allow_unanchored may stand beside it";
        section.report.error(section.line_of(rule), &section.key_of(rule), problem, remedy);
    }
}

/// Refuses rules that anyone can meet, unless the file says that this is meant.
fn require_anchor(
    section: &Section<'_, '_>,
    is_anchored: bool,
    has_claims: bool,
    validity: bool,
    allow_unanchored: bool,
) {
    if is_anchored || (allow_unanchored && (has_claims || validity)) {
        return;
    }
    let (problem, remedy) = if has_claims {
        (
            "anyone can make a certificate with these names: without trust, thumbprint or \
             thumbprint_file the rest can be forged",
            "add trust = \"NAME\" or thumbprint = [\"...\"], or state allow_unanchored = true",
        )
    } else if validity {
        (
            "has no rule besides validity, which anyone's certificate can meet",
            "add trust = \"NAME\" or thumbprint = [\"...\"], or state allow_unanchored = true",
        )
    } else {
        ("has no rule at all", "add trust = \"NAME\" or thumbprint = [\"...\"], or remove the section")
    };
    section.report.absent(section.line, &section.key, problem, remedy);
}

/// Takes which of the store's certificates count; `false` is as good as nothing.
fn in_store(section: &mut Section<'_, '_>, has_store: bool) -> Option<InStore> {
    let (report, line, key) = (section.report, section.line_of("in_store"), section.key_of("in_store"));
    let counts = match section.take_word("in_store", "any") {
        true => Some(InStore::Any),
        false => section.boolean("in_store", false).then_some(InStore::Callers),
    };
    if counts.is_some() && !has_store {
        report.absent(line, &key, "asks a store that there is not", "add [store] with path = \"store\"");
    }
    counts
}

/// Takes the mode.
fn mode(section: &mut Section<'_, '_>) -> Mode {
    let report = section.report;
    let modes = [("enforce", Mode::Enforce), ("shadow", Mode::Shadow)];
    section
        .string("mode")
        .and_then(|mode| choose(report, mode, &modes))
        .map(|mode| mode.value)
        .unwrap_or_default()
}

/// Takes the common names, and warns of those that are written as a part of a distinguished name.
fn common_names(section: &mut Section<'_, '_>) -> Vec<Located<String>> {
    let report = section.report;
    let names = section.strings("common_name");
    for name in &names {
        if let Some((label, bare)) = name.split_once('=')
            && label.trim().eq_ignore_ascii_case("cn")
        {
            let problem = format!("{} begins with CN=", quoted(name));
            report.warning(name.line, &name.key, problem, format!("write {}", quoted(bare.trim())));
        }
    }
    names
}

/// Takes the DNS names, each checked.
fn dns_names(section: &mut Section<'_, '_>) -> Vec<Located<String>> {
    let report = section.report;
    let remedy = "write a name such as orders.contoso.com or *.contoso.com";
    let read = |text: &str| names::dns_pattern(text).map(|()| text.to_owned());
    let texts = section.strings("dns_name");
    texts.into_iter().filter_map(|text| checked(report, text, remedy, read)).collect()
}
