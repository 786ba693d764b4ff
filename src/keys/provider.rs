//! The default crypto provider. It is always passed explicitly: with several compiled in, rustls' implicit default
//! panics.

use std::sync::Arc;

use rustls::crypto::CryptoProvider;

use super::KeyPairError;

/// Returns the given provider, or the default one.
pub(crate) fn provider_or_default(
    provider: Option<Arc<CryptoProvider>>,
) -> Result<Arc<CryptoProvider>, KeyPairError> {
    provider.or_else(default_provider).ok_or(KeyPairError::NoProvider)
}

/// Returns aws-lc-rs if enabled, else ring, else None.
fn default_provider() -> Option<Arc<CryptoProvider>> {
    #[cfg(feature = "aws-lc-rs")]
    return Some(Arc::new(rustls::crypto::aws_lc_rs::default_provider()));
    #[cfg(all(feature = "ring", not(feature = "aws-lc-rs")))]
    return Some(Arc::new(rustls::crypto::ring::default_provider()));
    #[cfg(not(any(feature = "aws-lc-rs", feature = "ring")))]
    return None;
}
