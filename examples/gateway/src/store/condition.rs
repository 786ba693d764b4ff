//! What must be there for a change to be made, and why one is not made.

use super::{Broken, Revision, StoreError, upload::Unusable};

/// What must be there for a change to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Condition {
    /// Nothing.
    Absent,
    /// Something.
    Present,
    /// One of these.
    At(Vec<Revision>),
}

/// Why something was not done.
#[derive(Debug)]
pub(crate) enum Refusal {
    /// There is one, and nobody said that it may be replaced.
    Exists,
    /// It is not there, or is another by now.
    Changed,
    /// There is none, so nothing is to be done.
    Absent,
    /// The upload is at fault.
    Unusable(Unusable),
    /// These need it.
    InUse(Vec<String>),
    /// These would not find what takes its place.
    Needed {
        users: Vec<String>,
        why: &'static str,
    },
    /// Requests could not be served as it says, its own or others.
    Broken(Vec<Broken>),
    /// The store takes no more.
    Full,
    Failed(StoreError),
}

impl Condition {
    /// Compares with what is there.
    pub(crate) fn check(&self, present: Option<Revision>) -> Result<(), Refusal> {
        match (self, present) {
            (Self::Absent, None) | (Self::Present, Some(_)) => Ok(()),
            (Self::At(tags), Some(present)) if tags.contains(&present) => Ok(()),
            (Self::Absent, Some(_)) => Err(Refusal::Exists),
            _ => Err(Refusal::Changed),
        }
    }
}

impl From<StoreError> for Refusal {
    fn from(error: StoreError) -> Self {
        Self::Failed(error)
    }
}
