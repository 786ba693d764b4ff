//! Preconditions of changes, and the reasons for which changes are rejected.

use super::{ItemError, Revision, StoreError, upload::UploadError};

/// Required state of an item before a change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Precondition {
    /// The item does not exist.
    Absent,
    /// The item exists.
    Present,
    /// The item is at one of these revisions.
    AtRevision(Vec<Revision>),
}

/// Reason why a change was rejected.
#[derive(Debug)]
pub(crate) enum ChangeError {
    /// The item exists, and the precondition does not allow replacement.
    Exists,
    /// The item does not exist, or is at another revision.
    PreconditionFailed,
    /// The item does not exist.
    Absent,
    /// The upload is invalid.
    Upload(UploadError),
    /// The item is in use by these users.
    InUse(Vec<String>),
    /// The replacement does not satisfy the uses of the current certificate.
    BreaksUses {
        users: Vec<String>,
        reason: &'static str,
    },
    /// The configuration file has an identity with the id of the item, which would hide it.
    Hidden,
    /// Requests could not be served after the change.
    Invalid(Vec<ItemError>),
    /// The store contains the maximum number of items.
    Full,
    Failed(StoreError),
}

impl Precondition {
    /// Checks the precondition against the current revision of an item.
    pub(crate) fn check(&self, current: Option<Revision>) -> Result<(), ChangeError> {
        match (self, current) {
            (Self::Absent, None) | (Self::Present, Some(_)) => Ok(()),
            (Self::AtRevision(revisions), Some(current)) if revisions.contains(&current) => Ok(()),
            (Self::Absent, Some(_)) => Err(ChangeError::Exists),
            _ => Err(ChangeError::PreconditionFailed),
        }
    }
}

impl From<StoreError> for ChangeError {
    fn from(error: StoreError) -> Self {
        Self::Failed(error)
    }
}
