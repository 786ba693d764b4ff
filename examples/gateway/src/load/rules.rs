//! `[routes.client_certificate]`: from texts to a policy.

use std::{fmt::Display, sync::Arc};

use tower_mtls::{Policy, Thumbprint};

use super::{Named, files::Findings, trust::Roots};
use crate::{
    config::{ClientCertificate, FilePath, InStore, Located, Mode, quoted},
    store::{CurrentStore, StoreMembers},
};

/// The policy of a route.
pub(super) fn policy(
    rules: &Located<ClientCertificate>,
    roots: &Named<Roots>,
    store: &Arc<CurrentStore>,
    findings: &mut Findings,
) -> Option<Policy> {
    let issuers = parsed(&rules.issuer, findings, NAME);
    let subjects = parsed(&rules.subject, findings, NAME);
    let dns_names = parsed(&rules.dns_name, findings, "write orders.contoso.com or *.contoso.com");
    let thumbprints = parsed::<Thumbprint>(&rules.thumbprint, findings, THUMBPRINT);
    let listed = match &rules.thumbprint_file {
        Some(file) => thumbprint_file(file, findings)?,
        None => Vec::new(),
    };
    let mut policy = Policy::builder();
    if let Some(name) = &rules.trust {
        // A set that is broken has been reported where it stands.
        policy = policy.trust(roots.get(name.as_str())?.as_ref()?.anchors.clone());
    }
    for name in issuers? {
        policy = policy.issuer(name);
    }
    for name in subjects? {
        policy = policy.subject(name);
    }
    for name in &rules.common_name {
        policy = policy.common_name(name.as_str());
    }
    for name in dns_names? {
        policy = policy.dns_name(name);
    }
    let thumbprints: Vec<_> = thumbprints?.into_iter().chain(listed).collect();
    if !thumbprints.is_empty() {
        policy = policy.thumbprints(thumbprints);
    }
    if let Some(which) = rules.in_store {
        policy = policy.member_of(StoreMembers::new(store.clone(), which == InStore::Any));
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

/// Warns of rules that refuse nobody.
pub(super) fn warn_of_shadow(rules: &Located<ClientCertificate>, findings: &mut Findings) {
    if rules.mode == Mode::Shadow {
        let remedy = "write mode = \"enforce\" when the log shows what you expect";
        findings.warning(rules, "mode = \"shadow\" refuses nobody", remedy);
    }
}

const NAME: &str = "write a distinguished name such as CN=orders, O=Contoso";
const THUMBPRINT: &str = "write the 40 hex digits of SHA-1 or the 64 of SHA-256";

/// All texts as values, or an error for each that is none.
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

/// The line up to a `#` at its start or after white space, trimmed.
fn without_comment(line: &str) -> &str {
    let begins = |at: usize| at == 0 || line[..at].ends_with(char::is_whitespace);
    let comment = line.match_indices('#').map(|(at, _)| at).find(|at| begins(*at));
    line[..comment.unwrap_or(line.len())].trim()
}

/// A thumbprint on each line that is neither empty nor a comment; at least one.
fn thumbprint_file(file: &Located<FilePath>, findings: &mut Findings) -> Option<Vec<Thumbprint>> {
    let contents = findings.read(file)?;
    let named = quoted(&file.written);
    let Ok(text) = std::str::from_utf8(&contents) else {
        findings.error(file, format!("{named} is not UTF-8"), "write one thumbprint a line");
        return None;
    };
    let mut thumbprints = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let line = without_comment(line);
        if line.is_empty() {
            continue;
        }
        match line.parse() {
            Ok(thumbprint) => thumbprints.push(thumbprint),
            Err(error) => {
                findings.error(file, format!("{named}, line {}: {error}", index + 1), THUMBPRINT);
                return None;
            }
        }
    }
    if thumbprints.is_empty() {
        findings.error(
            file,
            format!("{named} holds no thumbprint, so nobody would pass"),
            "write one a line",
        );
        return None;
    }
    Some(thumbprints)
}

#[cfg(test)]
mod tests {
    use super::without_comment;

    #[test]
    fn a_comment_begins_at_the_start_or_after_white_space() {
        for (line, expected) in [
            ("# ours", ""),
            ("  # ours", ""),
            ("aa:bb  # orders # new", "aa:bb"),
            ("aa:bb\t#", "aa:bb"),
            ("aa#bb", "aa#bb"),
            ("aa#bb # orders", "aa#bb"),
            ("  aa bb  ", "aa bb"),
            ("", ""),
        ] {
            assert_eq!(without_comment(line), expected, "{line:?}");
        }
    }
}
