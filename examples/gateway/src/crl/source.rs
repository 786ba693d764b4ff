use std::{fmt, path::PathBuf, time::Duration};

use sha2::{Digest, Sha256};
use tower_mtls::IdentityLayer;

use super::Issuers;
use crate::config::CrlUrl;

/// Identity of a source: its set of CAs and its URL.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct SourceId([u8; 32]);

impl SourceId {
    pub(crate) fn new(trust: &str, url: &CrlUrl) -> Self {
        let mut hash = Sha256::new();
        hash.update((trust.len() as u64).to_be_bytes());
        hash.update(trust);
        // Errors are impossible for a parsed URL; without its query the URL differs from all others of the set too.
        hash.update(url.uri().map_or_else(|_| url.to_string(), |uri| uri.to_string()));
        Self(hash.finalize().into())
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Name of the file in the cache.
    pub(super) fn file_name(&self) -> String {
        format!("{}.crl", hex::encode(self.0))
    }
}

impl fmt::Debug for SourceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

/// A URL of a set of CAs, with the settings of its downloads.
#[derive(Debug, Clone)]
pub(crate) struct Source {
    pub(crate) id: SourceId,
    /// Digest of all settings: a source with equal settings continues over reloads.
    pub(crate) settings: [u8; 32],
    /// Name of the set.
    pub(crate) trust: String,
    pub(crate) url: CrlUrl,
    pub(crate) refresh: Duration,
    pub(crate) timeout: Duration,
    /// The size limit of a list, in bytes.
    pub(crate) max_size: usize,
    /// Identity of the gateway, and trust in the server.
    pub(crate) layer: IdentityLayer,
    /// The folder that keeps the last valid lists.
    pub(crate) cache: PathBuf,
    pub(crate) issuers: Issuers,
}
