use std::fmt;

use http::StatusCode;

use super::{decision::DocumentDecision, error::Position};
use crate::policy::Verification;

/// One line of an explanation.
#[derive(Debug, Clone)]
pub(crate) struct ExplanationLine {
    pub(crate) position: Option<Position>,
    pub(crate) depth: usize,
    pub(crate) text: String,
}

/// Prints a status code and the document's reason phrase, if it sets one.
pub(crate) fn status_line(status: StatusCode, reason: Option<&str>) -> String {
    match reason {
        Some(reason) => format!("{} {reason}", status.as_u16()),
        None => status.as_u16().to_string(),
    }
}

/// A decision of a document with a description of its steps. Returned by
/// [`Document::explain`](super::Document::explain).
///
/// Prints one line for each element that ran, the parts of its condition indented, and the decision last. For operators;
/// never send it to callers.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use http::Request;
/// use tower_mtls::{apim::{Document, RequestFacts}, certificate::{Presented, Timestamp}};
///
/// let document = Document::parse(
///     r#"<choose>
///          <when condition="@(context.Request.Certificate?.Thumbprint != "31CBB8262B6710B510178BC639C738F8B85B71E6")">
///            <return-response><set-status code="403" reason="Forbidden" /></return-response>
///          </when>
///        </choose>"#,
/// )?;
/// let request = Request::new(());
/// let facts = RequestFacts::new(&request, &Presented::Nothing);
/// let explanation = document.explain(&facts, Timestamp::from_unix(1_750_000_000));
/// assert!(explanation.decision().response().is_some());
/// let printed = explanation.to_string();
/// assert!(printed.contains("B85B71E6\"): true, branch taken\n"));
/// assert!(printed.contains("(found: null)\n  line 3: return-response: 403 Forbidden\n"));
/// assert!(printed.ends_with("response: 403 Forbidden by return-response on line 3"));
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct DocumentExplanation {
    pub(super) lines: Vec<ExplanationLine>,
    pub(super) decision: DocumentDecision,
}

impl DocumentExplanation {
    /// The decision of the document.
    pub fn decision(&self) -> &DocumentDecision {
        &self.decision
    }
}

impl fmt::Display for DocumentExplanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for line in &self.lines {
            write!(f, "{:indent$}", "", indent = line.depth * 2)?;
            if let Some(position) = line.position {
                write!(f, "line {}: ", position.line)?;
            }
            writeln!(f, "{}", line.text)?;
        }
        match &self.decision {
            DocumentDecision::Respond(response) => {
                let status = status_line(response.status(), response.reason_phrase());
                let (element, line, _) = response.element();
                write!(f, "response: {status} by {element} on line {line}")?;
                match response.code() {
                    Some(code) => write!(f, ": {code}: {}", response.message()),
                    None => Ok(()),
                }
            }
            DocumentDecision::Forward(forward) => f.write_str(match forward.verification() {
                Some(Verification::Proven) => "forwarded; certificate admitted",
                Some(Verification::Unproven) => {
                    "forwarded; certificate admitted, unproven: the document also admits self-made certificates"
                }
                None => "forwarded; no certificate admitted: no rule that could reject the request has read one",
            }),
        }
    }
}
