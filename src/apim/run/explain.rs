//! What happened, in words.

use http::Uri;

use super::{Run, Section};
use crate::{
    apim::{
        elements::validate::{Invalid, Validation},
        error::Position,
        explain::Line,
        expression::{
            Evaluated, Evaluation, Expression, Function, Inputs, Kind, Node, State, Value, is_trusted,
            trust_failure,
        },
        program::Target,
    },
    certificate::{Certificate, Presented},
    policy::RejectionKind,
};

/// More parts of a condition are not told one by one.
const MOST_PARTS: usize = 200;
/// More ids of certificates are not listed.
const MOST_IDS: usize = 8;
/// The longest text of the caller's choice in a line.
const LONGEST: usize = 256;

impl<'r> Run<'r, '_> {
    pub(super) fn note(&mut self, text: impl FnOnce() -> String) {
        let depth = self.depth;
        if let Some(lines) = &mut self.lines {
            lines.push(Line { position: None, depth, text: text() });
        }
    }

    pub(super) fn note_at(&mut self, position: Position, text: impl FnOnce() -> String) {
        let depth = self.depth;
        if let Some(lines) = &mut self.lines {
            lines.push(Line { position: Some(position), depth, text: text() });
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
                RejectionKind::NotTrusted => of_chain(certificate, inputs),
                RejectionKind::Expired | RejectionKind::NotYetValid => of_dates(certificate, inputs),
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
        let told = value.and_then(|known| shown(&known.value)).unwrap_or_else(|| "a value".into());
        self.note_at(position, || format!("variable {name:?} is set to {told}"));
    }

    /// Where the request goes, and what becomes of the identities that belong to backends.
    pub(super) fn explain_backend(&mut self, target: &Target, uri: &Uri, position: Position) {
        let has_own_choice = self.forwarding.identity.is_some();
        let replaced = self.forwarding.backend.clone().filter(|_| self.of_backend.is_some());
        self.note_at(position, || match target.id() {
            Some(id) => format!("the request goes to the backend {id:?}, {uri}"),
            None => format!("the request goes to {uri}"),
        });
        self.depth += 1;
        if let Some(replaced) = replaced.filter(|_| !has_own_choice) {
            self.note(|| format!("the identity of the backend {replaced:?} does not count any more"));
        }
        match target.identity() {
            Some(_) if has_own_choice => {
                self.note(|| "its own identity does not count: the document has chosen one".into());
            }
            Some(identity) => {
                self.note(|| format!("unless the document chooses another, it is called as {identity}"));
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
            Ok(true) => "holds, so this branch applies",
            Ok(false) => "does not hold",
            Err(fault) => fault.message(),
        };
        let source = one_line(&expression.source);
        self.note_at(position, || format!("when {source}: {verdict}"));
        // In a state of its own: explaining takes steps as well.
        let mut state = State::default();
        state.headers.clone_from(&self.state.headers);
        for variable in &self.state.variables {
            state.variables.push(crate::apim::expression::Variable {
                name: variable.name,
                value: variable.value.clone(),
            });
        }
        if self.section == Section::OnError {
            state.last_error = self.state.last_error.clone();
        }
        let mut parts = Vec::new();
        let mut evaluation = Evaluation { inputs: self.inputs, state: &mut state };
        explain_node(&mut evaluation, &expression.root, &expression.source, 1, &mut parts);
        let depth = self.depth;
        if let Some(lines) = &mut self.lines {
            lines.extend(parts.into_iter().map(|(deeper, text)| Line {
                position: None,
                depth: depth + deeper,
                text,
            }));
        }
    }
}

/// Parts of a condition in the order in which they are asked, up to the one that decides.
fn explain_node<'r>(
    evaluation: &mut Evaluation<'_, 'r>,
    node: &'r Node,
    source: &str,
    depth: usize,
    parts: &mut Vec<(usize, String)>,
) {
    if parts.len() >= MOST_PARTS {
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
                    let mut seen =
                        [one, other].into_iter().filter(|side| !matches!(side.kind, Kind::Constant(_)));
                    let seen = seen.next().and_then(|side| evaluation.value(side).ok());
                    seen.and_then(|value| shown(&value)).map(|value| format!(" (it is {value})"))
                }
                _ => None,
            };
            parts.push((depth, format!("{verdict}: {text}{}", found.unwrap_or_default())));
            for told in background(evaluation, node) {
                parts.push((depth + 1, told));
            }
        }
    }
}

/// What a part of a condition does not show: why there is no chain, and among what certificates it looked.
fn background<'r>(evaluation: &mut Evaluation<'_, 'r>, node: &'r Node) -> Vec<String> {
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
    let mut told = Vec::new();
    for certificate in verified {
        if let Ok(Value::Certificate(found)) = evaluation.value(certificate)
            && let Some(problem) = of_chain(found.certificate, evaluation.inputs)
            && !told.contains(&problem)
        {
            told.push(problem);
        }
    }
    if looked_up {
        let deployed = evaluation.inputs.deployed();
        let ids = deployed.ids();
        let named: Vec<_> = ids.iter().take(MOST_IDS).map(|id| one_line(&format!("{id:?}"))).collect();
        let more = if ids.len() > MOST_IDS { ", ..." } else { "" };
        told.push(format!(
            "context.Deployment.Certificates holds {}: {}{more}",
            deployed.len(),
            if named.is_empty() { "nobody is found there".to_owned() } else { named.join(", ") }
        ));
    }
    told
}

/// Why no chain leads to a trusted root.
fn of_chain(certificate: &Certificate, inputs: &Inputs<'_>) -> Option<String> {
    let trust = inputs.trust?;
    if is_trusted(certificate, trust, inputs.now) {
        return None;
    }
    of_dates(certificate, inputs)
        .or_else(|| Some(format!("no chain: {}", trust_failure(certificate, trust, inputs.now)?)))
}

/// When it is valid, if it is not now.
fn of_dates(certificate: &Certificate, inputs: &Inputs<'_>) -> Option<String> {
    let validity = certificate.validity();
    let problem = match inputs.now {
        now if now > validity.not_after => "the certificate has expired",
        now if now < validity.not_before => "the certificate is not valid yet",
        _ => return None,
    };
    Some(format!("{problem}: it is valid from {} to {}", validity.not_before, validity.not_after))
}

fn shown(value: &Value<'_>) -> Option<String> {
    Some(match value {
        Value::Null => "null".into(),
        Value::Text(text) => format!("{:?}", text.chars().take(LONGEST).collect::<String>()),
        Value::Int(value) => value.to_string(),
        Value::Bool(value) => value.to_string(),
        Value::DateTime(ticks) => crate::apim::expression::format_date_time(*ticks),
        Value::Bytes(bytes) => format!("{} bytes", bytes.len()),
        Value::Texts(texts) => one_line(&format!("{texts:?}")),
        Value::Certificate(certificate) => {
            let thumbprint = certificate.certificate.dotnet_thumbprint();
            format!("a certificate with the thumbprint {thumbprint}")
        }
        _ => return None,
    })
}

fn one_line(text: &str) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    if line.chars().count() <= LONGEST {
        return line;
    }
    line.chars().take(LONGEST).chain("...".chars()).collect()
}
