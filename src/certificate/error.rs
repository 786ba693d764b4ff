use std::fmt;

/// Error of reading a certificate or a distinguished name.
///
/// Names the malformed part and, if known, the byte of the DER encoding (from 0).
///
/// ```
/// use tower_mtls::Certificate;
///
/// let error = Certificate::from_der(b"not a certificate").unwrap_err();
/// assert_eq!(error.byte(), Some(0));
/// assert!(error.to_string().starts_with("not a readable X.509 certificate (byte 0): "));
/// ```
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

    /// The byte of the DER encoding, from 0, at which reading stopped, if known.
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
