//! Explanations of steps for operators.

use http::Uri;

use super::{Execution, Section};
use crate::{
    apim::{
        dotnet,
        error::Position,
        explain::ExplanationLine,
        expression::{
            Evaluated, Evaluation, Expression, Function, Inputs, Kind, Node, State, Value, is_trusted,
            trust_failure,
        },
        program::BackendTarget,
        validation::{Invalid, Validation},
    },
    certificate::{Certificate, Presented},
    policy::RejectionKind,
};

/// Maximum number of explained parts of one condition.
const MAX_PARTS: usize = 200;
/// Maximum number of listed certificate ids.
const MAX_IDS: usize = 8;
/// Maximum number of characters of a value or source text.
const MAX_CHARS: usize = 256;

impl<'r> Execution<'r, '_> {
    pub(super) fn note(&mut self, text: impl FnOnce() -> String) {
        let depth = self.depth;
        if let Some(lines) = &mut self.lines {
            lines.push(ExplanationLine { position: None, depth, text: text() });
        }
    }

    pub(super) fn note_at(&mut self, position: Position, text: impl FnOnce() -> String) {
        let depth = self.depth;
        if let Some(lines) = &mut self.lines {
            lines.push(ExplanationLine { position: Some(position), depth, text: text() });
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
        self.note_at(position, || verdict);
        let inputs = self.inputs;
        self.depth += 1;
        if let (Err(invalid), Presented::Certificate(certificate)) = (judged, inputs.facts.presented) {
            let problem = match invalid.kind {
                RejectionKind::NotTrusted => chain_problem(certificate, inputs),
                RejectionKind::Expired | RejectionKind::NotYetValid => validity_problem(certificate, inputs),
                _ => None,
            };
            if let Some(problem) = problem {
                self.note(|| problem);
            }
        }
        for (index, identity) in validation.identities.iter().flatten().enumerate() {
            for (claim, holds) in identity.explain(inputs) {
                let holds = if holds { "holds" } else { "FAILS" };
                self.note(|| format!("identity {}: {holds}: {claim}", index + 1));
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
        self.note_at(position, || format!("sets variable {name:?}: {printed}"));
    }

    /// Describes the chosen backend and the identity that applies to it.
    pub(super) fn explain_backend(&mut self, target: &BackendTarget, uri: &Uri, position: Position) {
        let has_chosen_identity = self.forwarding.identity.is_some();
        let replaced = self.forwarding.backend.clone().filter(|_| self.backend_identity.is_some());
        self.note_at(position, || match target.id() {
            Some(id) => format!("backend {id:?}: {uri}"),
            None => format!("backend: {uri}"),
        });
        self.depth += 1;
        if let Some(replaced) = replaced.filter(|_| !has_chosen_identity) {
            self.note(|| format!("identity of the backend {replaced:?}: no longer applies"));
        }
        match target.identity() {
            Some(_) if has_chosen_identity => {
                self.note(|| "identity of the backend: does not apply; the document has chosen one".into());
            }
            Some(identity) => {
                self.note(|| format!("identity of the backend, unless the document chooses one: {identity}"));
            }
            None => {}
        }
        self.depth -= 1;
    }

    pub(super) fn explain_condition(
        &mut self,
        expression: &'r Expression,
        holds: &Evaluated<bool>,
        position: Position,
    ) {
        if self.lines.is_none() {
            return;
        }
        let verdict = match holds {
            Ok(true) => "true, branch taken",
            Ok(false) => "false",
            Err(fault) => fault.message(),
        };
        let source = one_line(&expression.source);
        self.note_at(position, || format!("when {source}: {verdict}"));
        // A separate state, since explaining consumes evaluation steps too.
        let mut state = State::default();
        state.headers.clone_from(&self.state.headers);
        state.variables.clone_from(&self.state.variables);
        if self.section == Section::OnError {
            state.last_error = self.state.last_error.clone();
        }
        let mut parts = Vec::new();
        let mut evaluation = Evaluation { inputs: self.inputs, state: &mut state };
        explain_node(&mut evaluation, &expression.root, &expression.source, 1, &mut parts);
        let depth = self.depth;
        if let Some(lines) = &mut self.lines {
            lines.extend(parts.into_iter().map(|(deeper, text)| ExplanationLine {
                position: None,
                depth: depth + deeper,
                text,
            }));
        }
    }
}

/// Adds the parts of a condition in evaluation order, up to the deciding one.
fn explain_node<'r>(
    evaluation: &mut Evaluation<'_, 'r>,
    node: &'r Node,
    source: &str,
    depth: usize,
    parts: &mut Vec<(usize, String)>,
) {
    if parts.len() >= MAX_PARTS {
        return;
    }
    let text = one_line(source.get(node.range.start..node.range.end).unwrap_or_default());
    match &node.kind {
        Kind::And(operands) | Kind::Or(operands) => {
            let decides = matches!(node.kind, Kind::Or(_));
            for operand in operands {
                explain_node(evaluation, operand, source, depth, parts);
                match evaluation.condition(operand) {
                    Ok(holds) if holds != decides => {}
                    _ => return,
                }
            }
        }
        Kind::Not(inner) if matches!(inner.kind, Kind::And(_) | Kind::Or(_)) => {
            parts.push((depth, format!("not all of {}:", one_line(&text))));
            explain_node(evaluation, inner, source, depth + 1, parts);
        }
        kind => {
            let verdict = match evaluation.condition(node) {
                Ok(true) => "true".to_owned(),
                Ok(false) => "false".to_owned(),
                Err(fault) => format!("fails: {}", fault.message()),
            };
            let found = match kind {
                Kind::Equal { one, other, .. } | Kind::Order(_, one, other) => {
                    let mut operands =
                        [one, other].into_iter().filter(|side| !matches!(side.kind, Kind::Constant(_)));
                    let found = operands.next().and_then(|side| evaluation.value(side).ok());
                    found.and_then(|value| printed(&value)).map(|value| format!(" (found: {value})"))
                }
                _ => None,
            };
            parts.push((depth, format!("{verdict}: {text}{}", found.unwrap_or_default())));
            for detail in details(evaluation, node) {
                parts.push((depth + 1, detail));
            }
        }
    }
}

/// Facts behind a part of a condition: why no chain leads to a root, and the certificates of the deployment.
fn details<'r>(evaluation: &mut Evaluation<'_, 'r>, node: &'r Node) -> Vec<String> {
    let mut verified = Vec::new();
    let mut looked_up = false;
    node.visit(&mut |part| match &part.kind {
        Kind::Call(Function::Verify, arguments) => verified.extend(arguments.first()),
        Kind::AnyDeployed(_)
        | Kind::AllDeployed(..)
        | Kind::AnyByThumbprint(..)
        | Kind::FirstDeployed { .. }
        | Kind::HasDeployed(_)
        | Kind::Deployed(_) => looked_up = true,
        _ => {}
    });
    let mut found = Vec::new();
    for certificate in verified {
        if let Ok(Value::Certificate(value)) = evaluation.value(certificate)
            && let Some(problem) = chain_problem(value.certificate, evaluation.inputs)
            && !found.contains(&problem)
        {
            found.push(problem);
        }
    }
    if looked_up {
        let deployed = evaluation.inputs.deployed();
        let ids = deployed.ids();
        let named: Vec<_> = ids.iter().take(MAX_IDS).map(|id| one_line(&format!("{id:?}"))).collect();
        let more = if ids.len() > MAX_IDS { ", ..." } else { "" };
        found.push(if named.is_empty() {
            "context.Deployment.Certificates is empty".to_owned()
        } else {
            format!("context.Deployment.Certificates contains {}: {}{more}", deployed.len(), named.join(", "))
        });
    }
    found
}

/// Returns the reason why no chain leads to a trusted root.
fn chain_problem(certificate: &Certificate, inputs: &Inputs<'_>) -> Option<String> {
    let trust = inputs.trust?;
    if is_trusted(certificate, trust, inputs.now) {
        return None;
    }
    validity_problem(certificate, inputs)
        .or_else(|| Some(format!("no chain: {}", trust_failure(certificate, trust, inputs.now)?)))
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
        Value::Certificate(certificate) => {
            let thumbprint = dotnet::thumbprint(certificate.certificate);
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
