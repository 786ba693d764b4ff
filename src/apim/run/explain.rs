//! What happened, in words.

use http::Uri;

use super::{Run, Section};
use crate::apim::{
    elements::validate::{Invalid, Validation},
    error::Position,
    explain::Line,
    expression::{Evaluated, Evaluation, Expression, Kind, Node, State, Value},
    program::Target,
};

/// More parts of a condition are not told one by one.
const MOST_PARTS: usize = 200;
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
        for (index, identity) in validation.identities.iter().flatten().enumerate() {
            for (claim, holds) in identity.explain(inputs) {
                let holds = if holds { "holds" } else { "FAILS" };
                self.note(|| format!("identity {}: {holds}: {claim}", index + 1));
            }
        }
        self.depth -= 1;
    }

    /// Where the request goes, and what becomes of the identities that belong to back ends.
    pub(super) fn explain_back_end(&mut self, target: &Target, uri: &Uri, position: Position) {
        let has_own_choice = self.forwarding.identity.is_some();
        let replaced = self.forwarding.back_end.clone().filter(|_| self.of_back_end.is_some());
        self.note_at(position, || match target.id() {
            Some(id) => format!("the request goes to the back end {id:?}, {uri}"),
            None => format!("the request goes to {uri}"),
        });
        self.depth += 1;
        if let Some(replaced) = replaced.filter(|_| !has_own_choice) {
            self.note(|| format!("the identity of the back end {replaced:?} does not count any more"));
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
                is_of_certificate: variable.is_of_certificate,
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
        }
    }
}

fn shown(value: &Value<'_>) -> Option<String> {
    Some(match value {
        Value::Null => "null".into(),
        Value::Text(text) => format!("{:?}", text.chars().take(LONGEST).collect::<String>()),
        Value::Int(value) => value.to_string(),
        Value::Moment(ticks) => crate::apim::expression::print_moment(*ticks),
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
