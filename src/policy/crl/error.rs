use std::fmt;

/// Error of [`RevocationList::read`](super::RevocationList::read).
///
/// ```
/// use tower_mtls::policy::{RevocationList, RevocationListError};
///
/// let error: RevocationListError = RevocationList::read(b"\x30\x82\x01\x00\x30").unwrap_err();
/// assert_eq!(error.to_string(), "truncated: 5 of 260 bytes; fetch the list again");
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RevocationListError {
    line: Option<usize>,
    problem: String,
}

impl RevocationListError {
    pub(super) fn new(problem: impl Into<String>) -> Self {
        Self { line: None, problem: problem.into() }
    }

    /// The same error in the PEM block at this line, from 1.
    pub(super) fn at_line(self, line: usize) -> Self {
        Self { line: Some(line), ..self }
    }

    /// Line of the PEM block, from 1; None for DER.
    pub fn line(&self) -> Option<usize> {
        self.line
    }
}

impl fmt::Display for RevocationListError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(line) = self.line {
            write!(f, "line {line}: ")?;
        }
        f.write_str(&self.problem)
    }
}

impl std::error::Error for RevocationListError {}
