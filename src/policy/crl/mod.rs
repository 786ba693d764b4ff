//! Certificate revocation lists (RFC 5280, section 5).

mod status;

use std::{fmt, sync::Arc};

use crate::certificate::{DistinguishedName, Timestamp};

/// A parsed and indexed certificate revocation list.
#[derive(Debug, Clone)]
pub struct RevocationList(Arc<DistinguishedName>);

impl RevocationList {
    /// Reads one DER-encoded list, or PEM with one or more.
    ///
    /// # Errors
    ///
    /// The bytes are not a list.
    pub fn read(bytes: &[u8]) -> Result<Vec<Self>, RevocationListError> {
        let _ = bytes;
        Err(RevocationListError("it is not a certificate revocation list".into()))
    }

    /// The issuer's name.
    pub fn issuer(&self) -> &DistinguishedName {
        &self.0
    }

    /// The CRL number, big-endian.
    pub fn number(&self) -> Option<&[u8]> {
        None
    }

    /// Time of issue.
    pub fn this_update(&self) -> Timestamp {
        Timestamp::MIN
    }

    /// Time of the next issue.
    pub fn next_update(&self) -> Option<Timestamp> {
        None
    }

    /// Number of revoked certificates.
    #[expect(clippy::len_without_is_empty, reason = "a list without entries is usual")]
    pub fn len(&self) -> usize {
        0
    }
}

/// Error of [`RevocationList::read`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RevocationListError(String);

impl fmt::Display for RevocationListError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for RevocationListError {}

/// Handling of certificates whose revocation status is unknown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RevocationMode {
    /// Accepted.
    Soft,
    /// Rejected.
    Strict,
}

/// Revocation lists of a trust set.
#[derive(Debug, Clone)]
pub struct Revocation {
    mode: RevocationMode,
    lists: Arc<[RevocationList]>,
}

impl Revocation {
    /// Checks certificates against these lists.
    pub fn new(mode: RevocationMode, lists: impl IntoIterator<Item = RevocationList>) -> Self {
        Self { mode, lists: lists.into_iter().collect() }
    }

    /// The mode.
    pub fn mode(&self) -> RevocationMode {
        self.mode
    }

    /// The lists.
    pub fn lists(&self) -> &[RevocationList] {
        &self.lists
    }

    /// Number of lists whose signature no issuer has verified.
    pub fn unverified(&self) -> usize {
        0
    }
}
