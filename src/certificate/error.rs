use std::fmt;

/// Bytes that are not a certificate this crate can read.
///
/// Names the part that is wrong and, where known, the byte (from 0, of the DER encoding).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CertificateError {
    problem: String,
    byte: Option<usize>,
}

impl CertificateError {
    pub(crate) fn new(problem: impl Into<String>) -> Self {
        Self { problem: problem.into(), byte: None }
    }

    pub(crate) fn at(byte: usize, problem: impl Into<String>) -> Self {
        Self { problem: problem.into(), byte: Some(byte) }
    }

    /// The byte of the DER encoding, from 0, at which reading stopped, if it is known.
    pub fn byte(&self) -> Option<usize> {
        self.byte
    }
}

impl fmt::Display for CertificateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not a readable X.509 certificate")?;
        if let Some(byte) = self.byte {
            write!(f, " (byte {byte})")?;
        }
        write!(f, ": {}", self.problem)
    }
}

impl std::error::Error for CertificateError {}
