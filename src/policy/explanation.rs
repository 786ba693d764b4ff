use std::fmt;

use super::{Answer, Rejection, Verification};

/// A decision rule by rule: as data, and printed in plain words.
///
/// Made by [`Policy::explain`](super::Policy::explain). Prints one line a rule, the parts of a group indented,
/// and the verdict last. For operators: callers are never told.
#[derive(Debug, Clone)]
pub struct Explanation {
    steps: Vec<Step>,
    verdict: Result<Verification, Rejection>,
}

impl Explanation {
    pub(super) fn new(steps: Vec<Step>, verdict: Result<Verification, Rejection>) -> Self {
        Self { steps, verdict }
    }

    /// What each rule says. Empty if there was no certificate to judge.
    pub fn steps(&self) -> &[Step] {
        &self.steps
    }

    /// What the policy decides.
    ///
    /// # Errors
    ///
    /// The rejection.
    pub fn verdict(&self) -> Result<(), Rejection> {
        self.verdict.clone().map(drop)
    }

    /// Whether a proof stands behind the admission; None if the certificate is refused.
    pub fn verification(&self) -> Option<Verification> {
        self.verdict.as_ref().ok().copied()
    }
}

/// What one rule says of a certificate.
#[derive(Debug, Clone)]
pub struct Step {
    demand: String,
    found: String,
    answer: Answer,
    parts: Vec<Self>,
}

impl Step {
    pub(super) fn new(demand: String, found: String, answer: Answer, parts: Vec<Self>) -> Self {
        Self { demand, found, answer, parts }
    }

    /// What the rule demands, in words.
    pub fn demand(&self) -> &str {
        &self.demand
    }

    /// What it found in the certificate, in words; empty if there is nothing to show.
    pub fn found(&self) -> &str {
        &self.found
    }

    /// Whether the rule holds.
    pub fn answer(&self) -> Answer {
        self.answer
    }

    /// What the rules of a group say.
    pub fn parts(&self) -> &[Self] {
        &self.parts
    }

    fn print(&self, f: &mut fmt::Formatter<'_>, depth: usize) -> fmt::Result {
        let answer = match self.answer {
            Answer::Holds => "holds",
            Answer::Fails => "FAILS",
            Answer::CannotTell => "CANNOT TELL",
        };
        write!(f, "{:indent$}{answer}: {}", "", self.demand, indent = depth * 2)?;
        if !self.found.is_empty() {
            write!(f, " (it has: {})", self.found)?;
        }
        writeln!(f)?;
        self.parts.iter().try_for_each(|part| part.print(f, depth + 1))
    }
}

const UNPROVEN: &str = "admitted, unproven: anyone can make a certificate that passes these rules";

impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.steps.iter().try_for_each(|step| step.print(f, 0))?;
        match &self.verdict {
            Ok(Verification::Proven) => f.write_str("admitted"),
            Ok(Verification::Unproven) => f.write_str(UNPROVEN),
            Err(rejection) => write!(f, "refused: {rejection}"),
        }
    }
}
