//! Signatures of certificates and revocation lists.

/// Signed bytes.
#[allow(dead_code)]
#[derive(Debug, Clone, Copy)]
pub(in crate::policy) struct Signed<'a> {
    pub(in crate::policy) message: &'a [u8],
    /// DER-encoded AlgorithmIdentifier.
    pub(in crate::policy) algorithm: &'a [u8],
    pub(in crate::policy) signature: &'a [u8],
}
