use std::sync::Arc;

use super::{Certificate, CertificateError};

/// What a caller presented in the TLS handshake, before anyone judged it.
///
/// Anybody can present a certificate of their own making: only what a layer has *admitted* may decide
/// anything. These are three different things, and none of them ever becomes "allowed" by itself.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Presented {
    /// The caller was asked and presented no certificate (or was not asked).
    Nothing,
    /// The caller proved possession of a key, but its certificate cannot be read.
    Unreadable(Arc<CertificateError>),
    /// A certificate whose key the caller holds. Trust in it is still to be decided.
    Certificate(Certificate),
}

impl Presented {
    /// Reads what a TLS handshake yields: the leaf first, then the rest of the chain, all DER.
    ///
    /// No certificates are [`Presented::Nothing`]; bytes that cannot be read are
    /// [`Presented::Unreadable`].
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
