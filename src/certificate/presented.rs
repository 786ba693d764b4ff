use std::sync::Arc;

use super::{Certificate, CertificateError};

/// Result of the client's side of a TLS handshake, before a layer judges it.
///
/// Any client can present a certificate of its own making. Authorization must depend on an *admitted* certificate only:
/// see [`ClientCertificate`](crate::ClientCertificate).
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let made = rcgen::generate_simple_self_signed(vec![])?;
/// use tower_mtls::{Certificate, certificate::Presented};
///
/// let leaf: &[u8] = made.cert.der();
/// assert!(matches!(Presented::from_der_chain([leaf]), Presented::Certificate(_)));
/// assert!(matches!(Presented::from_der_chain([b"garbage".as_slice()]), Presented::Unreadable(_)));
/// assert!(matches!(Presented::from_der_chain([]), Presented::Nothing));
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Presented {
    /// The client presented no certificate.
    Nothing,
    /// The client proved possession of a key, but its certificate cannot be read.
    Unreadable(Arc<CertificateError>),
    /// A certificate whose key the client possesses. Its trust is not decided yet.
    Certificate(Certificate),
}

impl Presented {
    /// Reads a DER-encoded chain from a TLS handshake, leaf first.
    ///
    /// An empty chain is [`Presented::Nothing`], an unreadable one [`Presented::Unreadable`].
    ///
    /// ```
    /// use tower_mtls::certificate::Presented;
    ///
    /// assert!(matches!(Presented::from_der_chain([]), Presented::Nothing));
    /// ```
    pub fn from_der_chain<'a>(chain: impl IntoIterator<Item = &'a [u8]>) -> Self {
        let mut chain = chain.into_iter();
        let Some(leaf) = chain.next() else {
            return Self::Nothing;
        };
        match Certificate::from_der_chain(leaf, chain) {
            Ok(certificate) => Self::Certificate(certificate),
            Err(error) => Self::Unreadable(Arc::new(error)),
        }
    }
}

impl From<Certificate> for Presented {
    fn from(certificate: Certificate) -> Self {
        Self::Certificate(certificate)
    }
}
