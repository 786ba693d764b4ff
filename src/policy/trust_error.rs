use std::fmt;

use crate::keys::pem::PemError;

/// Error of [`TrustAnchors::from_pem`](super::TrustAnchors::from_pem) and
/// [`TrustAnchors::from_der`](super::TrustAnchors::from_der).
///
/// ```
/// use tower_mtls::policy::{TrustAnchors, TrustError};
///
/// assert_eq!(TrustAnchors::from_der([]).unwrap_err(), TrustError::Empty);
/// assert!(matches!(TrustAnchors::from_pem("no certificate"), Err(TrustError::Pem(_))));
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum TrustError {
    /// The text is not PEM, has no certificate, or has a block that is not a certificate.
    Pem(PemError),
    /// A certificate cannot be read as a root.
    #[non_exhaustive]
    Certificate {
        /// Position, from 0.
        index: usize,
        /// Line in the PEM text, from 1.
        line: Option<usize>,
        /// Reason, as text.
        problem: String,
    },
    /// A certificate is neither a CA certificate nor self-signed, so no chain can end in it.
    #[non_exhaustive]
    Leaf {
        /// Position, from 0.
        index: usize,
        /// Line in the PEM text, from 1.
        line: Option<usize>,
        /// Subject of the certificate.
        subject: String,
    },
    /// The list is empty.
    Empty,
    /// The crate was built without a crypto provider.
    NoAlgorithms,
}

impl fmt::Display for TrustError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let position = match self {
            Self::Certificate { index, line, .. } | Self::Leaf { index, line, .. } => (*index, *line),
            Self::Pem(error) => return error.fmt(f),
            Self::Empty => {
                return f.write_str("no root certificate: every client would be rejected; add one");
            }
            Self::NoAlgorithms => {
                return f.write_str(
                    "no crypto provider: chains cannot be verified; enable `aws-lc-rs` or `ring`",
                );
            }
        };
        match position {
            (_, Some(line)) => write!(f, "line {line}: ")?,
            (index, None) => write!(f, "certificate {}: ", index + 1)?,
        }
        match self {
            Self::Leaf { subject, .. } => write!(
                f,
                "{subject:?} is not a CA certificate; list the CA that issued it, or pin it by its thumbprint"
            ),
            Self::Certificate { problem, .. } => {
                write!(f, "this certificate cannot be read as a root: {problem}")
            }
            _ => Ok(()),
        }
    }
}

impl std::error::Error for TrustError {}
