//! Explanations of steps for operators.

use http::Uri;

use super::Execution;
use crate::{
    apim::{
        backend::ChosenIdentity,
        dotnet,
        error::Position,
        explain::ExplanationLine,
        expression::{Evaluated, Expression, Inputs, TracedPart, Value},
        validation::{EXPIRED, Invalid, NOT_TRUSTED, NOT_YET_VALID, REVOCATION_UNKNOWN, REVOKED, Validation},
    },
    certificate::{Certificate, Presented},
    policy::TrustAnchors,
};

/// Maximum number of listed certificate ids.
const MAX_IDS: usize = 8;
/// Maximum number of characters of a value or source text.
const MAX_CHARS: usize = 256;

impl<'r> Execution<'r, '_> {
    pub(super) fn note(&mut self, position: impl Into<Option<Position>>, text: impl FnOnce() -> String) {
        if let Some(lines) = &mut self.lines {
            lines.push(ExplanationLine { position: position.into(), depth: self.depth, text: text() });
        }
    }

    pub(super) fn explain_validation(
        &mut self,
        validation: &Validation,
        judged: Result<(), Invalid>,
        position: Position,
    ) {
        if self.lines.is_none() {
            return;
        }
        let verdict = match judged {
            Ok(()) => "validate-client-certificate: valid".to_owned(),
            Err(invalid) => {
                let ignored = if validation.ignore_error { " (ignored)" } else { "" };
                format!("validate-client-certificate: {}: {}{ignored}", invalid.code, invalid.message)
            }
        };
        self.note(position, || verdict);
        let inputs = self.inputs;
        let Presented::Certificate(certificate) = inputs.facts.presented else { return };
        self.depth += 1;
        let problem = match judged {
            Err(NOT_TRUSTED | REVOKED | REVOCATION_UNKNOWN) => {
                let roots = inputs.trust.map(|trust| trust.for_check(validation.revocation));
                roots.and_then(|roots| chain_problem(certificate, roots, inputs))
            }
            Err(EXPIRED | NOT_YET_VALID) => validity_problem(certificate, inputs),
            _ => None,
        };
        if let Some(problem) = problem {
            self.note(None, || problem);
        }
        for (index, claims) in validation.identities.iter().flatten().enumerate() {
            for claim in claims {
                let result = claim.explain(certificate, inputs);
                self.note(None, || format!("identity {}: {result}", index + 1));
            }
        }
        self.depth -= 1;
    }

    pub(super) fn explain_variable(&mut self, name: &str, position: Position) {
        if self.lines.is_none() {
            return;
        }
        let value = self.state.variables.iter().find(|known| known.name == name);
        let printed = value.and_then(|known| self::printed(&known.value)).unwrap_or_else(|| "a value".into());
        self.note(position, || format!("sets variable {name:?}: {printed}"));
    }

    /// Describes the chosen backend and the identity that applies to it.
    pub(super) fn explain_backend(
        &mut self,
        id: Option<&str>,
        identity: Option<&ChosenIdentity>,
        uri: &Uri,
        position: Position,
    ) {
        self.note(position, || match id {
            Some(id) => format!("backend {id:?}: {uri}"),
            None => format!("backend: {uri}"),
        });
        self.depth += 1;
        let has_chosen_identity = self.forwarding.identity.is_some();
        let replaced = self.forwarding.backend.clone().filter(|_| self.backend_identity.is_some());
        if let Some(replaced) = replaced.filter(|_| !has_chosen_identity) {
            self.note(None, || format!("identity of the backend {replaced:?}: no longer applies"));
        }
        if let Some(identity) = identity {
            self.note(None, || match has_chosen_identity {
                true => "identity of the backend: does not apply; the document has chosen one".into(),
                false => format!("identity of the backend, unless the document chooses one: {identity}"),
            });
        }
        self.depth -= 1;
    }

    /// Describes a condition that was evaluated with a trace.
    pub(super) fn explain_condition(
        &mut self,
        expression: &'r Expression,
        holds: &Evaluated<bool>,
        position: Position,
    ) {
        let Some(trace) = self.state.trace.take() else { return };
        let verdict = match holds {
            Ok(true) => "true, branch taken",
            Ok(false) => "false",
            Err(fault) => fault.message(),
        };
        let source = &*expression.source;
        self.note(position, || format!("when {}: {verdict}", one_line(source)));
        let depth = self.depth;
        for part in trace.parts {
            self.depth = depth + 1 + part.depth;
            let text = one_line(source.get(part.range.start..part.range.end).unwrap_or_default());
            let found = part.found.as_ref().and_then(printed);
            let found = found.map(|found| format!(" (found: {found})")).unwrap_or_default();
            self.note(None, || match &part.result {
                _ if part.is_negation => format!("not all of {text}:"),
                Ok(result) => format!("{result}: {text}{found}"),
                Err(fault) => format!("fails: {}: {text}{found}", fault.message()),
            });
            self.depth += 1;
            for detail in details(&part, self.inputs) {
                self.note(None, || detail);
            }
        }
        self.depth = depth;
    }
}

/// Facts behind a part of a condition: why no chain leads to a root, and the certificates of the deployment.
fn details(part: &TracedPart<'_>, inputs: &Inputs<'_>) -> Vec<String> {
    let mut found = Vec::new();
    let untrusted = part.untrusted.iter();
    for problem in untrusted.filter_map(|(certificate, roots)| chain_problem(certificate, roots, inputs)) {
        if !found.contains(&problem) {
            found.push(problem);
        }
    }
    if part.reads_deployment {
        let deployed = inputs.deployed();
        let ids = deployed.ids();
        let named: Vec<_> = ids.iter().take(MAX_IDS).map(|id| one_line(&format!("{id:?}"))).collect();
        let more = if ids.len() > MAX_IDS { ", ..." } else { "" };
        found.push(match named.is_empty() {
            true => "context.Deployment.Certificates is empty".to_owned(),
            false => {
                let (count, named) = (deployed.len(), named.join(", "));
                format!("context.Deployment.Certificates contains {count}: {named}{more}")
            }
        });
    }
    found
}

/// Returns the reason why no valid chain leads to one of the roots.
fn chain_problem(certificate: &Certificate, roots: &TrustAnchors, inputs: &Inputs<'_>) -> Option<String> {
    validity_problem(certificate, inputs)
        .or_else(|| Some(format!("no valid chain: {}", roots.failure(certificate, inputs.now)?)))
}

/// Returns the validity of the certificate if it is not valid now.
fn validity_problem(certificate: &Certificate, inputs: &Inputs<'_>) -> Option<String> {
    let validity = certificate.validity();
    let problem = match inputs.now {
        now if now > validity.not_after => "certificate expired",
        now if now < validity.not_before => "certificate not yet valid",
        _ => return None,
    };
    Some(format!("{problem}: valid from {} to {}", validity.not_before, validity.not_after))
}

fn printed(value: &Value<'_>) -> Option<String> {
    Some(match value {
        Value::Null => "null".into(),
        Value::Text(text) => format!("{:?}", text.chars().take(MAX_CHARS).collect::<String>()),
        Value::Int(value) => value.to_string(),
        Value::Bool(value) => value.to_string(),
        Value::DateTime(ticks) => crate::apim::expression::format_date_time(*ticks),
        Value::Bytes(bytes) => format!("{} bytes", bytes.len()),
        Value::Texts(texts) => one_line(&format!("{texts:?}")),
        Value::Certificate(certificate, _) => {
            let thumbprint = dotnet::thumbprint(certificate);
            format!("a certificate with the thumbprint {thumbprint}")
        }
        _ => return None,
    })
}

fn one_line(text: &str) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    if line.chars().count() <= MAX_CHARS {
        return line;
    }
    line.chars().take(MAX_CHARS).chain("...".chars()).collect()
}
