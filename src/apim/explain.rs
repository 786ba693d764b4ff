use std::fmt;

use http::StatusCode;

use super::{error::Position, outcome::Outcome};
use crate::policy::Verification;

/// One thing that happened.
#[derive(Debug, Clone)]
pub(crate) struct Line {
    pub(crate) position: Option<Position>,
    pub(crate) depth: usize,
    pub(crate) text: String,
}

/// A status with the document's own reason phrase, if it states one.
pub(crate) fn said(status: StatusCode, reason: Option<&str>) -> String {
    match reason {
        Some(reason) => format!("{} {reason}", status.as_u16()),
        None => status.as_u16().to_string(),
    }
}

/// What a document did with a request, in words. Made by [`Document::explain`](super::Document::explain).
///
/// Prints one line an element that ran, the parts of its condition indented, and the outcome last. For operators:
/// callers are never told.
#[derive(Debug)]
pub struct Explanation {
    lines: Vec<Line>,
    outcome: Outcome,
}

impl Explanation {
    pub(crate) fn new(lines: Vec<Line>, outcome: Outcome) -> Self {
        Self { lines, outcome }
    }

    /// What the document decides.
    pub fn outcome(&self) -> &Outcome {
        &self.outcome
    }
}

impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for line in &self.lines {
            write!(f, "{:indent$}", "", indent = line.depth * 2)?;
            if let Some(position) = line.position {
                write!(f, "line {}: ", position.line)?;
            }
            writeln!(f, "{}", line.text)?;
        }
        match &self.outcome {
            Outcome::Respond(answer) => {
                write!(f, "answered {}", said(answer.status(), answer.reason()))?;
                let (element, line, _) = answer.element();
                write!(f, " by {element} in line {line}")?;
                match answer.code() {
                    Some(code) => write!(f, ": {code}: {}", answer.message()),
                    None => Ok(()),
                }
            }
            Outcome::Forward(forward) => f.write_str(match forward.verification() {
                Some(Verification::Proven) => "forwarded; the certificate is admitted",
                Some(Verification::Unproven) => {
                    "forwarded; the certificate is admitted, unproven: a self-made one can pass this document"
                }
                None => "forwarded without admitting a certificate: no rule that could refuse looked at one",
            }),
        }
    }
}
