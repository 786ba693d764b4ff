//! Policies of `[routes.client_certificate]`.

use std::{fmt::Display, sync::Arc};

use tower_mtls::{Policy, Rule, certificate::Thumbprint};

use super::{files::Findings, sections::SectionsByName, thumbprint_lists::ThumbprintLists, trust::Roots};
use crate::{
    config::{CertificateRules, InStore, Located, Mode, RuleSet, quoted},
    store::{CurrentStore, StoreMembers},
};

/// Builds the policy of a route.
pub(super) fn policy(
    rules: &Located<CertificateRules>,
    roots: &SectionsByName<Roots>,
    store: &Arc<CurrentStore>,
    lists: &mut ThumbprintLists<'_>,
    findings: &mut Findings,
) -> Option<Policy> {
    let mut sources = Sources { roots, store, lists };
    let all_of = sources.rules(&rules.all_of, None, findings);
    let trust = rules.all_of.trust.as_ref();
    let groups: Vec<_> = rules
        .any_of
        .iter()
        .map(|alternative| sources.rules(alternative, trust, findings).map(group))
        .collect();
    let alternatives: Vec<_> = groups.into_iter().collect::<Option<_>>()?;
    let mut policy = all_of?.into_iter().fold(Policy::builder(), |policy, rule| policy.require(rule));
    if !alternatives.is_empty() {
        policy = policy.require(Rule::any(alternatives));
    }
    if !rules.validity {
        policy = policy.allow_outside_validity();
    }
    if rules.allow_unanchored {
        policy = policy.allow_unanchored();
    }
    match policy.build() {
        Ok(policy) => {
            for warning in policy.warnings() {
                findings.warning(rules, warning.to_string(), "");
            }
            warn_of_shadow(rules, findings);
            Some(policy)
        }
        Err(error) => {
            findings.error(rules, error.to_string(), "add trust or thumbprint");
            None
        }
    }
}

/// One rule for all rules of an alternative.
fn group(mut rules: Vec<Rule>) -> Rule {
    match rules.len() {
        1 => rules.remove(0),
        _ => Rule::all(rules),
    }
}

/// CAs, store and lists that rules refer to.
struct Sources<'a, 'c> {
    roots: &'a SectionsByName<Roots>,
    store: &'a Arc<CurrentStore>,
    lists: &'a mut ThumbprintLists<'c>,
}

impl Sources<'_, '_> {
    /// Builds the rules of a set, cheap ones first: a stranger is rejected before a signature is verified.
    ///
    /// `outer` is the set of CAs beside an `any_of`, whose roots callers do not send: they are candidates for
    /// `issuer_thumbprint`.
    fn rules(
        &mut self,
        set: &RuleSet,
        outer: Option<&Located<String>>,
        findings: &mut Findings,
    ) -> Option<Vec<Rule>> {
        let issuers = parsed(&set.issuer, findings, NAME);
        let subjects = parsed(&set.subject, findings, NAME);
        let dns_names = parsed(&set.dns_name, findings, "write orders.contoso.com or *.contoso.com");
        let thumbprints = parsed::<Thumbprint>(&set.thumbprint, findings, THUMBPRINT);
        let listed = match &set.thumbprint_file {
            Some(file) => {
                Some(self.lists.rule(file, thumbprints.as_deref().unwrap_or_default(), findings)?)
            }
            None => None,
        };
        let thumbprints = thumbprints?;
        // A broken set of CAs has been reported with its section.
        let anchors = |name: &Located<String>| Some(self.roots.get(name.as_str())?.as_ref()?.anchors.clone());
        let trust = match &set.trust {
            Some(name) => Some(anchors(name)?),
            None => None,
        };
        let mut rules = Vec::new();
        match listed {
            Some(listed) => rules.push(listed),
            None => add(&mut rules, thumbprints, Rule::thumbprint),
        }
        add(&mut rules, values(&set.spki_pin), Rule::spki_sha256);
        add(&mut rules, issuers?, Rule::issuer);
        add(&mut rules, subjects?, Rule::subject);
        add(&mut rules, values(&set.common_name), Rule::common_name);
        add(&mut rules, values(&set.organizational_unit), Rule::organizational_unit);
        add(&mut rules, values(&set.organization), Rule::organization);
        add(&mut rules, dns_names?, Rule::dns_name);
        add(&mut rules, values(&set.uri), Rule::uri);
        add(&mut rules, values(&set.spiffe_id), Rule::spiffe_id);
        add(&mut rules, values(&set.spiffe_trust_domain), Rule::spiffe_trust_domain);
        add(&mut rules, values(&set.email), Rule::email);
        add(&mut rules, values(&set.ip_address), Rule::ip_address);
        add(&mut rules, values(&set.serial), Rule::serial);
        add(&mut rules, values(&set.extended_key_usage), Rule::extended_key_usage);
        if !set.issuer_thumbprint.is_empty() {
            let pins = values(&set.issuer_thumbprint);
            rules.push(match trust.clone().or_else(|| anchors(outer?)) {
                Some(roots) => Rule::issuer_thumbprint_among(pins, roots),
                None => Rule::issuer_thumbprint(pins),
            });
        }
        rules.extend(trust.map(Rule::trust));
        let members = |which| StoreMembers::new(self.store.clone(), which == InStore::Any);
        rules.extend(set.in_store.map(members).map(Rule::member_of));
        Some(rules)
    }
}

/// Adds a rule, unless its list is empty.
fn add<T>(rules: &mut Vec<Rule>, list: Vec<T>, rule: impl FnOnce(Vec<T>) -> Rule) {
    if !list.is_empty() {
        rules.push(rule(list));
    }
}

fn values<T: Clone>(list: &[Located<T>]) -> Vec<T> {
    list.iter().map(|item| item.value.clone()).collect()
}

/// Warns about rules that reject no caller.
pub(super) fn warn_of_shadow(rules: &Located<CertificateRules>, findings: &mut Findings) {
    if rules.mode == Mode::Shadow {
        let remedy = "write mode = \"enforce\" when the log shows what you expect";
        findings.warning(rules, "mode = \"shadow\" rejects no caller", remedy);
    }
}

const NAME: &str = "write a distinguished name such as CN=orders, O=Contoso";
pub(super) const THUMBPRINT: &str = "write the 40 hex digits of SHA-1 or the 64 of SHA-256";

/// Parses all texts, and reports each that is invalid.
fn parsed<T>(texts: &[Located<String>], findings: &mut Findings, remedy: &str) -> Option<Vec<T>>
where
    T: std::str::FromStr,
    T::Err: Display,
{
    let mut values = Vec::new();
    for text in texts {
        match text.parse() {
            Ok(value) => values.push(value),
            Err(error) => findings.error(text, format!("{}: {error}", quoted(text)), remedy),
        }
    }
    (values.len() == texts.len()).then_some(values)
}

#[cfg(test)]
mod tests;
